# SPDX-License-Identifier: GPL-3.0-or-later
"""What `Client.pump` reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from ..contract.errors import MienError
from ..contract.messages import HeadStatus, JobSummary
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
    """

    job: str
    stage: str
    done: float
    message: str


@dataclass(frozen=True, eq=False)
class CaptureFinished:
    """A capture is done; the heads of its takes are cached (`Client.head`).

    Attributes:
        job: Which one.
        takes: One for each person.
        report: What the backend says about it.
    """

    job: str
    takes: tuple[Take, ...]
    report: dict[str, object]


@dataclass(frozen=True, eq=False)
class CaptureFailed:
    """A capture failed or was cancelled (error code CANCELLED).

    Attributes:
        job: Which one; `Client.retry` runs it again.
        error: What happened and what to do.
        takes: What was done before.
    """

    job: str
    error: MienError
    takes: tuple[Take, ...] = ()


@dataclass(frozen=True)
class HeadReady:
    """A head that was not in the cache is there now; it comes before the CaptureFinished that needs it.

    Attributes:
        sha256: Its hash.
        path: Its file, for `HeadDescription.load`.
    """

    sha256: str
    path: Path


@dataclass(frozen=True)
class HeadsListed:
    """The backend told which heads it has, once it was ready."""

    heads: tuple[HeadStatus, ...]


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
    """An overlay or the list of jobs could not be had.

    Attributes:
        job: Whose overlay; None for the list of jobs.
        error: What happened and what to do.
    """

    job: str | None
    error: MienError


Event = (
    StateChanged
    | Progress
    | CaptureFinished
    | CaptureFailed
    | HeadReady
    | HeadsListed
    | JobsListed
    | OverlayReady
    | RequestFailed
)
