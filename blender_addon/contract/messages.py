# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages between Blender and the backend. Described in docs/protocol.md.

The client asks, the server answers each request once with the same id; nothing is pushed. How they travel is in `wire`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np

from .adding import AddModels, ModelsAdded
from .errors import ErrorCode, MienError
from .exporting import Exported, ExportTake, Formats, ListFormats
from .head import HeadDescription
from .models import EngineStatus, HeadStatus, PartStatus
from .options import CaptureOptions
from .schema import Json, bad_message
from .status import ErrorInfo, JobStatus, JobSummary
from .status import FrameCount as FrameCount
from .status import JobState as JobState  # part of the same vocabulary for those who import this module
from .take import Take

MAX_HEADER = 4 << 20
"""Largest header in bytes."""
MAX_MESSAGE = 512 << 20
"""Largest message in bytes, all frames together."""
MAX_REQUEST_FRAME = 8 << 20
"""Largest frame in bytes that a server accepts."""
UPLOAD_CHUNK = 1 << 20
"""Size in bytes of the pieces in which a client uploads."""
MAX_UPLOAD = 16 << 30
"""Largest file in bytes that a server takes."""
MAX_ARRAYS = 1 << 16
"""Most arrays in one message."""
MAX_WAIT_MS = 1000
"""Longest time for which a server holds back the answer to `Results`."""

_JOB_ID = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_job_id(text: str) -> bool:
    """Whether this is a job id: 32 lower-case hex digits."""
    return _JOB_ID.fullmatch(text) is not None


def check_job_id(job: str) -> str:
    """Return `job` if it is a job id."""
    if not is_job_id(job):
        raise bad_message("a job id that is not 32 hex digits")
    return job


def check_sha256(sha256: str) -> str:
    """Return `sha256` if it is 64 lower-case hex digits."""
    if not _SHA256.fullmatch(sha256):
        raise bad_message("a hash that is not 64 hex digits")
    return sha256


def version_mismatch(theirs: str, ours: str) -> MienError:
    """The error for an add-on and a backend of different versions."""
    message = f"The add-on and the backend do not fit together: one has {theirs}, the other {ours}."
    return MienError(ErrorCode.VERSION_MISMATCH, message, "Install the same version of Mien for both.")


class _JobMessage:
    job: str

    def __post_init__(self) -> None:
        check_job_id(self.job)


# Requests


@dataclass(frozen=True)
class Hello:
    """First request: who asks. Answered by `Welcome`."""

    version: str


@dataclass(frozen=True)
class ListModels:
    """Which engines and heads are there, and which are missing what? Answered by `Models`, anew each time."""


@dataclass(frozen=True)
class GetHead:
    """Send the head with this hash: one that a take uses, or one of the store. Answered by `Head`, within a second;
    repeated until that has the head.
    """

    sha256: str

    def __post_init__(self) -> None:
        check_sha256(self.sha256)


@dataclass(frozen=True)
class Submit(_JobMessage):
    """Do this job. Answered by `Status`.

    Attributes:
        job: Id chosen by the client.
        attempt: A repeated request with the same or a lower number changes nothing, so that a lost reply is harmless. A
            higher one runs a failed, cancelled or interrupted job again; a finished job is never run again.
        options: What to do.
        upload: Hash of an uploaded file that is the source; empty where `options.source` is a path on the backend's
            machine.
        reference_uploads: The same for each of `options.references`; empty where they are paths on its machine.
    """

    job: str
    options: CaptureOptions
    attempt: int = 1
    upload: str = ""
    reference_uploads: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.attempt <= 1_000_000:
            raise bad_message("an attempt out of bounds")
        if self.upload:
            check_sha256(self.upload)
        for sha256 in self.reference_uploads:
            check_sha256(sha256)
        if self.reference_uploads and len(self.reference_uploads) != len(self.options.references):
            raise bad_message("uploads for some references only")


@dataclass(frozen=True)
class GetStatus(_JobMessage):
    """Where does the job stand? Answered by `Status`."""

    job: str


@dataclass(frozen=True)
class GetResults(_JobMessage):
    """Send takes `first` up to but without `last`, as many as there are and fit into one message. Answered by
    `Results`.

    With `wait_ms` the answer is held back until there is a take from `first` on or the job is over, at most that long.
    """

    job: str
    first: int
    last: int
    wait_ms: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.first <= self.last or not 0 <= self.wait_ms <= MAX_WAIT_MS:
            raise bad_message("a range of takes or a waiting time out of bounds")


@dataclass(frozen=True)
class GetOverlay(_JobMessage):
    """Send the picture that shows the result over the source. Answered by `Overlay`."""

    job: str


@dataclass(frozen=True)
class GetDisplacement(_JobMessage):
    """Send the displacement map of a frame of take number `take_index` (from 0). Answered by `Displacement`."""

    job: str
    take_index: int
    frame: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.take_index < 0 or self.frame < 0:
            raise bad_message("a negative number of a take or a frame")


@dataclass(frozen=True)
class GetPreview(_JobMessage):
    """Send the newest preview if it is newer than number `after`. Answered by `Preview`.

    With `wait_ms` the answer is held back until there is one or the job is over, at most that long.
    """

    job: str
    after: int = 0
    wait_ms: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.after < 0 or not 0 <= self.wait_ms <= MAX_WAIT_MS:
            raise bad_message("a number of a preview or a waiting time out of bounds")


class LiveAction(StrEnum):
    """What can be asked of a live capture."""

    NEUTRAL = "neutral"
    """Take the face of the next second as the neutral one."""
    FORGET_NEUTRAL = "forget_neutral"
    RECORD = "record"
    """Begin a recording."""
    STOP_RECORDING = "stop_recording"
    """End the recording, which becomes a take of the job."""
    END = "end"
    """End the recording, if there is one, and the job, which is finished then."""


