# SPDX-License-Identifier: GPL-3.0-or-later
"""The encoders that the demonstration begins with, taught from the truth; the expression encoder is then damaged.

In the place of DECA, whose weights are the user's: what EMOCA is then trained with sees no truth any more.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from backend.networks.codes import ExpressionBranch
from backend.networks.emotion_backbones import Backbone
from training.losses.landmarks import landmark_loss
from training.model.encoder import face_encoder
from training.model.face import FaceModel, expressed
from training.model.layout import CodeLayout, FaceCode, true_code
from training.stages.stage import Batch, OptimiserSettings, Stage

PARTS = ("identity", "albedo", "expression", "eyelids", "head_rotation", "jaw", "camera", "light")
_SPREAD = {
    "identity": 0.9, "albedo": 1.0, "expression": 0.2, "eyelids": 0.2, "head_rotation": 0.25, "jaw": 0.1, "camera": 0.5,
    "light": 0.5,
}  # fmt: skip
"""About the standard deviation of each part over the synthetic faces, so that errors of all parts count alike."""


class TaughtCoarseStage(Stage):
    """A coarse encoder learns the codes that synthetic pictures were made from.

    Args:
        backbone: of the encoder.
        optimiser: see there.
        model: the head.
        layout: of its codes.
    """

    def __init__(self, backbone: Backbone, optimiser: OptimiserSettings, model: FaceModel, layout: CodeLayout) -> None:
        super().__init__({**dict.fromkeys(PARTS, 1.0), "expression": 4.0, "landmarks": 20.0}, optimiser)
        self.layout = layout
        self.deca = nn.Module()
        self.deca.E_flame = face_encoder(backbone, layout.coarse)
        self.model = model
        self.freeze(model)
        self.leave_out("model")

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        with self.clock.part("encoder"):
            found = self.layout.split(self.deca.E_flame(batch["image"]))
        truth = true_code(batch, self.layout)
        with self.clock.part("losses"):
            face = self.model.face(found)
            terms = {name: _error(found, truth, name) for name in PARTS}
            return terms | {"landmarks": landmark_loss(face.landmarks, batch["landmarks"])}


def _error(found: FaceCode, truth: FaceCode, name: str) -> Tensor:
    difference = (getattr(found, name) - getattr(truth, name)) / _SPREAD[name]
    return nn.functional.smooth_l1_loss(difference, torch.zeros_like(difference))


class TaughtExpressionStage(Stage):
    """An expression encoder learns the expressions and lids that synthetic pictures were made from.

    Args:
        backbone: of the encoder.
        optimiser: see there.
        model: the head.
        layout: of its codes.
    """

    def __init__(self, backbone: Backbone, optimiser: OptimiserSettings, model: FaceModel, layout: CodeLayout) -> None:
        super().__init__({"expression": 1.0, "eyelids": 1.0, "vertices": 1.0}, optimiser)
        self.layout = layout
        self.deca = nn.Module()
        self.deca.E_expression = face_encoder(backbone, layout.moving(ExpressionBranch()))
        self.model = model
        self.freeze(model)
        self.leave_out("model")

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        truth = true_code(batch, self.layout)
        with self.clock.part("encoder"):
            output = self.deca.E_expression(batch["image"])
        with self.clock.part("losses"):
            found = self.layout.with_expression(truth, output, ExpressionBranch())
            apart = expressed(self.model.head, found) - expressed(self.model.head, truth)
            millimetres = 1000 * apart.square().sum(2).add(1e-12).sqrt().mean()
            return {name: _error(found, truth, name) for name in ("expression", "eyelids")} | {"vertices": millimetres}


def damage(coarse: Path, expression: Path, out: Path, kept: float = 0.3, noise: float = 0.5, seed: int = 0) -> None:
    """Write two checkpoints of both encoders: as they were taught, and with a damaged expression encoder.

    Args:
        coarse: checkpoint of `TaughtCoarseStage`.
        expression: that of `TaughtExpressionStage`.
        out: folder of the results, `taught.ckpt` and `damaged.ckpt`.
        kept: share of the strength of the expression encoder's last layer that stays: expressions come out so much
            weaker.
        noise: standard deviation of what is added to it before, over that of the layer's weights.
        seed: of the noise.
    """
    state = {name: value for path in (coarse, expression) for name, value in _state(path).items()}
    torch.save({"state_dict": state}, out / "taught.ckpt")
    generator = torch.Generator().manual_seed(seed)
    for name in ("deca.E_expression.layers.2.weight", "deca.E_expression.layers.2.bias"):
        values = state[name]
        disturbed = torch.randn(values.shape, generator=generator) * values.std() * noise
        state[name] = kept * (values + disturbed)
    torch.save({"state_dict": state}, out / "damaged.ckpt")


def _state(path: Path) -> dict[str, Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]
