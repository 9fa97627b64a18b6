# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien train`: its sub-commands. Heavy modules are imported by the one that runs, so that help is instant."""

from __future__ import annotations

import argparse

from training.demonstration.command import add_demonstrate
from training.trainer.command import add_stages


def add_train(commands: argparse._SubParsersAction) -> None:
    """Add `mien train`."""
    parser = commands.add_parser(
        "train",
        help="train and judge EMOCA, DECA and the networks of emotion",
        description="Train a stage, prepare data for it, and judge what was trained. Needs the extra packages of "
        "'mien setup --train'.",
    )
    inner = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    add_stages(inner)
    add_demonstrate(inner)