@dataclass(frozen=True)
class ControlLive(_JobMessage):
    """Do this with the live capture. Answered by `Status`.

    Attributes:
        job: The live capture.
        action: What to do.
        number: Chosen by the client, rising; an action with a number that was seen before changes nothing.
    """

    job: str
    action: LiveAction
    number: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.number < 1 << 53:
            raise bad_message("a number of an action out of bounds")


@dataclass(frozen=True)
class ListJobs:
    """Which jobs are on disk? Answered by `Jobs`."""


@dataclass(frozen=True)
class Cancel(_JobMessage):
    """Stop the job; takes that are saved stay. Answered by `Status`."""

    job: str


@dataclass(frozen=True)
class BeginUpload:
    """Announce a file by its hash and size, or ask how much of it has arrived. Answered by `Uploaded`."""

    sha256: str
    size: int
    name: str

    def __post_init__(self) -> None:
        check_sha256(self.sha256)
        if self.size < 0:
            raise bad_message("a negative size")


@dataclass(frozen=True, eq=False)
class UploadChunk:
    """Bytes of an announced file, (N,) uint8, from `offset` on.

    Answered by `Uploaded`, which says from where to go on.
    """

    sha256: str
    offset: int
    data: np.ndarray

    def __post_init__(self) -> None:
        check_sha256(self.sha256)
        if self.data.dtype != np.uint8 or self.data.ndim != 1 or self.offset < 0:
            raise bad_message("an upload that is not bytes")


@dataclass(frozen=True)
class Shutdown:
    """End the backend. Answered by `Done`."""


# Replies


@dataclass(frozen=True)
class Welcome:
    """The backend's versions and state.

    Attributes:
        version: Version of Mien.
        pid: Its process.
        remote: Whether it serves other machines, so that sources have to be uploaded.
        ready: Whether the models are loaded; jobs are taken before that, too.
        device: Where it computes, for people ("CPU", "RTX 4090"); empty until known.
        problem: Why it cannot get ready.
    """

    version: str
    pid: int
    remote: bool
    ready: bool
    device: str
    problem: ErrorInfo | None


@dataclass(frozen=True)
class Models:
    """All engines, heads and parts that Mien knows of, ready or not."""

    engines: tuple[EngineStatus, ...]
    heads: tuple[HeadStatus, ...]
    parts: tuple[PartStatus, ...]


@dataclass(frozen=True, eq=False)
class Head:
    """One head; None while it is being loaded."""

    head: HeadDescription | None


@dataclass(frozen=True)
class Status:
    """Where one job stands."""

    status: JobStatus


@dataclass(frozen=True, eq=False)
class Results:
    """Takes from `first` on, in the order in which they were saved; `report` is there once the job is finished."""

    status: JobStatus
    first: int
    takes: tuple[Take, ...]
    report: Json | None


@dataclass(frozen=True, eq=False)
class Overlay:
    """(H, W, 3) uint8 sRGB; None while it is not drawn yet."""

    job: str
    pixels: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Preview:
    """The newest frame of a running job, solved as well as can be told by now.

    Attributes:
        status: Where the job stands; `status.preview` is the number of this preview.
        takes: One of one frame for each person in that frame; empty where there is nothing newer.
    """

    status: JobStatus
    takes: tuple[Take, ...]


@dataclass(frozen=True, eq=False)
class Displacement:
    """A displacement map: the bytes (N,) uint8 of an OpenEXR file, and its name in the take's `meta.displacement`."""

    job: str
    take_index: int
    frame: int
    name: str
    data: np.ndarray


@dataclass(frozen=True)
class Jobs:
    """All jobs on disk, the newest first."""

    jobs: tuple[JobSummary, ...]


@dataclass(frozen=True)
class Uploaded:
    """How many bytes of a file have arrived, and whether it is whole and its hash right."""

    sha256: str
    received: int
    complete: bool


@dataclass(frozen=True)
class Done:
    """Nothing more to say."""


@dataclass(frozen=True)
class ErrorReply:
    """The request failed."""

    error: ErrorInfo


_REQUESTS = (
    Hello, ListModels, AddModels, GetHead, Submit, GetStatus, GetResults, GetPreview, GetOverlay, GetDisplacement,
    ControlLive, ListJobs, Cancel, BeginUpload, UploadChunk, ListFormats, ExportTake, Shutdown,
)  # fmt: skip
_REPLIES = (
    Welcome, Models, ModelsAdded, Head, Status, Results, Preview, Overlay, Displacement, Jobs, Uploaded, Formats,
    Exported, Done, ErrorReply,
)  # fmt: skip

Request = (
    Hello
    | ListModels
    | AddModels
    | GetHead
    | Submit
    | GetStatus
    | GetResults
    | GetPreview
    | ControlLive
    | GetOverlay
    | GetDisplacement
    | ListJobs
    | Cancel
    | BeginUpload
    | UploadChunk
    | ListFormats
    | ExportTake
    | Shutdown
)
Reply = (
    Welcome
    | Models
    | ModelsAdded
    | Head
    | Status
    | Results
    | Preview
    | Overlay
    | Displacement
    | Jobs
    | Uploaded
    | Formats
    | Exported
    | Done
    | ErrorReply
)
Message = Request | Reply


def type_name(cls: type) -> str:
    """Name of a message type on the wire: GetHead is "get_head"."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


TYPES: Mapping[str, type] = MappingProxyType({type_name(cls): cls for cls in _REQUESTS + _REPLIES})
"""All message types by their names on the wire."""
