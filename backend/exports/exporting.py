# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien export`: what was asked for is checked as a whole first, then written."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from backend.exports.command import DETAIL_OBJ, UDP
from backend.exports.dense_obj import SUFFIX, DenseObj
from backend.exports.formats import SCENE_FORMATS, TAKE_FORMATS, check_formats, write_as
from backend.exports.livelink_udp import PORT, Target, send
from backend.heads import load_head
from backend.outputs import check_writable, take_stem
from backend.progress import Progress
from backend.terminal import TerminalProgress, put
from blender_addon.contract.arkit import require_arkit
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import make_folder
from blender_addon.contract.take import Take

if TYPE_CHECKING:
    from backend.blender import BlenderProgram
    from blender_addon.contract.head import HeadDescription


@dataclass(frozen=True)
class _Job:
    """One take, and where each of its formats goes."""

    path: Path
    take: Take
    targets: Mapping[str, Path]

    def scenes(self) -> dict[str, Path]:
        """Those that Blender writes."""
        return {name: path for name, path in self.targets.items() if name in SCENE_FORMATS}


@dataclass
class _Done:
    """What came of it so far.

    Attributes:
        written: Files and folders.
        notes: Sentences for the user.
        failed: Why Blender could not write some of its formats.
    """

    written: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: list[MienError] = field(default_factory=list)


def export_takes(options: argparse.Namespace) -> None:
    """Run `mien export`.

    Args:
        options: As `backend.exports.command` parses them.

    Raises:
        MienError: What reading, checking and writing raise; before anything is written where a take cannot go to a
            format. What was written before a failure stays.
    """
    formats = check_formats(name for name in options.to if name not in (UDP, DETAIL_OBJ))
    formats += (DETAIL_OBJ,) if DETAIL_OBJ in options.to else ()
    _require_used(options, formats)
    jobs = [_job(Path(path), formats, options) for path in options.takes]
    done = _Done()
    packets = 0
    with TerminalProgress() as progress:
        _check(jobs, options)
        meshes = _dense(jobs, options)
        head, program = _for_scenes(jobs, options, progress)
        for job in jobs:
            for name, target in job.targets.items():
                if name in TAKE_FORMATS:
                    progress("export", 0.0, f"writing {target.name}")
                    done.written += write_as(job.take, name, target)
                elif name == DETAIL_OBJ:
                    progress("export", 0.0, f"writing {target.name}")
                    done.written += meshes[job.path].write(target)
            if scenes := job.scenes():
                _write_scenes(program, head, job, scenes, options, progress, done)
        if UDP in options.to:
            packets = _send(jobs[0].take, options, progress)
    _tell(done, packets, options)
    if done.failed:
        raise done.failed[0]


def _require_used(options: argparse.Namespace, formats: Sequence[str]) -> None:
    """Refuse options that none of the formats uses, rather than leave them aside in silence.

    Raises:
        MienError: USAGE.
    """
    scenes = any(name in SCENE_FORMATS for name in formats)
    for used, names, what in (
        (UDP in options.to, ("address", "subject", "loop"), UDP),
        (DETAIL_OBJ in formats, ("frame",), DETAIL_OBJ),
        (scenes, ("blender", "timing"), ", ".join(SCENE_FORMATS)),
        (scenes or DETAIL_OBJ in formats, ("head",), ", ".join((*SCENE_FORMATS, DETAIL_OBJ))),
    ):
        if not used and (given := [name for name in names if getattr(options, name)]):
            raise MienError(ErrorCode.USAGE, f"--{given[0]} is only for {what}.", f"Leave --{given[0]} out.")


def _job(path: Path, formats: Sequence[str], options: argparse.Namespace) -> _Job:
    take = Take.load(path)
    alone = len(options.takes) == 1 and len(formats) == 1
    return _Job(path, take, {name: _target(path, name, options.out, alone) for name in formats})


def _target(take: Path, name: str, out: str | None, alone: bool) -> Path:
    """Where a take goes in a format: a file of that name, or one in a folder."""
    suffix = TAKE_FORMATS[name].suffix if name in TAKE_FORMATS else (SCENE_FORMATS | {DETAIL_OBJ: SUFFIX})[name]
    ending = f".{suffix.rpartition('.')[2]}"
    if out is not None and alone and not os.path.isdir(out) and Path(out).suffix == ending:
        return Path(out).absolute()
    folder = Path(out).absolute() if out is not None else take.absolute().parent
    return folder / f"{take_stem(take)}{suffix}"


