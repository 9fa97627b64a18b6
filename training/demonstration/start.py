# SPDX-License-Identifier: GPL-3.0-or-later
"""A coarse encoder for the demonstration, taught from the truth, and the damaged expression encoder it starts with.

In the place of DECA, whose weights are the user's: what EMOCA is then trained with sees no truth any more.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from backend.networks.codes import ExpressionBranch
from backend.networks.emotion_backbones import Backbone
from training.losses.landmarks import landmark_loss
from training.model.encoder import clone_expression, face_encoder
from training.model.face import FaceModel
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


def damage(
    checkpoint: Path, out: Path, backbone: Backbone, layout: CodeLayout, kept: float = 0.3, noise: float = 0.5,
    seed: int = 0,
) -> None:  # fmt: skip
    """Write a checkpoint whose expression encoder is the coarse one's, weakened and disturbed in its last layer.

    Args:
        checkpoint: of `TaughtCoarseStage`.
        out: the damaged one.
        backbone, layout: of the encoders.
        kept: share of the last layer's strength that stays: expressions come out so much weaker.
        noise: standard deviation of what is added, over that of the layer's weights.
        seed: of the noise.
    """
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    coarse = face_encoder(backbone, layout.coarse)
    prefix = "deca.E_flame."
    coarse.load_state_dict({name.removeprefix(prefix): value for name, value in state.items() if prefix in name})
    expression = face_encoder(backbone, layout.moving(ExpressionBranch()))
    clone_expression(coarse, expression, layout, ExpressionBranch())
    whole = {f"deca.E_expression.{name}": value.clone() for name, value in expression.state_dict().items()}
    torch.save({"state_dict": state | whole}, out.with_name("undamaged.ckpt"))
    generator = torch.Generator().manual_seed(seed)
    for name in ("deca.E_expression.layers.2.weight", "deca.E_expression.layers.2.bias"):
        values = whole[name]
        disturbed = torch.randn(values.shape, generator=generator) * values.std() * noise
        whole[name] = kept * (values + disturbed)
    torch.save({"state_dict": state | whole}, out)
