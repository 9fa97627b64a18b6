# SPDX-License-Identifier: GPL-3.0-or-later
"""How much the demonstration does, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from backend.networks.emotion_backbones import Backbone

Step = Literal["faces", "coarse", "emotion", "other", "expression", "damaged", "emoca_without", "emoca"]


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Attributes:
        people, pictures: in training.
        validated, tested: people who are looked at between and tested with, of `pictures` each.
        emotion_epochs, coarse_epochs, expression_epochs, emoca_epochs: of each training.
        emotion_weight: of the emotion loss.
        backbone: of all networks.
        seed: of everything.
    """

    people: int = 3000
    pictures: int = 3
    validated: int = 40
    tested: int = 120
    emotion_epochs: int = 8
    coarse_epochs: int = 8
    expression_epochs: int = 8
    emoca_epochs: int = 1
    emotion_weight: float = 1.0
    backbone: Backbone = "mobilenet_small"
    seed: int = 0


STEPS: tuple[tuple[Step, ...], ...] = (
    ("faces",), ("coarse", "emotion", "other", "expression"), ("damaged",), ("emoca_without", "emoca"),
)  # fmt: skip
"""Those of a line need nothing of each other."""
