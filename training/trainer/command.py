# SPDX-License-Identifier: GPL-3.0-or-later
"""The sub-commands of `mien train` that train a stage: their arguments."""

from __future__ import annotations

import argparse
from pathlib import Path

from backend.arguments import named

_STAGES = {
    "emotion-network": "the network that sees emotion in a picture (EMOCA's ResNet-50, Swin-B, EmoNet)",
    "emotion-mlp": "the network that sees emotion in head parameters",
    "deca-coarse": "DECA's coarse encoder",
    "deca-detail": "DECA's detail encoder and decoder",
    "emoca-coarse": "EMOCA's expression encoder",
    "emoca-detail": "EMOCA's detail encoder and decoder",
}


def add_stages(commands: argparse._SubParsersAction) -> None:
    """Add `mien train STAGE` for each stage."""
    for stage, what in _STAGES.items():
        parser = commands.add_parser(stage, help=f"train {what}", description=f"Train {what}.")
        default = stage.replace("-", "_")
        config = f"a YAML file, or the name of a shipped one ({default} by default)"
        parser.add_argument("--config", type=named, default=default, metavar="FILE", help=config)
        parser.add_argument("--out", type=named, metavar="DIR", help=f"folder of the run (runs/{default} by default)")
        change = "settings that differ from the file, as trainer.batch=8 or data.train.people=100"
        parser.add_argument("changes", nargs="*", metavar="KEY=VALUE", help=change)
        parser.set_defaults(run=_train, stage=stage)


def _train(options: argparse.Namespace) -> int:
    from training.packages import require_packages

    require_packages()
    from backend.terminal import put
    from training.trainer.configuration import read_configuration
    from training.trainer.lightning_manners import first_process
    from training.trainer.run import train

    configuration, table = read_configuration(options.config, options.changes, options.stage)
    out = Path(options.out or Path("runs", Path(options.config).stem))
    trained = train(configuration, table, out)
    if not first_process():
        return 0
    put(f"{trained.steps} steps. Best checkpoint: {trained.best}")
    for name, value in sorted(trained.metrics.items()):
        put(f"  {name:32} {value:.5f}")
    put(f"Curves and pictures: tensorboard --logdir {out}. For captures: mien models add {trained.best}")
    return 0
