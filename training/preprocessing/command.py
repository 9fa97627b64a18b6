# SPDX-License-Identifier: GPL-3.0-or-later
"""The sub-command `train prepare`: its arguments. Only the standard library, so that help is instant."""

from __future__ import annotations

import argparse
from pathlib import Path

from backend.arguments import named, positive

DATASETS = ("affectnet", "afew_va", "aff_wild2", "vggface2", "voxceleb2")


def add_prepare(commands: argparse._SubParsersAction) -> None:
    """Add `mien train prepare`."""
    parser = commands.add_parser(
        "prepare",
        help="crop the faces of a published dataset, with landmarks and masks",
        description="Crop the faces of a published dataset to 224 x 224 pixels, with landmarks and face masks, as "
        "training reads them. What is there already is not made again, so that the command can be stopped with Ctrl-C "
        "and given again. Pictures without a face and damaged ones are listed in problems.csv.",
    )
    parser.add_argument("dataset", choices=DATASETS, metavar="DATASET", help=", ".join(DATASETS))
    parser.add_argument("--folder", type=named, required=True, metavar="RAW", help="the dataset as published")
    out = "folder for what is made, made if missing; RAW/prepared by default"
    parser.add_argument("--out", type=named, metavar="DIR", help=out)
    marks = "whose 68 landmarks: mediapipe, or fan, as EMOCA was trained ('mien setup --fan')"
    parser.add_argument("--landmarks", choices=("mediapipe", "fan"), default="mediapipe", help=marks)
    scale = "side of the crops over 1.1 times the box of the landmarks (1.25)"
    parser.add_argument("--scale", type=_scale, default=1.25, metavar="S", help=scale)
    parser.add_argument("--workers", type=positive, metavar="N", help="processes; by default one a core but one")
    parser.add_argument("--list", type=named, metavar="FILE", help="npy of the pictures of vggface2 or voxceleb2")
    parser.add_argument("--device", default="cpu", help="where FAN runs: auto, cpu, cuda, cuda:N or mps")
    parser.set_defaults(run=_prepare)


def _scale(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.5 <= number <= 4:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0.5 to 4")
    return number


def _prepare(options: argparse.Namespace) -> int:
    from backend.device import available_cores, choose_device
    from backend.terminal import TerminalProgress, put
    from training.datasets.prepared import PREPARED
    from training.datasets.report import DatasetReport, Findings
    from training.preprocessing.making import Style
    from training.preprocessing.run import PROBLEMS, job_for, prepare_dataset
    from training.preprocessing.sources import all_records

    folder = Path(options.folder)
    out = Path(options.out) if options.out else folder / PREPARED
    style = Style(options.landmarks, options.scale, str(choose_device(options.device)))
    if style.landmarks == "fan":
        _require_fan(style.device)
    findings = Findings()
    records = all_records(options.dataset, folder, Path(options.list) if options.list else None, findings)
    put(str(DatasetReport(options.dataset, len(records), dict(findings.left_out), findings.troubles(), {})))
    with TerminalProgress() as progress:
        job = job_for(folder, out, style, progress)
        workers = options.workers or max(available_cores() - 1, 1)
        report = prepare_dataset(records, job, workers, progress, options.dataset)
    put(str(report))
    if report.problems:
        put(f"Those that could not be prepared are listed in {out / PROBLEMS}.")
    return 0


def _require_fan(device: str) -> None:
    """Tell what FAN lacks before the work begins.

    Raises:
        MienError: As `load_fan`, with this command's own way out.
    """
    from backend.faces.fan import load_fan
    from blender_addon.contract.errors import MienError

    try:
        load_fan(device)
    except MienError as error:
        remedy = error.remedy.replace("--boxes", "--landmarks")
        raise MienError(error.code, error.message, remedy, error.details) from error
