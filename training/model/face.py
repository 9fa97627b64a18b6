# SPDX-License-Identifier: GPL-3.0-or-later
"""From codes to vertices, landmarks and a lit render, with gradients (DECA, Feng et al. 2021, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from backend.heads.model import HeadModel
from backend.rendering.camera import project_weak
from blender_addon.contract.head import HeadDescription
from training.model.layout import FaceCode
from training.rendering.renderer import FaceRenderer, Render

POINTS = "ibug68"
MESH_POINTS = "mediapipe478"


@dataclass(frozen=True)
class Face:
    """A posed head under its crop camera.

    Attributes:
        vertices: (B, V, 3) metres, head space.
        landmarks: (B, 68, 2) crop NDC, x right, y down.
    """

    vertices: Tensor
    landmarks: Tensor


class FaceModel(nn.Module):
    """A head with an albedo space, and the renderer that shows it. Nothing of it is trained.

    Args:
        head: with UVs and the 68 landmarks.
        albedo: codes (B, N) -> maps (B, 3, S, S).
        size: of the crop, pixels.
        mask: (1, 1, S, S) of the UVs: what is compared with photos.

    Raises:
        ValueError: the head lacks UVs or landmarks.
    """

    def __init__(
        self, head: HeadDescription, albedo: nn.Module, size: int = 224, mask: Tensor | None = None
    ) -> None:
        super().__init__()
        if POINTS not in head.landmarks or not len(head.uv):
            raise ValueError(f"the head {head.id} lacks {'UVs' if POINTS in head.landmarks else 'the 68 landmarks'}")
        self.head = HeadModel(head)
        self.albedo = albedo
        self.renderer = FaceRenderer(head, size, mask)

    def face(self, code: FaceCode) -> Face:
        """Pose and project."""
        vertices = self.head(
            identity=code.identity, expression=code.expression, head_rotation=code.head_rotation, jaw=code.jaw,
            eyes=code.eyes, eyelids=code.eyelids if code.eyelids.shape[1] else None,
        ).vertices  # fmt: skip
        return Face(vertices, self.points(vertices, code, POINTS))

    def points(self, vertices: Tensor, code: FaceCode, embedding: str) -> Tensor:
        """(B, N, 2) landmarks of an embedding of the head in crop NDC."""
        return project_weak(self.head.landmarks(vertices, embedding), code.camera)[..., :2]

    def render(self, face: Face, code: FaceCode, uv_normals: Tensor | None = None) -> Render:
        """What the camera sees; see `FaceRenderer`."""
        return self.renderer(face.vertices, code.camera, self.albedo(code.albedo), code.light, uv_normals)


def expressed(model: HeadModel, code: FaceCode) -> Tensor:
    """(B, V, 3) expression and lids on the mean face at rest: what two expressions differ by, and nothing else."""
    return model(expression=code.expression, eyelids=code.eyelids if code.eyelids.shape[1] else None).vertices
