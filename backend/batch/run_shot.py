# SPDX-License-Identifier: GPL-3.0-or-later
"""Doing one shot: the same function on this machine and on every machine of a farm."""

from __future__ import annotations

import platform
import shutil
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from backend.capture_files import Wanted, Written, require_clip, write_capture
from backend.outputs import check_writable
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import make_folder

from .formats import write_formats
from .progress_file import ProgressFile, remove_progress
from .quality import judge
from .record import (
    Failure,
    Person,
    ShotRecord,
    State,
    files_in,
    made_from,
    read_record,
    remove_record,
    why_again,
    write_record,
)
from .shot import Shot, Task
from .shot_lock import Busy, shot_lock
from .thumbnails import write_thumbnail
from .workshop import Workshop

_DYING_SECONDS = 2.0
"""For how long a process that was killed may still hold its shot."""


def run_shot(task: Task, workshop: Workshop) -> ShotRecord:
    """Capture a shot, write everything that was asked for, and its record.

    Args:
        task: The shot and where its files go.
        workshop: What is loaded already.

    Returns:
        The record: whatever goes wrong with the shot is in there. It also stands in the shot's folder, where that can
        be written to. Where another batch has done the shot since this was planned, its record.

    Raises:
        MienError: CANCELLED.
        Busy: Another batch is working on the shot.
    """
    folder = task.shot.folder(Path(task.out))
    try:
        make_folder(folder)
        with shot_lock(folder):
            return _done_elsewhere(task, folder) or _done_here(task, folder, workshop)
    except MienError as error:
        if error.code is ErrorCode.CANCELLED:
            raise
        return failed_record(task, error)


def _done_elsewhere(task: Task, folder: Path) -> ShotRecord | None:
    """The record of another batch that has done what is asked for since the task was planned."""
    record = read_record(folder)
    if record is None or record.ended == task.known or why_again(record, task.shot, task.timing, folder) is not None:
        return None
    return record


def _done_here(task: Task, folder: Path, workshop: Workshop) -> ShotRecord:
    """The record of a shot that is done now.

    Raises:
        MienError: CANCELLED; what removing the last record raises.
    """
    remove_record(folder)
    clear_leftovers(folder)
    try:
        with ProgressFile(folder, task.stop_file) as progress:
            progress.check_cancelled()
            record = _done(task, Path(task.out), folder, workshop, progress)
    except MienError as error:
        if error.code is ErrorCode.CANCELLED:
            raise
        record = failed_record(task, error)
    except MemoryError as error:
        record = failed_record(task, _no_memory(task.shot, error))
    except Exception as error:  # noqa: BLE001  # a bad shot never stops the others
        traceback.print_exc()
        message = f"Mien made a mistake with {task.shot.options.source} ({type(error).__name__}: {error})."
        record = failed_record(task, MienError(ErrorCode.INTERNAL, message, "Please report it."))
    with suppress(MienError):  # a full disk: whoever asked for the shot gets the record all the same
        write_record(folder, record)
    return record


def failed_record(task: Task, error: MienError) -> ShotRecord:
    """The record of a shot that was not captured."""
    failure = Failure.of("capture", error)
    return _record(task, {}, "failed", failures=[failure])


def clear_up(task: Task) -> None:
    """Remove what a process that was killed has left of a shot, unless another batch works on it by now."""
    folder = task.shot.folder(Path(task.out))
    with suppress(Busy, MienError), shot_lock(folder, patience=_DYING_SECONDS):
        remove_progress(folder)
        clear_leftovers(folder)


def clear_leftovers(folder: Path) -> None:
    """Remove the working folders and files of a process that was killed in the middle of a shot."""
    with suppress(OSError):
        for path in [*folder.glob(".mien-*"), *folder.glob(".*.tmp")]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _done(task: Task, out: Path, folder: Path, workshop: Workshop, progress: ProgressFile) -> ShotRecord:
    started = time.perf_counter()
    shot = task.shot
    paths = shot.paths(out)
    require_clip(shot.options)
    for path in (paths.report, paths.take(1), paths.overlay):
        check_writable(path)
    before = made_from(shot, task.timing)  # before the work: what changes meanwhile is noticed the next time
    session = workshop.session(shot.options.device)
    written = write_capture(session, shot.options, Wanted(paths), progress, started)
    thumbnail = folder / f"{PurePosixPath(shot.name).name}.thumb.jpg"
    write_thumbnail(written.result, paths.overlay, thumbnail)
    exported, failures, warnings = write_formats(task, written, folder, workshop, progress)
    report = written.report
    seconds = dict(report["seconds"]) | {"total": round(time.perf_counter() - started, 4)}  # type: ignore[call-overload]
    return _record(
        task,
        before,
        "partial" if failures else "finished",
        people=_people(written),
        frames=_frames(report),
        doubts=_problems(report),
        notes=tuple(warnings),
        failures=failures,
        files=files_in(folder, [*written.files, thumbnail, *exported]),
        seconds=seconds,
        device=str(report["device"]),
    )


def _record(
    task: Task,
    before: Mapping[str, object],
    state: State,
    people: Sequence[Person] = (),
    doubts: Sequence[str] = (),
    failures: Sequence[Failure] = (),
    **more: object,
) -> ShotRecord:
    quality, reasons = judge(people, doubts, failures)
    return ShotRecord(
        name=task.shot.name,
        source=task.shot.options.source,
        state=state,
        quality=quality,
        reasons=reasons,
        made_from=before,
        people=tuple(people),
        doubts=tuple(doubts),
        failures=tuple(failures),
        machine=platform.node(),
        ended=datetime.now(UTC).isoformat(timespec="seconds"),
        **more,  # type: ignore[arg-type]  # frames, notes, files, seconds and device
    )


def _people(written: Written) -> list[Person]:
    """What the report says of each person; only a clip's frames can be filled in."""
    people = []
    for face in written.report["faces"]:  # type: ignore[attr-defined]  # a list of tables
        filled = sum(gap["last"] - gap["first"] + 1 for gap in face.get("gaps", ()))
        number = int(face.get("person", face.get("face", 1)))
        share = min(filled / _frames(written.report), 1.0)
        people.append(Person(number, float(face["landmark_error"]), float(face["confidence"]), round(share, 4)))
    return people


def _frames(report: Mapping[str, object]) -> int:
    clip = report.get("clip")
    return int(clip["frames"]) if isinstance(clip, Mapping) else 1


def _problems(report: Mapping[str, object]) -> list[str]:
    clip = report.get("clip")
    return [str(problem) for problem in clip["problems"]] if isinstance(clip, Mapping) else []


def _no_memory(shot: Shot, error: MemoryError) -> MienError:
    message = f"There was not enough memory for {shot.options.source}."
    remedy = "Run fewer shots at once (--jobs), or a smaller one."
    return MienError(ErrorCode.TOO_LARGE, message, remedy, {"why": str(error)})
