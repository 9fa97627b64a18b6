# SPDX-License-Identifier: GPL-3.0-or-later
"""DECA's detail stage: wrinkles as a displacement that explains the shading of the photo (Feng et al. 2021, 4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.networks.codes import DETAIL
from backend.networks.detail_decoder import DetailDecoder
from backend.networks.emotion_backbones import Backbone
from backend.rendering.camera import project_weak
from backend.rendering.shading import sh_shading
from training.losses.detail import displacement_loss, smoothness_loss, symmetry_loss
from training.losses.mrf import mrf_loss
from training.losses.photometric import photometric_loss
from training.model.encoder import face_encoder
from training.model.face import FaceModel
from training.model.layout import CodeLayout, FaceCode, detail_input, true_code
from training.rendering.mirror import mirrored_texels
from training.rendering.renderer import unwrapped
from training.rendering.wrinkled import wrinkled
from training.stages.emoca_coarse import Coarse
from training.stages.exchange import exchange, twice
from training.stages.stage import Batch, OptimiserSettings, Stage

PAPER_WEIGHTS: Mapping[str, float] = {
    "photometric": 2.0, "mrf": 0.1, "displacement": 0.005, "smoothness": 0.005, "symmetry": 0.005,
}  # fmt: skip
_FLAME_WINDOW = (50, 206)
"""First and last row and column (without it) of the face in FLAME's layout of 256 texels."""
_PATCH = 256
_LARGEST = 0.01
"""Metres; displacement that is white or black in pictures for people."""


@dataclass(frozen=True)
class DecaDetailSettings:
    """What is trained and compared.

    Attributes:
        coarse: `network`: the coarse encoder, frozen. `truth`: what synthetic pictures were made from.
        backbone: of the encoders; ResNet-50 is the paper's.
        detail_consistency: whether all is asked for a second time with the detail codes exchanged in rings of one
            person.
        weights: of the terms.
    """

    coarse: Coarse = "network"
    backbone: Backbone = "resnet50"
    detail_consistency: bool = True
    weights: Mapping[str, float] = field(default_factory=lambda: dict(PAPER_WEIGHTS))


class Surface(NamedTuple):
    """What is known of each face before its wrinkles, each (B, ...); nothing of it has a gradient."""

    vertices: Tensor
    """(B, V, 3) metres, head space."""
    albedo: Tensor
    """(B, 3, S, S)"""
    light: Tensor
    """(B, 9, 3)"""
    photo: Tensor
    """(B, 3, S, S) in UV space."""
    visible: Tensor
    """(B, 1, S, S) 1 where the photo shows the face."""


