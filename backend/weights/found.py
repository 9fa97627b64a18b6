# SPDX-License-Identifier: GPL-3.0-or-later
"""What was recognised in a file: a part that is not stored yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from backend.weights.parts import PartKind
from backend.weights.stored import Readable

Release = Literal["flame2020", "flame2023", "flame2023_open"]
DERIVED = "emoca"
"""Name of what an EMOCA checkpoint holds beside its networks."""


@dataclass(frozen=True)
class About:
    """What is known of a file beside its content.

    Attributes:
        file: Its path as the user knows it, through the archives it lies in.
        config: The model's configuration (`cfg.yaml`) that lies with it; empty where there is none.
        model: Name of the folder of that model; empty where it is in none.
        stage: "detail" or "coarse", the stage of training whose folder it lies in.
        release: Which FLAME the user says it is.
    """

    file: str
    config: Mapping[str, object] = field(default_factory=dict)
    model: str = ""
    stage: str = "detail"
    release: Release | None = None

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.file.replace("\\", "/").rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Found:
    """A part that a file holds.

    Attributes:
        kind, name, settings: As in `Part`.
        arrays: As the table of `backend.weights.parts` says; readable while the file is open.
        notes: Sentences for the user about how it was taken.
        first: Whether it goes before the others of its kind; what comes out of checkpoints of networks and the variants
            of FLAME go behind.
    """

    kind: PartKind
    arrays: Mapping[str, np.ndarray | Readable]
    name: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    first: bool = True
