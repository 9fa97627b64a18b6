# SPDX-License-Identifier: GPL-3.0-or-later
"""The lit, textured render that photometric losses compare with the photo (DECA, Feng et al. 2021, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.rendering.camera import project_weak
from backend.rendering.raster import interpolate, rasterize
from backend.rendering.rasterisers import Rasteriser, choose_rasteriser
from backend.rendering.shading import sh_shading, vertex_normals
from blender_addon.contract.head import HeadDescription

_UV_FACING = 0.05
"""Least normal z, head space, of a texel whose colour can be read from the photo."""


@dataclass(frozen=True)
class Render:
    """What a camera sees; 0 where the head is not.

    Attributes:
        image: (B, 3, H, W) albedo times shading.
        albedo: (B, 3, H, W)
        shading: (B, 3, H, W) not clamped.
        normals: (B, 3, H, W) unit, head space.
        alpha: (B, 1, H, W) 1 where the head is.
        mask: (B, 1, H, W) the UV mask as seen, times alpha; alpha where there is none. Without gradient, as in DECA:
            else a loss on it would fall where the face gets smaller.
        grid: (B, H, W, 2) where in the UV layout each pixel lies, as `grid_sample` takes it.
    """

    image: Tensor
    albedo: Tensor
    shading: Tensor
    normals: Tensor
    alpha: Tensor
    mask: Tensor
    grid: Tensor

    def seen(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) UV maps (B or 1, C, S, S) as the camera sees them."""
        return _seen(maps, self.grid, self.alpha)

    def over(self, photo: Tensor) -> Tensor:
        """(B, 3, H, W) the image on a photo, where the mask is."""
        return photo * (1 - self.mask) + self.image * self.mask


class FaceRenderer(nn.Module):
    """Renders heads through their UVs under a crop camera, with gradients to all arguments.

    Visibility has no gradient; colours have one through the barycentric weights, as with pytorch3d's hard rasteriser.

    Args:
        head: gives triangles and UVs.
        size: of the crop, pixels.
        mask: (1, 1, S, S) of the UVs, 1 on what is compared (DECA's face and eyes); all by default.
        rasteriser: what finds the visible triangles; see `choose_rasteriser` for what "auto" is on which device.

    Raises:
        MienError: SETUP_FAILED for a rasteriser that is not installed.
    """

    faces: Tensor
    uv: Tensor
    uv_faces: Tensor
    mask: Tensor

    def __init__(
        self, head: HeadDescription, size: int = 224, mask: Tensor | None = None, rasteriser: Rasteriser = "auto"
    ) -> None:
        super().__init__()
        choose_rasteriser(rasteriser, "cpu")  # now, not at the first picture
        self.size, self.rasteriser = size, rasteriser
        flipped = torch.from_numpy(head.uv) * torch.tensor([2.0, -2.0]) + torch.tensor([-1.0, 1.0])
        buffers = {
            "faces": torch.from_numpy(head.faces).long(),
            "uv": flipped,
            "uv_faces": torch.from_numpy(head.uv_faces).long(),
            "mask": torch.ones(1, 1, 1, 1) if mask is None else mask,
        }
        for name, tensor in buffers.items():
            self.register_buffer(name, tensor, persistent=False)

    def forward(
        self, vertices: Tensor, crop_camera: Tensor, albedo: Tensor, light: Tensor, uv_normals: Tensor | None = None
    ) -> Render:
        """Render.

        Args:
            vertices: (B, V, 3) posed, metres, head space.
            crop_camera: (B, 3) s, tx, ty.
            albedo: (B, 3, S, S) in UV space, row 0 is v = 1.
            light: (B, 9, 3) spherical harmonics.
            uv_normals: (B, 3, S, S) unit, head space, of the displaced surface (`detail_normals`), which are shaded in
                UV space as DECA does; the vertex normals by default.
        """
        visibility = choose_rasteriser(self.rasteriser, vertices.device).visible_faces
        fragments = rasterize(project_weak(vertices, crop_camera), self.faces, (self.size, self.size), visibility)
        alpha = fragments.mask[:, None].to(vertices.dtype)
        grid = interpolate(fragments, self.uv_faces, self.uv)

        def seen(maps: Tensor) -> Tensor:
            return _seen(maps, grid, alpha)

        if uv_normals is None:
            pixels = interpolate(fragments, self.faces, vertex_normals(vertices, self.faces))
            normals = functional.normalize(pixels, dim=-1, eps=1e-6).movedim(-1, 1)
            shading = alpha * _shading(normals, light)
        else:
            normals, shading = seen(uv_normals), seen(_shading(uv_normals, light))
        colour = seen(albedo)
        return Render(colour * shading, colour, shading, normals, alpha, _seen(self.mask, grid.detach(), alpha), grid)


def _seen(maps: Tensor, grid: Tensor, alpha: Tensor) -> Tensor:
    maps = maps.expand(len(grid), -1, -1, -1)
    return alpha * functional.grid_sample(maps, grid, padding_mode="border", align_corners=False)


def _shading(normals: Tensor, light: Tensor) -> Tensor:
    """(B, 3, H, W) of unit normals (B, 3, H, W)."""
    return sh_shading(normals.movedim(1, -1), light).movedim(-1, 1)


def unwrapped(photo: Tensor, uv_points: Tensor, uv_normals: Tensor) -> tuple[Tensor, Tensor]:
    """The photo in UV space, and which texels it shows.

    Args:
        photo: (B, C, H, W) the crop.
        uv_points: (B, >=2, S, S) vertices projected into the crop (`project_weak`) as UV maps.
        uv_normals: (B, 3, S, S) unit normals of the posed head, head space, as UV maps.

    Returns:
        Colours (B, C, S, S), and visibility (B, 1, S, S), 1 where the surface faces the camera. As in DECA's training,
        other parts of the head that hide a texel are not looked for.
    """
    colours = functional.grid_sample(photo, uv_points[:, :2].movedim(1, -1), align_corners=False)
    return colours, (uv_normals[:, 2:3] > _UV_FACING).to(photo.dtype)
