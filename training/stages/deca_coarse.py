# SPDX-License-Identifier: GPL-3.0-or-later
"""DECA's coarse stage: one encoder learns shape, albedo, expression, pose, camera and light (Feng et al. 2021, 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from backend.networks.emotion_backbones import Backbone
from backend.rendering.shading import SH_CONSTANTS, sh_shading
from training.losses.identity import identity_loss
from training.losses.landmarks import WEIGHTS, eye_closure_loss, landmark_loss, lip_closure_loss
from training.losses.photometric import photometric_loss
from training.losses.regularisers import code_loss, light_loss
from training.model.encoder import face_encoder
from training.model.face import Face, FaceModel
from training.model.layout import CodeLayout, FaceCode, joined
from training.rendering.renderer import Render
from training.stages.exchange import exchange, twice, twice_batch
from training.stages.stage import Batch, OptimiserSettings, Stage

PAPER_WEIGHTS: Mapping[str, float] = {
    "landmarks": 1.0, "eye_closure": 1.0, "lip_closure": 0.5, "photometric": 2.0, "identity": 0.2,
    "shape": 1e-4, "expression": 1e-4, "albedo": 1e-4, "light": 1.0,
}  # fmt: skip
_RENDERED = ("photometric", "identity")
"""Terms that need a render; without a weight for either none is made."""
_CAMERA = (8.0, 0.0, 0.02)
"""s, tx, ty that show a head in the middle of a crop."""


@dataclass(frozen=True)
class DecaCoarseSettings:
    """What is trained and compared.

    Attributes:
        backbone: ResNet-50 is the paper's.
        shape_consistency: whether all is asked for a second time with the shapes exchanged in rings of one person.
        weights: of the terms.
    """

    backbone: Backbone = "resnet50"
    shape_consistency: bool = True
    weights: Mapping[str, float] = field(default_factory=lambda: dict(PAPER_WEIGHTS))


class DecaCoarseStage(Stage):
    """The encoder is named as in the published checkpoint: `deca.E_flame.*`.

    Args:
        settings: see there.
        optimiser: Adam, 1e-4 in the paper.
        model: the head with albedo and renderer.
        layout: of its codes.
        faces: crops (B, 3, 224, 224) -> features (B, C) of a face-recognition network, frozen here. None only where the
            identity term has no weight.

    Raises:
        ValueError: the identity term has a weight and there is no network.
    """

    def __init__(
        self,
        settings: DecaCoarseSettings,
        optimiser: OptimiserSettings,
        model: FaceModel,
        layout: CodeLayout,
        faces: nn.Module | None,
    ) -> None:
        super().__init__(settings.weights, optimiser)
        if faces is None and settings.weights.get("identity"):
            raise ValueError("the identity term needs a face-recognition network")
        self.settings, self.layout = settings, layout
        self.deca = nn.Module()
        self.deca.E_flame = face_encoder(settings.backbone, layout.coarse)
        begin_in_view(self.deca.E_flame.layers[2], layout)
        self.model, self.faces = model, faces
        self.freeze(*(part for part in (model, faces) if part is not None))
        self.leave_out("model", "faces")

    @property
    def published(self) -> Mapping[str, object]:
        return {"deca_class": "DECA"}

    def code(self, batch: Batch) -> FaceCode:
        """All codes of each picture."""
        return self.layout.split(self.deca.E_flame(batch["image"]).float())

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        with self.clock.part("encoder"):
            code = self.code(batch)
        if self.settings.shape_consistency:
            other = exchange(batch["person"], shuffled=self.training)
            batch, code = twice_batch(batch), with_shapes_exchanged(code, other)
        with self.clock.part("render"), self.exactly():
            face = self.model.face(code)
            render = self.model.render(face, code) if any(self.weights.get(name) for name in _RENDERED) else None
        with self.clock.part("losses"):
            return self._terms(batch, code, face) | ({} if render is None else self._rendered(batch, code, render))

    def _terms(self, batch: Batch, code: FaceCode, face: Face) -> dict[str, Tensor]:
        points = batch["landmarks"]
        return {
            "landmarks": landmark_loss(face.landmarks, points, WEIGHTS),
            "eye_closure": eye_closure_loss(face.landmarks, points),
            "lip_closure": lip_closure_loss(face.landmarks, points),
            "shape": code_loss(code.identity), "expression": code_loss(code.expression),
            "albedo": code_loss(code.albedo), "light": light_loss(code.light),
        }  # fmt: skip

    def _rendered(self, batch: Batch, code: FaceCode, render: Render) -> dict[str, Tensor]:
        photo, mask = batch["image"], render.mask
        terms = {"photometric": photometric_loss(render.image * mask, photo, batch["mask"])}
        if self.faces is not None:
            terms["identity"] = self._identity(photo, mask, code, render)
        return terms

    def _identity(self, photo: Tensor, mask: Tensor, code: FaceCode, render: Render) -> Tensor:
        """Only the shape can make the person more alike: albedo and light have no gradient here."""
        with torch.no_grad():
            known, skin = self.faces(photo).float(), self.model.albedo(code.albedo)
        shading = sh_shading(render.normals.movedim(1, -1), code.light.detach()).movedim(-1, 1)
        seen = photo * (1 - mask) + render.seen(skin) * shading * mask
        return identity_loss(self.faces(seen).float(), known)

    @torch.no_grad()
    def pictures(self, batch: Batch) -> dict[str, Tensor]:
        photo, code = batch["image"], self.code(batch)
        render = self.model.render(self.model.face(code), code)
        return {"photo": photo, "render": render.image.clamp(0, 1), "over_photo": render.over(photo).clamp(0, 1)}


def with_shapes_exchanged(code: FaceCode, other: Tensor) -> FaceCode:
    """The codes twice; the second time each has the shape of another picture (N,) of the same person."""
    return twice(code)._replace(identity=torch.cat((code.identity, code.identity[other])))


@torch.no_grad()
def begin_in_view(last: nn.Linear, layout: CodeLayout) -> None:
    """Let an encoder begin near a head in the middle of the crop under white light.

    The published training begins at random, with a head that is a point in the dark; a weights file replaces either.
    """
    code = layout.split(torch.zeros(1, layout.coarse))
    light = torch.zeros_like(code.light)
    light[:, 0] = 1 / SH_CONSTANTS[0]
    last.bias.copy_(joined(code._replace(camera=torch.tensor([_CAMERA]), light=light))[0])
