# SPDX-License-Identifier: GPL-3.0-or-later
"""EMOCA's coarse stage: an expression encoder learns to keep the emotion (Danecek et al. 2022, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from backend.networks.codes import ExpressionBranch
from backend.networks.emotion_backbones import Backbone
from training.losses.emotion import FeatureMetric, feature_loss
from training.losses.landmarks import eye_closure_loss, landmark_loss, lip_closure_loss, mouth_corner_loss
from training.losses.lip_reading import LipFeatures, LipMetric
from training.losses.mediapipe import LidPairs
from training.losses.photometric import photometric_loss
from training.losses.regularisers import code_loss
from training.model.encoder import face_encoder
from training.model.face import Face, FaceModel
from training.model.layout import CodeLayout, FaceCode, true_code
from training.rendering.renderer import Render
from training.stages.emoca_v2 import (
    LIP_READING,
    lip_reading_term,
    mediapipe_points,
    mediapipe_terms,
    wants_mediapipe,
)
from training.stages.stage import Batch, OptimiserSettings, Stage

Coarse = Literal["network", "truth"]
Mask = Literal["render", "photo"]

PAPER_WEIGHTS: Mapping[str, float] = {
    "emotion": 1.0, "photometric": 2.0, "eye_closure": 0.5, "lip_closure": 0.5, "mouth_corners": 0.5,
    "expression": 1e-4,
}  # fmt: skip


@dataclass(frozen=True)
class EmocaCoarseSettings:
    """What is trained and compared.

    Attributes:
        coarse: `network`: DECA's coarse encoder, frozen. `truth`: what synthetic pictures were made from, so that only
            the expression is unknown.
        backbone: of both encoders; ResNet-50 is the paper's.
        head_rotation: whether the expression encoder also gives the head's rotation.
        jaw: and the jaw.
        metric: distance of emotion features; `l2` is the paper's.
        mask: where pictures are compared: on the rendered face (the paper's), or on the photo's own mask.
        weights: of the terms. EMOCA v2's (`training.stages.emoca_v2`) are worked out only where they are named.
        lids: which points of the lids `mediapipe_eyes` pairs.
        lip_metric: distance of what the lip reader sees.
    """

    coarse: Coarse = "network"
    backbone: Backbone = "resnet50"
    head_rotation: bool = False
    jaw: bool = False
    metric: FeatureMetric = "l2"
    mask: Mask = "render"
    weights: Mapping[str, float] = field(default_factory=lambda: dict(PAPER_WEIGHTS))
    lids: LidPairs = "published"
    lip_metric: LipMetric = "l2"


class EmocaCoarseStage(Stage):
    """The coarse encoder is frozen, the expression encoder learns; render and photo should feel the same.

    Encoders are named as in the published checkpoint: `deca.E_flame.*`, `deca.E_expression.*`.

    Args:
        settings: see there.
        optimiser: Adam, 5e-5 in the paper.
        model: the head with albedo and renderer.
        layout: of its codes.
        emotion: crops (B, 3, 224, 224) -> features (B, C): the backbone of an emotion network, frozen here. None only
            where the emotion term has no weight.
        lips: the lip reader, frozen here; None only where its term has no weight.

    Raises:
        ValueError: a term that needs a network has a weight, and there is no network.
    """

    def __init__(
        self,
        settings: EmocaCoarseSettings,
        optimiser: OptimiserSettings,
        model: FaceModel,
        layout: CodeLayout,
        emotion: nn.Module | None,
        lips: LipFeatures | None = None,
    ) -> None:
        super().__init__(settings.weights, optimiser)
        if emotion is None and settings.weights.get("emotion"):
            raise ValueError("the emotion term needs an emotion network")
        if lips is None and settings.weights.get(LIP_READING):
            raise ValueError("the lip-reading term needs a lip reader")
        self.settings, self.layout = settings, layout
        self.branch = ExpressionBranch(settings.head_rotation, settings.jaw)
        self.deca = nn.Module()
        if settings.coarse == "network":
            self.deca.E_flame = face_encoder(settings.backbone, layout.coarse)
            self.freeze(self.deca.E_flame)
        self.deca.E_expression = face_encoder(settings.backbone, layout.moving(self.branch))
        self.model, self.emotion, self.lips = model, emotion, lips
        self.freeze(*(part for part in (model, emotion, lips) if part is not None))
        self.leave_out("model", "emotion", "lips")

    @property
    def published(self) -> Mapping[str, object]:
        return published_emoca(self.branch)

    def code(self, batch: Batch) -> FaceCode:
        """Coarse code of the frozen encoder with the expression of the one that learns."""
        if self.settings.coarse == "truth":
            coarse = true_code(batch, self.layout)
        else:
            with torch.no_grad():
                coarse = self.layout.split(self.deca.E_flame(batch["image"]).float())
        return self.layout.with_expression(coarse, self.deca.E_expression(batch["image"]).float(), self.branch)

    def rendered(self, batch: Batch) -> tuple[FaceCode, Face, Render]:
        """Code, posed head and lit render of each picture."""
        with self.clock.part("encoder"):
            code = self.code(batch)
        with self.clock.part("render"), self.exactly():
            face = self.model.face(code)
            return code, face, self.model.render(face, code)

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        code, face, render = self.rendered(batch)
        with self.clock.part("losses"):
            terms = self._terms(batch, code, face, render)
            if self.emotion is not None:
                terms["emotion"] = self._emotion(render.image * render.mask, batch["image"])
            if self.lips is not None:
                terms[LIP_READING] = lip_reading_term(self.lips, batch, face, render, self.settings.lip_metric)
            return terms

    def _terms(self, batch: Batch, code: FaceCode, face: Face, render: Render) -> dict[str, Tensor]:
        photo, points = batch["image"], batch["landmarks"]
        mask = render.mask if self.settings.mask == "render" else batch["mask"] * render.alpha
        terms = {
            "photometric": photometric_loss(render.image, photo, mask),
            "eye_closure": eye_closure_loss(face.landmarks, points[..., :2]),
            "lip_closure": lip_closure_loss(face.landmarks, points[..., :2]),
            "mouth_corners": mouth_corner_loss(face.landmarks, points[..., :2]),
            "landmarks": landmark_loss(face.landmarks, points),
            "expression": code_loss(code.expression),
        }
        if wants_mediapipe(self.weights):
            with self.exactly():
                found = mediapipe_points(self.model, face, code)
            terms |= mediapipe_terms(found, batch["mediapipe"], self.settings.lids)
        return terms

    def _emotion(self, render: Tensor, photo: Tensor) -> Tensor:
        with torch.no_grad():
            felt = self.emotion(photo).float()
        return feature_loss(self.emotion(render.clamp(0, 1)).float(), felt, self.settings.metric)

    @torch.no_grad()
    def pictures(self, batch: Batch) -> dict[str, Tensor]:
        photo, (_, _, render) = batch["image"], self.rendered(batch)
        return {"photo": photo, "render": render.image.clamp(0, 1), "over_photo": render.over(photo).clamp(0, 1)}


def published_emoca(branch: ExpressionBranch) -> Mapping[str, object]:
    """What EMOCA's configurations say of a model, see `Stage.published`."""
    return {
        "deca_class": "ExpDECA", "expression_backbone": "deca_clone", "exp_deca_global_pose": branch.head_rotation,
        "exp_deca_jaw_pose": branch.jaw,
    }  # fmt: skip
