# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching the displacement maps of takes, a few at a time, into files beside where the takes will be saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..contract.errors import ErrorCode, MienError
from ..contract.files import atomic_write, make_folder
from ..contract.messages import Displacement, GetDisplacement, Reply
from ..contract.take import Take
from .connection import Connection

AT_ONCE = 4
"""Maps that are asked for at once: each has about 100 kB, and the next is made ready while one travels."""


class MapFetch:
    """Brings the maps of a job's takes to `JOB-NUMBER.displacement/0001.exr` and on, in a folder.

    Args:
        job: The job.
        takes: Its takes, in its order.
        folder: Where the takes will be saved.

    Attributes:
        takes: The takes, naming their maps as they are here; without maps where these could not be had.
        problems: Sentences about maps that could not be had.
    """

    def __init__(self, job: str, takes: Sequence[Take], folder: Path) -> None:
        self._job = job
        self._folder = folder
        self._paths: dict[tuple[int, int], Path] = {}
        named = [self._note(number, take) for number, take in enumerate(takes)]
        self._without = tuple(replace(take, meta=replace(take.meta, displacement=())) for take in takes)
        self.takes = tuple(named)
        self.problems: tuple[str, ...] = ()
        self._waiting = list(self._paths)
        self._asked: set[tuple[int, int]] = set()

    def _note(self, number: int, take: Take) -> Take:
        """Plan where the maps of a take go; the take that names them there."""
        local: dict[str, str] = {}
        for frame, name in enumerate(take.meta.displacement):
            if name not in local:
                local[name] = f"{self._job}-{number + 1}.displacement/{frame + 1:04d}.exr"
                self._paths[number, frame] = self._folder / local[name]
        here = tuple(local[name] for name in take.meta.displacement)
        return replace(take, meta=replace(take.meta, displacement=here))

    @property
    def over(self) -> bool:
        """Whether all are here, or given up."""
        return not (self._waiting or self._asked)

    @property
    def done(self) -> float:
        """How many are here, 0 to 1."""
        return 1.0 - (len(self._waiting) + len(self._asked)) / max(len(self._paths), 1)

    def step(self, link: Connection, now: float) -> None:
        """Ask for the next ones, as many as may be under way."""
        while self._waiting and len(self._asked) < AT_ONCE:
            wanted = self._waiting.pop(0)
            self._asked.add(wanted)
            link.send(GetDisplacement(self._job, *wanted), now, partial(self._on_reply, wanted))

    def reset(self) -> None:
        """The connection is gone: what has not come is asked for again."""
        self._waiting = sorted(self._asked) + self._waiting
        self._asked.clear()

    def _on_reply(self, wanted: tuple[int, int], reply: Reply | MienError) -> None:
        if wanted not in self._asked:
            return
        self._asked.discard(wanted)
        try:
            if isinstance(reply, MienError):
                raise reply
            if not isinstance(reply, Displacement) or (reply.take_index, reply.frame) != wanted:
                message = "The backend sent another displacement map than was asked for."
                raise MienError(ErrorCode.BAD_MESSAGE, message, "Install the same version of Mien for both.")
            path = self._paths[wanted]
            make_folder(path.parent)
            atomic_write(path, lambda file: file.write(reply.data.tobytes()), durable=False)
        except MienError as error:  # what was captured is not lost for it
            self._waiting.clear()
            self._asked.clear()
            self.takes = self._without
            self.problems = (f"The wrinkles could not be fetched: {error}",)
