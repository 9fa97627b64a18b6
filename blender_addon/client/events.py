# SPDX-License-Identifier: GPL-3.0-or-later
"""What `Client.pump` reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from ..contract.errors import MienError
from ..contract.exporting import ExportedFile, TakeFormat
from ..contract.messages import FrameCount, JobSummary, Models
from ..contract.take import Take


class ClientState(StrEnum):
    """State of the backend as the panel shows it."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    FAILED = "failed"


@dataclass(frozen=True)
class StateChanged:
    """The state line changed.

    Attributes:
        state: The new state.
        message: A phrase for the panel ("Ready on CPU").
        error: In the state FAILED what happened and what to do.
    """

    state: ClientState
    message: str
    error: MienError | None = None


@dataclass(frozen=True)
class Progress:
    """A capture goes on.

    Attributes:
        job: Which one.
        stage: Name of the stage ("upload", "queued", "faces", "fit").
        done: How much of the capture is done, 0 to 1.
        message: A phrase for the panel; may be empty.
        frames: How far a clip is, with the time left; None for a photo or while that is not known.
    """

    job: str
    stage: str
    done: float
    message: str
    frames: FrameCount | None = None


@dataclass(frozen=True, eq=False)
class PreviewReady:
    """The newest frame of a capture that runs; the heads of its takes are cached. Older ones that were not asked for
    in time are never reported.

    Attributes:
        job: Which one.
        takes: One of one frame for each person.
    """

    job: str
    takes: tuple[Take, ...]


@dataclass(frozen=True, eq=False)
class CaptureFinished:
    """A capture is done; the heads of its takes are cached (`Client.head`).

    Attributes:
        job: Which one.
        takes: One for each person.
        report: What the backend says about it.
        problems: Sentences about what could not be fetched.
    """

    job: str
    takes: tuple[Take, ...]
    report: dict[str, object]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class CaptureFailed:
    """A capture failed or was cancelled (error code CANCELLED).

    Attributes:
        job: Which one; `Client.retry` runs it again, unless the error is NO_SUCH_JOB.
        error: What happened and what to do.
        takes: What was done before.
    """

    job: str
    error: MienError
    takes: tuple[Take, ...] = ()


@dataclass(frozen=True)
class BackendRestarted:
    """The backend died and is being started anew; what it was doing goes on where it stood.

    Attributes:
        error: Why it died.
        jobs: The captures that go on.
    """

    error: MienError
    jobs: tuple[str, ...]


@dataclass(frozen=True)
class HeadReady:
    """A head that was not in the cache is there now; it comes before the CaptureFinished or PreviewReady that needs it.

    Attributes:
        sha256: Its hash.
        path: Its file, for `HeadDescription.load`.
    """

    sha256: str
    path: Path


@dataclass(frozen=True)
class ModelsListed:
    """The backend told which engines and heads it has."""

    models: Models


@dataclass(frozen=True)
class AddingGoesOn:
    """Model files are being taken over.

    Attributes:
        adding: Id of the request.
        done: How much of it, 0 to 1.
        message: A phrase for the panel; may be empty.
    """

    adding: str
    done: float
    message: str


@dataclass(frozen=True)
class FilesAdded:
    """Model files were taken over; ModelsListed follows.

    Attributes:
        adding: Id of the request.
        news: What was added, a sentence each.
    """

    adding: str
    news: tuple[str, ...]


@dataclass(frozen=True)
class AddingFailed:
    """Model files could not be taken over, or not all of them; ModelsListed follows.

    Attributes:
        adding: Id of the request.
        error: What happened and what to do.
    """

    adding: str
    error: MienError


@dataclass(frozen=True)
class JobsListed:
    """Answer to `Client.list_jobs`: the newest first."""

    jobs: tuple[JobSummary, ...]


@dataclass(frozen=True, eq=False)
class OverlayReady:
    """Answer to `Client.request_overlay`: (H, W, 3) uint8 sRGB."""

    job: str
    pixels: np.ndarray


@dataclass(frozen=True, eq=False)
class RequestFailed:
    """An overlay or the list of jobs could not be had, or an action of a live capture was refused.

    Attributes:
        job: Of which capture; None for the list of jobs.
        error: What happened and what to do.
    """

    job: str | None
    error: MienError


@dataclass(frozen=True)
class HeadFailed:
    """A head that was asked for did not come.

    Attributes:
        sha256: Its hash.
        error: What happened and what to do.
    """

    sha256: str
    error: MienError


@dataclass(frozen=True)
class FormatsListed:
    """The backend told in which formats it writes takes."""

    formats: tuple[TakeFormat, ...]


@dataclass(frozen=True, eq=False)
class TakeExported:
    """A take is written in another format.

    Attributes:
        export: Its id.
        files: All files; names are relative to where it goes.
    """

    export: str
    files: tuple[ExportedFile, ...]


@dataclass(frozen=True, eq=False)
class ExportFailed:
    """A take could not be written in a format.

    Attributes:
        export: Its id.
        error: What happened and what to do.
    """

    export: str
    error: MienError


Event = (
    StateChanged
    | Progress
    | PreviewReady
    | BackendRestarted
    | CaptureFinished
    | CaptureFailed
    | HeadReady
    | HeadFailed
    | FormatsListed
    | TakeExported
    | ExportFailed
    | ModelsListed
    | AddingGoesOn
    | FilesAdded
    | AddingFailed
    | JobsListed
    | OverlayReady
    | RequestFailed
)
