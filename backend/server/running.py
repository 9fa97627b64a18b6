# SPDX-License-Identifier: GPL-3.0-or-later
"""A job while it runs: what the capture tells, and its files as the capture and as the user know them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from backend.server.folder import JobSpec
from backend.server.job import Job
from backend.server.jobs import JobTable
from backend.server.uploads import Uploads
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.messages import FrameCount, LiveAction
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.take import Take


@dataclass(frozen=True)
class Source:
    """Source and references as the capture reads them (`options`) and as the user knows them (`told_options`);
    they differ for uploads.
    """

    options: CaptureOptions
    told_options: CaptureOptions

    @classmethod
    def of(cls, spec: JobSpec, uploads: Uploads) -> Source:
        """The files of a job.

        Raises:
            MienError: MISSING_FILE where an upload was deleted since the submission.
        """
        told = spec.options
        options = told
        if spec.upload:
            options = replace(options, source=_uploaded(uploads, spec.upload, told.source))
        if spec.reference_uploads:
            pairs = zip(spec.reference_uploads, told.references, strict=True)
            options = replace(options, references=tuple(_uploaded(uploads, sha256, name) for sha256, name in pairs))
        return cls(options, told)

    def named(self, take: Take) -> Take:
        """The take with the user's name of the source."""
        if take.meta.source == self.told_options.source:
            return take
        return replace(take, meta=replace(take.meta, source=self.told_options.source))

    def reported(self, report: Mapping[str, object]) -> dict[str, object]:
        """The report with the user's names of the files."""
        named = {"source": self.told_options.source, "references": list(self.told_options.references)}
        return {**report, **{name: value for name, value in named.items() if name in report}}

    def told(self, error: MienError) -> MienError:
        """The error with the user's names of the files."""
        if self.options == self.told_options:
            return error
        message, paths = error.message, self._files(self.options)
        for path, name in zip(paths, self._files(self.told_options), strict=True):
            message = message.replace(path, name)
        here = {name for name, value in error.details.items() if any(path in str(value) for path in paths)}
        details = {name: value for name, value in error.details.items() if name not in here}
        return MienError(error.code, message, error.remedy, details)

    @staticmethod
    def _files(options: CaptureOptions) -> tuple[str, ...]:
        return (options.source, *options.references)


def _uploaded(uploads: Uploads, sha256: str, name: str) -> str:
    path = uploads.find(sha256)
    if path is None:  # the name is never taken for a path of this machine
        message = f"{name} is no longer at the backend."
        raise MienError(ErrorCode.MISSING_FILE, message, "Capture it again.")
    return str(path)


class RunningJob:
    """Takes what a capture tells to its job. Satisfies `capturing.JobProgress`.

    Args:
        jobs: The table that the job is in.
        job: The job.
        source: Its files.

    Attributes:
        kept: Numbers of the people whose takes are saved.
    """

    def __init__(self, jobs: JobTable, job: Job, source: Source) -> None:
        self._jobs = jobs
        self._job = job
        self.source = source
        self.kept: set[int] = set()

    def __call__(self, stage: str, done: float, message: str = "") -> None:
        """Note the stage and how much is done."""
        self._jobs.progress(self._job, stage, done, message)

    def check_cancelled(self) -> None:
        """Raise MienError CANCELLED when the user wants to stop."""
        if self._job.cancelled.is_set():
            raise MienError(ErrorCode.CANCELLED, "The capture was cancelled.", "Start it again whenever you like.")

    def frames(self, count: FrameCount) -> None:
        """Note how far a clip is."""
        self._jobs.frames(self._job, count)

    def wants_preview(self) -> bool:
        """Whether anybody looks at previews."""
        return self._job.watched

    def preview(self, takes: Sequence[Take]) -> None:
        """Show takes of one frame."""
        self._jobs.show(self._job, [self.source.named(take) for take in takes])

    def actions(self) -> Sequence[LiveAction]:
        """What was asked of a live capture since the last call."""
        return self._job.take_actions()

    def keep(self, take: Take) -> None:
        """Save a take."""
        self._jobs.keep(self._job, self.source.named(take))
        self.kept.add(take.meta.person)
