# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of one job. Each file in it is whole or absent, so that a killed process leaves nothing to repair.

spec.json       options, hashes of the uploads, time of the submission
state.json      state, attempt and error at the last change of state
take_00000.npz  takes in the order in which they were saved
person_00001.displacement/0001.exr   displacement maps of a person's take
report.json     the report, once the job is finished
overlay.npy     the picture that shows the result
lock            held by the process that runs the job
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from backend.outputs import MAPS
from backend.setup.folder_lock import exclusive
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import atomic_write, file_error, make_folder, save_arrays
from blender_addon.contract.messages import JobState, JobStatus
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.schema import Frames, pack, unpack
from blender_addon.contract.take import Take


class Busy(Exception):
    """Another process runs this job."""


@dataclass(frozen=True)
class JobSpec:
    """What a job was asked to do.

    Attributes:
        options: The options as the client gave them.
        upload: Hash of the uploaded source, or empty.
        reference_uploads: Hashes of the uploaded references; empty where those are paths.
        submitted: Time of the first submission, seconds since 1970.
    """

    options: CaptureOptions
    upload: str
    reference_uploads: tuple[str, ...]
    submitted: float

    @property
    def uploads(self) -> tuple[str, ...]:
        """Hashes of the source, which may be empty, and of the references."""
        return (self.upload, *self.reference_uploads)


def _raise_busy() -> None:
    raise Busy


class JobFolder:
    """Reads and writes the files of one job.

    Args:
        path: The folder, whose name is the job's id.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.job = path.name
        self._lock = ExitStack()

    def create(self) -> None:
        """Make the folder if it is missing."""
        make_folder(self.path, private=True)

    def exists(self) -> bool:
        """Whether the job was submitted (its spec is written)."""
        return self._has("spec.json")

    def lock(self) -> None:
        """Claim the job for this process until `unlock` or the end of the process.

        Raises:
            Busy: Another process has it.
            MienError: NO_SPACE or NOT_PERMITTED.
        """
        path = self.path / "lock"
        try:
            with ExitStack() as stack:
                stack.enter_context(exclusive(path, _raise_busy))
                self._lock = stack.pop_all()
        except OSError as error:
            raise file_error(path, error) from error

    def unlock(self) -> None:
        """Let go of the job."""
        self._lock.close()

    def write_spec(self, spec: JobSpec) -> None:
        """Record what was asked for."""
        self._write_json("spec.json", pack(JobSpec, spec, []))

    def read_spec(self) -> JobSpec:
        """What was asked for.

        Raises:
            MienError: BAD_MESSAGE for a damaged file, or what reading it raises.
        """
        return unpack(JobSpec, self._read_json("spec.json"), Frames([]))

    def write_state(self, status: JobStatus) -> None:
        """Record a change of state."""
        self._write_json("state.json", pack(JobStatus, status, []))

    def read_state(self) -> JobStatus:
        """The recorded state with the number of takes that are really there; a job without one was just submitted."""
        try:
            status = unpack(JobStatus, self._read_json("state.json"), Frames([]))
        except MienError as error:
            if error.code is not ErrorCode.MISSING_FILE:
                raise
            status = JobStatus(self.job, JobState.QUEUED, "", 0.0, "", 0, 1, None)
        return replace(status, takes=self._count_takes())

    def take_path(self, index: int) -> Path:
        """Path of the take with this index."""
        return self.path / f"take_{index:05d}.npz"

    def maps_path(self, person: int) -> Path:
        """Folder of the displacement maps of a person's take."""
        return self.path / f"person_{person:05d}{MAPS}"

    def read_map(self, take: Take, frame: int) -> tuple[str, bytes]:
        """Name and bytes of the displacement map of a frame of one of the takes.

        Raises:
            MienError: MISSING_FILE, also where the take has none; NOT_PERMITTED.
        """
        if not 0 <= frame < len(take.meta.displacement):
            message = f"The take of {take.meta.source} has no displacement map of frame {frame}."
            raise MienError(ErrorCode.MISSING_FILE, message, "Capture the source again.")
        path = self.path / take.meta.displacement[frame]
        try:
            return take.meta.displacement[frame], path.read_bytes()
        except OSError as error:
            raise file_error(path, error, "read") from error

    def save_take(self, index: int, take: Take) -> None:
        """Write one take."""
        # Not durable: an fsync costs more than a warm capture may add, and a power cut only loses a take that can be
        # redone.
        save_arrays(self.take_path(index), *take.to_arrays(), durable=False)

    def load_takes(self) -> list[Take]:
        """All takes that are saved."""
        return [Take.load(self.take_path(index)) for index in range(self._count_takes())]

    def _count_takes(self) -> int:
        count = 0
        while self.take_path(count).is_file():
            count += 1
        return count

    def write_report(self, report: Mapping[str, object]) -> None:
        """Write the report of a finished job."""
        self._write_json("report.json", dict(report))

    def read_report(self) -> dict[str, object] | None:
        """The report, or None while there is none."""
        try:
            return self._read_json("report.json")
        except MienError as error:
            if error.code is ErrorCode.MISSING_FILE:
                return None
            raise

    def write_overlay(self, pixels: np.ndarray) -> None:
        """Write the overlay, (H, W, 3) uint8, uncompressed for speed."""
        atomic_write(
            self.path / "overlay.npy",
            lambda file: np.lib.format.write_array(file, pixels, allow_pickle=False),
            durable=False,
        )

    def read_overlay(self) -> np.ndarray | None:
        """The overlay, or None while there is none."""
        try:
            return np.load(self.path / "overlay.npy", allow_pickle=False)
        except FileNotFoundError:
            return None

    def touched(self) -> float:
        """Time of the last change of state, seconds since 1970; of a folder without a job that of the folder itself."""
        names = [name for name in ("spec.json", "state.json") if self._has(name)] or ["."]
        try:
            return max((self.path / name).stat().st_mtime for name in names)
        except OSError:
            return 0.0  # another process has just deleted it

    def _has(self, name: str) -> bool:
        return os.path.isfile(self.path / name)  # unlike Path.is_file, false where the folder cannot be read

    def remove(self) -> None:
        """Delete the folder; what cannot be deleted now (a file that is open on Windows) goes with the next pruning."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _write_json(self, name: str, value: object) -> None:
        text = json.dumps(value, indent=1, allow_nan=False)
        atomic_write(self.path / name, lambda file: file.write(text.encode()), durable=False)

    def _read_json(self, name: str) -> dict[str, object]:
        path = self.path / name
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise file_error(path, error, "read") from error
        except ValueError as error:
            raise self._damaged(path) from error
        if not isinstance(value, dict):
            raise self._damaged(path)
        return value

    def _damaged(self, path: Path) -> MienError:
        return MienError(ErrorCode.BAD_MESSAGE, f"The file {path} is damaged.", "Capture the source again.")