class DecaDetailStage(Stage):
    """Detail encoder and decoder learn, all coarse codes come from what is frozen.

    Networks are named as in the published checkpoint: `deca.E_flame.*`, `deca.E_detail.*`, `deca.D_detail.*`.

    Args:
        settings: see there.
        optimiser: Adam, 1e-4 in the paper.
        model: the head with albedo and renderer.
        layout: of its codes.
        vgg: pictures (B, 3, H, W) -> two maps of features, as `VGG19Features`; frozen here. None only where the term
            `mrf` has no weight.

    Raises:
        ValueError: the term `mrf` has a weight and there is no network.
    """

    def __init__(
        self,
        settings: DecaDetailSettings,
        optimiser: OptimiserSettings,
        model: FaceModel,
        layout: CodeLayout,
        vgg: nn.Module | None,
    ) -> None:
        super().__init__(settings.weights, optimiser)
        if vgg is None and settings.weights.get("mrf"):
            raise ValueError("the term mrf needs a VGG-19")
        self.settings, self.layout = settings, layout
        self.deca = nn.Module()
        if settings.coarse == "network":
            self.deca.E_flame = face_encoder(settings.backbone, layout.coarse)
            self.freeze(self.deca.E_flame)
        self.deca.E_detail = face_encoder(settings.backbone, DETAIL)
        self.deca.D_detail = DetailDecoder(layout.detail)
        head = model.head.head
        self.model, self.uv, self.vgg = model, wrinkled(head), vgg
        self.register_buffer("mirror", mirrored_texels(head, self.uv), persistent=False)
        self.window = _window(head.id, self.uv.mask)
        self.freeze(*(part for part in (model, self.uv, vgg) if part is not None))
        self.leave_out("model", "uv", "vgg")

    @property
    def published(self) -> Mapping[str, object]:
        return {"deca_class": "DECA"}

    @torch.no_grad()
    def code(self, batch: Batch) -> FaceCode:
        """Coarse code of each picture."""
        if self.settings.coarse == "truth":
            return true_code(batch, self.layout)
        return self.layout.split(self.deca.E_flame(batch["image"]).float())

    @torch.no_grad()
    def surface(self, batch: Batch, code: FaceCode) -> Surface:
        """The coarse head, and the photo laid onto it."""
        vertices = self.model.face(code).vertices
        points = self.uv.carried(project_weak(vertices, code.camera))
        photo = torch.cat((batch["image"], batch["mask"]), 1)
        colours, facing = unwrapped(photo, points, self.uv.normals(vertices))
        visible = colours[:, 3:] * facing * self.uv.mask
        return Surface(vertices, self.model.albedo(code.albedo), code.light, colours[:, :3], visible)

    def displacement(self, code: FaceCode, detail: Tensor) -> Tensor:
        """(B, 1, 256, 256) metres, of coarse codes and detail codes (B, 128)."""
        return self.deca.D_detail(detail_input(code, detail))

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        with self.clock.part("encoder"):
            code, detail = self.code(batch), self.deca.E_detail(batch["image"]).float()
        with self.clock.part("render"), self.exactly():
            surface = self.surface(batch, code)
            if self.settings.detail_consistency:
                other = exchange(batch["person"], shuffled=self.training)
                code, surface, detail = twice(code), twice(surface), torch.cat((detail, detail[other]))
            displacement = self.displacement(code, detail)
            shading = self.shading(surface, displacement)
        with self.clock.part("losses"), self.exactly():
            return self._terms(surface, displacement, shading)

    def shading(self, surface: Surface, displacement: Tensor) -> Tensor:
        """(B, 3, S, S) of the surface with its wrinkles, in UV space."""
        normals = self.uv.detail_normals(surface.vertices, displacement)
        return sh_shading(normals.movedim(1, -1), surface.light).movedim(-1, 1)

    def _terms(self, surface: Surface, displacement: Tensor, shading: Tensor) -> dict[str, Tensor]:
        maps = (surface.albedo * shading, surface.photo, surface.visible)
        texture, photo, visible = (self.patch(each) for each in maps)
        mirrored = displacement.flatten(2)[..., self.mirror].view_as(displacement)
        terms = {
            "photometric": photometric_loss(texture, photo, visible),
            "displacement": displacement_loss(displacement),
            "smoothness": smoothness_loss(shading),
            "symmetry": symmetry_loss(displacement, surface.visible, mirrored),
        }
        if self.vgg is not None:
            with torch.no_grad():
                wanted = self.vgg(photo * visible)
            terms["mrf"] = mrf_loss(self.vgg(texture * visible), wanted)
        return terms

    def patch(self, maps: Tensor) -> Tensor:
        """(B, C, 256, 256) the face's part of UV maps."""
        rows, columns = self.window
        return functional.interpolate(maps[..., rows, columns], (_PATCH, _PATCH), mode="bilinear", align_corners=False)

    @torch.no_grad()
    def pictures(self, batch: Batch) -> dict[str, Tensor]:
        photo, code = batch["image"], self.code(batch)
        displacement = self.displacement(code, self.deca.E_detail(photo))
        face = self.model.face(code)
        coarse = self.model.render(face, code)
        detailed = self.model.render(face, code, self.uv.detail_normals(face.vertices, displacement))
        grey = (displacement / (2 * _LARGEST) + 0.5) * self.uv.covered
        return {
            "photo": photo, "coarse": coarse.image.clamp(0, 1), "detail": detailed.image.clamp(0, 1),
            "displacement": functional.interpolate(grey, photo.shape[-2:], mode="area"),
        }  # fmt: skip


def _window(head: str, mask: Tensor) -> tuple[slice, slice]:
    """Rows and columns of the face in UV maps: DECA's for FLAME, else the box around the face mask (1, 1, S, S)."""
    if head.startswith("flame"):
        side = slice(*_FLAME_WINDOW)
        return side, side
    found = mask[0, 0].nonzero()
    (top, left), (bottom, right) = found.amin(0).tolist(), (found.amax(0) + 1).tolist()
    return slice(top, bottom), slice(left, right)