def _check(jobs: Sequence[_Job], options: argparse.Namespace) -> None:
    """Refuse what cannot be done before anything is.

    Raises:
        MienError: CANNOT_EXPORT, USAGE, NOT_PERMITTED, NO_SPACE, MISSING_FILE.
    """
    for job in jobs:
        for name in job.targets:
            if name in TAKE_FORMATS:
                TAKE_FORMATS[name].check(job.take)
    if UDP in options.to:
        if len(jobs) > 1:
            raise MienError(ErrorCode.USAGE, f"{UDP} sends one take at a time.", "Name one take.")
        require_arkit(jobs[0].take)
    targets = [target for job in jobs for target in job.targets.values()]
    if twice := [target for target in targets if targets.count(target) > 1]:
        message = f"Two takes would be written to {twice[0]}."
        raise MienError(ErrorCode.USAGE, message, "Export them one by one, each with another --out.")
    for job in jobs:
        for target in job.targets.values():
            if os.path.exists(target) and os.path.samefile(target, job.path):
                message = f"{target} would be written over itself."
                raise MienError(ErrorCode.USAGE, message, "Name another place with --out.")
    for folder in {target.parent for target in targets}:
        make_folder(folder)
        check_writable(folder / ".mien")


def _dense(jobs: Sequence[_Job], options: argparse.Namespace) -> dict[Path, DenseObj]:
    """The dense meshes that are asked for, by the takes' files; refused before anything is written."""
    wanted = [job for job in jobs if DETAIL_OBJ in job.targets]
    return {job.path: DenseObj.of(job.take, job.path, options.head, options.frame or 1) for job in wanted}


def _for_scenes(
    jobs: Sequence[_Job], options: argparse.Namespace, progress: Progress
) -> tuple[HeadDescription | None, BlenderProgram | None]:
    """The head and the Blender for formats that need them.

    Raises:
        MienError: CANNOT_EXPORT for takes on a head that was not named; what loading heads and finding Blender raise.
    """
    if not any(job.scenes() for job in jobs):
        return None, None
    from backend.blender import prepare_blender

    head = load_head(options.head or "open")
    for job in jobs:
        if options.head is None and job.take.meta.head_sha256 != head.sha256:
            message = f"{job.path} is on the head '{job.take.meta.head_id}', and Blender needs that head's file."
            raise MienError(ErrorCode.CANNOT_EXPORT, message, "Name the file with --head.", {"cause": "head"})
        job.take.require_head(head)
    return head, prepare_blender(options.blender, progress)


def _write_scenes(
    program: BlenderProgram | None,
    head: HeadDescription | None,
    job: _Job,
    scenes: Mapping[str, Path],
    options: argparse.Namespace,
    progress: Progress,
    done: _Done,
) -> None:
    """Let Blender write the scene of one take; its source is the footage where that is still in its place."""
    from backend import blender

    source = Path(job.take.meta.source)
    shown = source if os.path.exists(source) else None
    takes = [job.path.absolute()]
    made = blender.export_scene(program, head, takes, shown, scenes, progress, timing=options.timing or "conform")
    done.written += made.paths
    done.notes += made.warnings
    done.failed += made.failed.values()


def _send(take: Take, options: argparse.Namespace, progress: Progress) -> int:
    target = _udp_target(options)
    sent = 0

    def count(number: int) -> None:
        nonlocal sent
        sent = number
        place = (number - 1) % len(take) + 1
        if number == 1 or place % 10 == 0 or place == len(take):
            progress("send", place / len(take), f"to {target.host}:{target.port} as {target.subject}")

    try:
        return send(take, target, sent=count)
    except KeyboardInterrupt:
        if not options.loop:
            raise
        return sent  # the way to end a loop


def _udp_target(options: argparse.Namespace) -> Target:
    host, port = options.address or ("127.0.0.1", PORT)
    return Target(host, port, options.subject or "Mien", options.loop)


def _tell(done: _Done, packets: int, options: argparse.Namespace) -> None:
    if options.json:
        report: dict[str, object] = {"written": [str(path) for path in done.written], "notes": done.notes}
        if done.failed:
            report["failed"] = list(map(str, done.failed))
        if UDP in options.to:
            report["packets"] = packets
        put(json.dumps(report, indent=2))
        return
    lines = [*done.notes, *map(str, done.failed[1:])]  # the first is the command's own error
    if done.written:
        lines += ["Written:", *(f"  {path}" for path in done.written)]
    if UDP in options.to:
        target = _udp_target(options)
        lines.append(f"{packets} packets were sent to {target.host}:{target.port} as {target.subject}.")
    put("\n".join(lines))
