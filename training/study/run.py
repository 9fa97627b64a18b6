# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien train study make`, `serve` and `score`: what they do and print."""

from __future__ import annotations

import argparse
import json
import webbrowser
from contextlib import suppress
from functools import partial
from pathlib import Path

from backend.outputs import write_json, write_together
from backend.terminal import TerminalProgress, put
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import make_folder

from .design import Rule, Study, Task
from .desk import Desk
from .gathering import Gathered, gather, named, some
from .heat_map import heat_map, matrices
from .making import Wanted, askable, make_study
from .order import units
from .records import ANSWERS, PARTICIPANTS, read_records
from .scoring import Scores, score
from .server import StudyServer
from .study_file import read_study, write_study
from .tables import csv_tables, told

SCORES = "scores"


def make(options: argparse.Namespace) -> None:
    """Run `mien train study make`.

    Raises:
        MienError: USAGE where the study has participants already, or for tasks that the pictures do not allow; what
            rendering and gathering raise.
    """
    folder = Path(options.folder)
    for name in (PARTICIPANTS, ANSWERS):
        if (folder / name).exists():
            message = f"{folder} has participants already ({name}), whose answers another study would not fit."
            raise MienError(ErrorCode.USAGE, message, "Choose another folder, or move their tables away.")
    problems = _rendered(folder, options) if options.takes else []
    found = gather(folder, Path(options.labels) if options.labels else None)
    rule = Rule(options.least_right / 100, options.least_seconds)
    wanted = Wanted(options.title, _tasks(found, options), options.seed, options.scale, options.samples, rule)
    study = make_study(found, wanted)
    path = write_study(folder, study)
    read_study(folder)
    facts = _facts(found, study, problems)
    put(json.dumps({"study": str(path)} | facts, indent=2) if options.json else _summary(path, found, study, problems))


def serve(options: argparse.Namespace) -> None:
    """Run `mien train study serve` until Ctrl-C.

    Raises:
        MienError: PORT_TAKEN, USAGE, BAD_STUDY and what files raise.
    """
    with Desk(Path(options.folder)) as desk, StudyServer(desk, options.host, options.port) as server:
        for problem in desk.problems:
            put(f"Left out: {problem}")
        put(f"The study is at {server.address} ({some(len(desk), 'participant')} so far). Ctrl-C ends it.")
        if options.open:
            webbrowser.open(server.address)
        with suppress(KeyboardInterrupt):  # the usual end; every answer is on the disk
            server.serve_forever()


def score_study(options: argparse.Namespace) -> None:
    """Run `mien train study score`.

    Raises:
        MienError: BAD_STUDY and what files raise; USAGE where nobody took part.
    """
    folder = Path(options.folder)
    study = read_study(folder)
    records = read_records(folder, study)
    if not records.participants:
        message = f"Nobody has taken part in the study in {folder}."
        raise MienError(ErrorCode.USAGE, message, "Let people take part first: 'mien train study serve'.")
    scores = score(study, records)
    out = Path(options.out) if options.out else folder / SCORES
    make_folder(out)
    written = _write(out, scores)
    if options.json:
        put(json.dumps(scores.to_json(), indent=2))
    else:
        put("\n".join((told(scores), "\nWritten:", *(f"  {path}" for path in written))))


def _rendered(folder: Path, options: argparse.Namespace) -> list[str]:
    from .renders import render_takes  # here: loading torch takes a second

    make_folder(folder)
    methods = [method for method, _ in options.takes]
    if len(set(methods)) < len(methods):
        raise MienError(ErrorCode.USAGE, "--takes names a method twice.", "Give each method one folder of takes.")
    takes = {method: Path(place) for method, place in options.takes}
    photos = Path(options.photos) if options.photos else None
    with TerminalProgress() as progress:
        tell = lambda done, name: progress("rendering", done, name)  # noqa: E731
        return render_takes(folder, takes, photos, options.head, options.detail, tell)


def _tasks(found: Gathered, options: argparse.Namespace) -> tuple[Task, ...]:
    """The tasks that were asked for, else all that can be asked."""
    return tuple(
        Task(name, options.each, name == "classification" and not options.repeat_faces,
             name == "classification" and options.intensity)
        for name in options.tasks or askable(found)
    )  # fmt: skip


def _facts(found: Gathered, study: Study, problems: list[str]) -> dict[str, object]:
    return {
        "photos": len(found.photos),
        "labels": len(found.labels),
        "renders": {method: len(renders) for method, renders in found.renders.items()},
        "missing": {method: found.missing(method) for method in found.renders},
        "items": {task.name: len(study.of_task(task.name)) for task in study.tasks},
        "samples": {task.name: len(study.of_task(task.name, samples=True)) for task in study.tasks},
        "left_out": [*problems, *found.problems],
    }


def _summary(path: Path, found: Gathered, study: Study, problems: list[str]) -> str:
    lines = [f"{some(len(found.photos), 'photo')}, {some(len(found.labels), 'label')}"]
    for method, renders in found.renders.items():
        missing = found.missing(method)
        lines.append(f"{method}: {some(len(renders), 'render')}" + (f", missing: {named(missing)}" if missing else ""))
    lines += [f"Left out: {problem}" for problem in (*problems, *found.problems)]
    for task in study.tasks:
        groups = units(study, task)
        each = min(task.per_participant or len(groups), len(groups))
        samples = len(study.of_task(task.name, samples=True))
        lines.append(
            f"{task.name}: {some(len(study.of_task(task.name)), 'item')}; a participant answers {each} of them and "
            f"{some(samples, 'sample')}"
        )
    if not found.labels and study.task("consistency") is not None:
        lines.append("Without labels no sample shows a wrong emotion, so those who always agree are not found out.")
    return "\n".join((*lines, "Written:", f"  {path}"))


def _write(out: Path, scores: Scores) -> list[Path]:
    files = {
        out / f"{name}.csv": lambda path, text=text: path.write_text(text, encoding="utf-8", errors="backslashreplace")
        for name, text in csv_tables(scores).items()
    }
    files[out / "scores.json"] = partial(write_json, values=scores.to_json())
    if shown := matrices(scores):
        files[out / "confusion.png"] = lambda path: heat_map(shown).save(path)
    write_together(files)
    return list(files)


