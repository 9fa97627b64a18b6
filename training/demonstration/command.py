# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien train demonstrate`: its arguments."""

from __future__ import annotations

import argparse
from pathlib import Path

from backend.arguments import named, positive


def add_demonstrate(commands: argparse._SubParsersAction) -> None:
    """Add `mien train demonstrate`."""
    parser = commands.add_parser(
        "demonstrate",
        help="train an emotion network and EMOCA on synthetic faces and say what it brings",
        description="Train an emotion network on synthetic faces, then EMOCA's expression encoder from a damaged "
        "start with and without the emotion loss, and write what was found. About an hour on two cores; interrupted, "
        "the same command goes on.",
    )
    out = "where everything is kept (runs/demonstration)"
    parser.add_argument("--out", type=named, default="runs/demonstration", metavar="DIR", help=out)
    parser.add_argument("--report", type=named, metavar="FILE", help="the text that is written (DIR/RESULTS.md)")
    parser.add_argument("--people", type=positive, help="how many people are trained with (3000)")
    parser.set_defaults(run=_demonstrate)


def _demonstrate(options: argparse.Namespace) -> int:
    from training.packages import require_packages

    require_packages()
    from backend.terminal import put
    from blender_addon.contract.files import atomic_write
    from training.demonstration.plan import Plan
    from training.demonstration.report import report
    from training.demonstration.run import Demonstration

    plan = Plan(people=options.people) if options.people else Plan()
    out = Path(options.out)
    text = report(Demonstration(out, plan, lambda step: put(f"{step} ...")).run())
    path = Path(options.report) if options.report else out / "RESULTS.md"
    atomic_write(path, lambda file: file.write(text.encode()))
    put(text)
    return 0
