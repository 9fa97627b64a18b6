# SPDX-License-Identifier: GPL-3.0-or-later
"""The two camera models of the fit, with derivatives, both in crop NDC (x right, y down, [-1,1] across the crop)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from blender_addon.contract.projection import HEAD_TO_CAMERA


class Camera(Protocol):
    """Posed points (B,N,3) in head space to points (B,N,2) and relative depth (B,N), both in crop NDC units."""

    def project(self, posed: torch.Tensor, camera: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]: ...

    def linearise(
        self, posed: torch.Tensor, camera: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Also the derivative of (x, y, depth) by the point (B,N,3,3) and by the camera (B,N,3,3)."""
        ...


@dataclass(frozen=True)
class WeakPerspective:
    """s, tx, ty: x' = s (x + tx), y' = -s (y + ty), depth = -s z (DECA, scaled orthographic)."""

    def project(self, posed, camera):
        scale, shift = camera[:, None, :1], camera[:, None, 1:]
        moved = scale * (posed[..., :2] + shift)
        return moved * moved.new_tensor([1.0, -1.0]), -scale[..., 0] * posed[..., 2]

    def linearise(self, posed, camera):
        points, depth = self.project(posed, camera)
        scale = camera[:, None, 0].expand(posed.shape[:2])
        by_point = torch.diag_embed(torch.stack([scale, -scale, -scale], dim=-1))
        zero = torch.zeros_like(scale)
        moved = posed[..., :2] + camera[:, None, 1:]
        by_camera = torch.stack(
            [
                torch.stack([moved[..., 0], scale, zero], dim=-1),
                torch.stack([-moved[..., 1], zero, -scale], dim=-1),
                torch.stack([-posed[..., 2], zero, zero], dim=-1),
            ],
            dim=-2,
        )
        return points, depth, by_point, by_camera


@dataclass(frozen=True)
class Perspective:
    """A pinhole camera whose parameters are the head's translation (B,3) in camera space, metres.

    `matrix` (B,3,3) takes camera space to homogeneous crop NDC: the crop's NDC transform times K. Depth runs along
    `depth_axis` (B,3): in the direction in which a face is seen, since the detector knows the crop alone and not where
    in the picture it lies, and as long as x grows by a metre at the face.
    """

    matrix: torch.Tensor
    depth_axis: torch.Tensor

    def project(self, posed, camera):
        space = self._space(posed, camera)
        image = space @ self.matrix.mT
        return image[..., :2] / image[..., 2:], self._depth(space)

    def linearise(self, posed, camera):
        space = self._space(posed, camera)
        image = space @ self.matrix.mT
        inverse = image[..., 2:].reciprocal()
        points = image[..., :2] * inverse
        rows = (self.matrix[:, None, :2] - points[..., None] * self.matrix[:, None, 2:]) * inverse[..., None]
        depth_row = self.depth_axis[:, None, None].expand_as(rows[..., :1, :])
        by_camera = torch.cat([rows, depth_row], dim=-2)
        return points, self._depth(space), by_camera * self._flip(posed), by_camera

    def zoomed(self, change: torch.Tensor) -> Perspective:
        """The cameras with focal lengths `exp(change)` (B,) times as long; where the crops lie in the picture stays."""
        zoom = change.exp()
        matrix = torch.cat([self.matrix[..., :2] * zoom[:, None, None], self.matrix[..., 2:]], dim=-1)
        length = self.depth_axis.norm(dim=1, keepdim=True)
        axis = torch.cat([self.depth_axis[:, :2] / zoom[:, None], self.depth_axis[:, 2:]], dim=1)
        return Perspective(matrix, axis * (length / axis.norm(dim=1, keepdim=True)))

    def dollied(self, posed: torch.Tensor, camera: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
        """Translations (B,3) that keep the size of the head in the picture when the camera is `zoomed`."""
        moved = camera.clone()
        moved[:, 2] += self._distance(posed, camera) * change.expm1()
        return moved

    def by_zoom(self, posed: torch.Tensor, camera: torch.Tensor) -> torch.Tensor:
        """Derivative (B,N,3) of (x, y, depth) by the logarithm of the focal length, the head `dollied` along."""
        points, _, _, by_camera = self.linearise(posed, camera)
        along = by_camera[..., 2] * self._distance(posed, camera)[:, None, None]
        length = self.depth_axis.norm(dim=1, keepdim=True)
        ray = self.depth_axis / length
        turn = torch.cat([-ray[:, :2], torch.zeros_like(length)], dim=1)
        turn = (turn - ray * (ray * turn).sum(dim=1, keepdim=True)) * length
        depth = (self._space(posed, camera) @ turn[:, :, None])[..., 0]
        return along + torch.cat([points - self.matrix[:, None, :2, 2], depth[..., None]], dim=-1)

    def _distance(self, posed: torch.Tensor, camera: torch.Tensor) -> torch.Tensor:
        """(B,) of the middle of the landmarks along the optical axis."""
        return self._space(posed, camera)[..., 2].mean(dim=1)

    def _depth(self, space: torch.Tensor) -> torch.Tensor:
        return (space @ self.depth_axis[:, :, None])[..., 0]

    def _space(self, posed: torch.Tensor, camera: torch.Tensor) -> torch.Tensor:
        return posed * self._flip(posed) + camera[:, None]

    @staticmethod
    def _flip(like: torch.Tensor) -> torch.Tensor:
        return torch.tensor(HEAD_TO_CAMERA.diagonal().tolist(), dtype=like.dtype, device=like.device)
