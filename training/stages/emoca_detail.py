# SPDX-License-Identifier: GPL-3.0-or-later
"""EMOCA's detail stage: DECA's, under the expressions of EMOCA's encoder (Danecek et al. 2022, section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from backend.networks.codes import ExpressionBranch
from training.model.encoder import face_encoder
from training.model.face import FaceModel
from training.model.layout import CodeLayout, FaceCode
from training.stages.deca_detail import PAPER_WEIGHTS as DECA_WEIGHTS
from training.stages.deca_detail import DecaDetailSettings, DecaDetailStage
from training.stages.emoca_coarse import published_emoca
from training.stages.stage import Batch, OptimiserSettings

PAPER_WEIGHTS: Mapping[str, float] = {**DECA_WEIGHTS, "photometric": 5.0, "mrf": 0.25}


@dataclass(frozen=True)
class EmocaDetailSettings(DecaDetailSettings):
    """As `DecaDetailSettings`; with `coarse: truth` all but the expression is true.

    Attributes:
        head_rotation: whether the expression encoder also gives the head's rotation.
        jaw: and the jaw.
    """

    head_rotation: bool = False
    jaw: bool = False
    weights: Mapping[str, float] = field(default_factory=lambda: dict(PAPER_WEIGHTS))


class EmocaDetailStage(DecaDetailStage):
    """The expression encoder, `deca.E_expression.*`, is frozen as the coarse one is; see `DecaDetailStage`."""

    def __init__(
        self,
        settings: EmocaDetailSettings,
        optimiser: OptimiserSettings,
        model: FaceModel,
        layout: CodeLayout,
        vgg: nn.Module | None,
    ) -> None:
        super().__init__(settings, optimiser, model, layout, vgg)
        self.branch = ExpressionBranch(settings.head_rotation, settings.jaw)
        self.deca.E_expression = face_encoder(settings.backbone, layout.moving(self.branch))
        self.freeze(self.deca.E_expression)

    @property
    def published(self) -> Mapping[str, object]:
        return published_emoca(self.branch)

    @torch.no_grad()
    def code(self, batch: Batch) -> FaceCode:
        coarse = super().code(batch)
        return self.layout.with_expression(coarse, self.deca.E_expression(batch["image"]).float(), self.branch)
