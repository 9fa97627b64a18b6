# SPDX-License-Identifier: GPL-3.0-or-later
"""What messages tell about errors, heads and jobs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from .errors import ErrorCode, MienError
from .options import CaptureOptions
from .schema import MAX_TEXT, Json


class JobState(StrEnum):
    """Where a job stands. The last four are final;
    all but a finished job can be submitted again.
    """

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def final(self) -> bool:
        """Whether nothing more happens by itself."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


def _is_plain(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, (bool, int)) or (isinstance(value, str) and len(value) <= MAX_TEXT)


@dataclass(frozen=True)
class ErrorInfo:
    """A `MienError` in a message."""

    code: ErrorCode
    message: str
    remedy: str
    details: Json

    @classmethod
    def of(cls, error: MienError) -> ErrorInfo:
        """The message form of an error; details that are not plain values travel as text."""
        plain = {name: value if _is_plain(value) else str(value)[:MAX_TEXT] for name, value in error.details.items()}
        return cls(error.code, error.message, error.remedy, Json(plain))

    def to_error(self) -> MienError:
        """The error to raise or show."""
        return MienError(self.code, self.message, self.remedy, self.details)


@dataclass(frozen=True)
class FrameCount:
    """How far a clip is.

    Attributes:
        done: Frames that are solved; while faces are followed, frames that were looked at.
        total: All frames that were asked for; 0 in a live capture, which has no end.
        seconds_left: Until the capture is done, estimated; None while that is not known.
        per_second: Frames done a second; 0 while that is not known.
    """

    done: int
    total: int
    seconds_left: float | None = None
    per_second: float = 0.0


@dataclass(frozen=True)
class JobStatus:
    """Where a job stands.

    Attributes:
        job: Its id.
        state: See `JobState`.
        stage: Name of the stage it is in ("faces", "fit").
        done: How much of all the work is done, 0 to 1.
        message: One phrase for the user; may be empty.
        takes: How many takes are saved and can be asked for.
        attempt: Number of the submission that this is the state of.
        error: Why it failed.
        frames: How far a clip is; None for a photo.
        preview: Number of the newest preview, from 1; 0 where there is none.
    """

    job: str
    state: JobState
    stage: str
    done: float
    message: str
    takes: int
    attempt: int
    error: ErrorInfo | None
    frames: FrameCount | None = None
    preview: int = 0


@dataclass(frozen=True)
class JobSummary:
    """A job in a list: where it stands, what was asked for, and when (seconds since 1970)."""

    status: JobStatus
    options: CaptureOptions
    submitted: float
