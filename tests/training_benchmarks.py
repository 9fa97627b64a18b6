# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures a second of a training step on this machine, and which part takes how long, against the paper's networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from backend.networks.emotion import EmotionNetwork
from backend.session import Session
from tests.bench_rows import row
from training.synthetic.dataset import SyntheticFaces
from training.synthetic.on_disk import write_faces
from training.trainer.configuration import read_configuration
from training.trainer.speed import StepSpeed, step_speed

_BATCH, _STEPS = 8, 4
_BACKBONES = ("resnet50", "mobilenet_large")


def training(session: Session, folder: Path) -> None:
    """Print EMOCA's coarse stage and the emotion network with the paper's backbone, and with a small one."""
    write_faces(SyntheticFaces(_BATCH, 2), folder / "faces")
    for stage, name in (("emotion-network", "emotion_network_synthetic"), ("emoca-coarse", "emoca_coarse_synthetic")):
        speeds = {backbone: _speed(folder, name, backbone) for backbone in _BACKBONES}
        for backbone, speed in speeds.items():
            ratio = speed.pictures_per_second / speeds[_BACKBONES[0]].pictures_per_second
            told = f"{ratio:.1f} x as fast as with {_BACKBONES[0]}; {_told(speed)}"
            row(f"step of {stage}, {backbone}, batch {_BATCH}", f"{speed.pictures_per_second:.1f} pictures/s", told)


def _speed(folder: Path, name: str, backbone: str) -> StepSpeed:
    changes = [f"model.backbone={backbone}"]
    if name.startswith("emoca"):
        path = folder / f"{backbone}.ckpt"
        torch.save({"state_dict": EmotionNetwork(backbone=backbone).state_dict()}, path)  # type: ignore[arg-type]
        changes.append(f"start.emotion={path}")
    configuration, _ = read_configuration(name, changes)
    stored = {"kind": "stored", "folder": str(folder / "faces")}
    configuration = replace(
        configuration, data=replace(configuration.data, train=stored, validation=stored),
        trainer=replace(configuration.trainer, batch=_BATCH, workers=0),
    )  # fmt: skip
    return step_speed(configuration, _STEPS)


def _told(speed: StepSpeed) -> str:
    return ", ".join(f"{part} {share:.0%}" for part, share in speed.shares.items())
