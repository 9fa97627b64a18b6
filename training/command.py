# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien train`: its sub-commands. Heavy modules are imported by the one that runs, so that help is instant."""

from __future__ import annotations

import argparse

from training.demonstration.command import add_demonstrate
from training.evaluation.command import add_emotion_codes, add_evaluate_emotion, add_predict_emotion
from training.preprocessing.command import add_prepare
from training.study.command import add_study
from training.synthetic.command import add_synthesise
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
    add_emotion_codes(inner)
    add_evaluate_emotion(inner)
    add_predict_emotion(inner)
    add_prepare(inner)
    add_synthesise(inner)
    add_demonstrate(inner)
    add_study(inner)
