# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien batch`: from the command line to a planned batch, a place to run it, and an exit status."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from backend.device import available_cores
from backend.exports.formats import SCENE_FORMATS, check_formats
from backend.outputs import check_writable
from backend.terminal import TerminalProgress, put
from backend.weights.landmarker import landmarker_file
from blender_addon.contract.errors import EXIT_CODES, ErrorCode, MienError
from blender_addon.contract.files import file_error, make_folder
from blender_addon.contract.options import CaptureOptions

from .batch import Outcome, Ways, run_batch
from .display import choose_display
from .manifest import HEAD_IDS
from .naming import BATCH_CSV, BATCH_HTML
from .plan import Plan, Shard, make_plan, shots_of_folder, shots_of_manifest
from .shot import Shot

if TYPE_CHECKING:
    from .runner import Runner


_TOLD = {"partial": "failed in part", "failed": "failed"}


def batch(arguments: argparse.Namespace) -> int:
    """Run `mien batch`.

    Args:
        arguments: As `backend.batch.command` parses them.

    Returns:
        Exit status: 0 where all shots are finished, else that of SHOTS_FAILED.

    Raises:
        MienError: USAGE, BAD_MANIFEST and what else is found before any work; CANCELLED; NO_SPACE where the disk of the
            results is full; NOT_PERMITTED where the report cannot be written; SETUP_FAILED and USAGE for a Ray that is
            not there or not fit.
    """
    if (arguments.source is None) == (arguments.manifest is None):
        message = "A batch needs a folder of shots or a list of them."
        raise MienError(ErrorCode.USAGE, message, "Give a folder or --manifest FILE, one of both.")
    out = Path(os.path.abspath(arguments.out))
    shots = _shots(arguments, out)
    make_folder(out)
    for name in (BATCH_CSV, BATCH_HTML):
        check_writable(out / name)
    shard = Shard(*(arguments.shard or (1, 1)))
    plan = make_plan(shots, out, shard, arguments.timing, arguments.again)
    if plan.todo:
        _prepare(arguments, plan)
    runner, threads = _runner(arguments, plan)
    ways = Ways(threads, arguments.blender, arguments.timing)
    with choose_display() as display:
        display.plan(plan)
        outcome = run_batch(plan, ways, runner, display)
    return _status(plan, outcome)


def _shots(arguments: argparse.Namespace, out: Path) -> list[Shot]:
    """The shots that were asked for.

    Raises:
        MienError: USAGE, BAD_MANIFEST, CANNOT_EXPORT, MISSING_FILE, NOT_PERMITTED.
    """
    head = arguments.head
    if head and head not in HEAD_IDS:
        head = os.path.abspath(head)
        try:
            os.stat(head)
        except OSError as error:
            raise file_error(head, error, "read") from error
    common = CaptureOptions(
        source="the shot's own",
        face=arguments.person,
        all_faces=arguments.all_people,
        engine=arguments.engine,
        head=head,
        focal_mm=arguments.focal,
        device=arguments.device,
        fps=arguments.fps,
        smoothing=arguments.smoothing,
        weights=arguments.weights,
        identity=arguments.identity,
        eyelid_space=arguments.eyelids,
        boxes=arguments.boxes,
        displacement=arguments.displacement,
    )
    formats = check_formats(dict.fromkeys(name for name in re.split(r"[\s,]+", arguments.to) if name))
    like = Shot("", common, formats)
    if arguments.manifest is not None:
        return shots_of_manifest(Path(arguments.manifest), out, like)
    check_formats(formats, common.head)
    return shots_of_folder(Path(arguments.source), out, like)


def _prepare(arguments: argparse.Namespace, plan: Plan) -> None:
    """Fetch, once, what every process needs."""
    with TerminalProgress() as progress:
        landmarker_file(progress)
        if any(name in SCENE_FORMATS for shot in plan.todo for name in shot.formats):
            from backend.blender import prepare_blender

            prepare_blender(arguments.blender, progress)


def _runner(arguments: argparse.Namespace, plan: Plan) -> tuple[Runner, int | None]:
    """Where the shots are done, and with how many threads each."""
    if arguments.ray is not None:
        from .on_ray import RayRunner

        threads = arguments.threads or 1
        return RayRunner(arguments.ray, plan, threads, arguments.jobs), threads
    from .local import LocalRunner

    jobs = min(arguments.jobs or 1, max(len(plan.todo), 1))
    threads = arguments.threads
    if threads is None and jobs > 1:
        threads = max(available_cores() // jobs, 1)
    return LocalRunner(jobs), threads


def _status(plan: Plan, outcome: Outcome) -> int:
    """Say what came of it; the exit status.

    Raises:
        MienError: CANCELLED, NO_SPACE.
    """
    records = outcome.records.values()
    bad = [record for record in records if record.state != "finished"]
    finished = plan.finished + len(records) - len(bad)
    page = plan.out / BATCH_HTML
    count = plan.finished + len(plan.todo)
    stopped = f"Stopped with {finished} of {count} shots finished"
    if outcome.full is not None:
        message = f"{stopped}, since there is no space for more: {outcome.full.message}"
        raise MienError(ErrorCode.NO_SPACE, message, "Free some space there and run the command again for the rest.")
    if outcome.stopped:
        message = f"{stopped}: {page}."
        raise MienError(ErrorCode.CANCELLED, message, "What is finished stays; run the command again for the rest.")
    states = [record.state for record in bad]
    others = [f", {states.count(state)} {words}" for state, words in _TOLD.items() if state in states]
    put(f"{finished} of {count} shots are finished{''.join(others)}: {page}")
    for record in bad:
        put(f"  {record.name}: {' '.join(map(str, record.failures))}")
    return EXIT_CODES[ErrorCode.SHOTS_FAILED] if bad else 0
