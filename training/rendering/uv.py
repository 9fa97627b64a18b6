# SPDX-License-Identifier: GPL-3.0-or-later
"""A head's UV layout as training sees it: what lies at each texel, which texels are face, and wrinkles in them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.detail.dense import TEMPLATE_REMEDY, has_uvs
from backend.detail.displacement import Convention, detail_normals
from backend.detail.uv_maps import uv_fragments, uv_maps
from backend.rendering.raster import Fragments
from backend.rendering.shading import vertex_normals
from backend.weights.parts import Part, find
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from training.rendering.face_region import face_region


class UVSpace(nn.Module):
    """Vertex values as maps in UV space, as DECA's `world2uv`. The layout is rasterised once. Row 0 is v = 1.

    Args:
        head: gives triangles and UVs.
        size: S of the maps.
        mask: (1, 1, S, S) 1 on the face and the eyes, where it is known. By default the mask that was added for FLAME
            heads (`uv_masks`, face_eye), and where there is none, and for the open head, `face_region`.
        fixed: (S, S) metres, the displacement that all heads share; by default the one that was added for FLAME heads
            (`fixed_displacement`), and else none.

    Attributes:
        covered: (1, 1, S, S) 1 where a triangle lies.
        mask: (1, 1, S, S)
        fixed: (S, S)

    Raises:
        MienError: BAD_HEAD for a head without UVs, one that looks like no face, or damaged files.
    """

    faces: Tensor
    pix_to_face: Tensor
    bary: Tensor
    zbuf: Tensor
    covered: Tensor
    mask: Tensor
    fixed: Tensor

    def __init__(
        self, head: HeadDescription, size: int = 256, mask: Tensor | None = None, fixed: Tensor | None = None
    ) -> None:
        super().__init__()
        if not has_uvs(head):
            message = f"The head '{head.id}' has no UV layout, so nothing has a place on it."
            raise MienError(ErrorCode.BAD_HEAD, message, TEMPLATE_REMEDY)
        faces = torch.from_numpy(head.faces).long()
        fragments = uv_fragments(torch.from_numpy(head.uv), torch.from_numpy(head.uv_faces).long(), size)
        self._keep(faces=faces, covered=fragments.mask[:, None].float(), **vars(fragments))
        self._keep(
            mask=self._face(head) if mask is None else mask, fixed=self._shared(head) if fixed is None else fixed
        )

    @property
    def fragments(self) -> Fragments:
        """Which triangle each texel lies in, and where: those of one image."""
        return Fragments(self.pix_to_face, self.bary, self.zbuf)

    def carried(self, values: Tensor) -> Tensor:
        """Maps (B, C, S, S) of vertex values (B, V, C), 0 where no triangle lies."""
        return uv_maps(self.fragments, self.faces, values)

    def normals(self, vertices: Tensor) -> Tensor:
        """(B, 3, S, S) normals of a posed head (B, V, 3), head space: the vertices' between them, so not quite unit."""
        return self.carried(vertex_normals(vertices, self.faces))

    def detail_normals(self, vertices: Tensor, displacement: Tensor, convention: Convention = "emoca") -> Tensor:
        """Unit normals of the surface with its wrinkles, head space.

        Args:
            vertices: (B, V, 3) posed, metres.
            displacement: (B, 1, S, S) metres, as the detail decoder gives it; it counts where the mask is.
            convention: see `backend.detail.displacement`.

        Returns:
            (B, 3, S, S).
        """
        return detail_normals(
            self.carried(vertices), self.normals(vertices), displacement, self.fixed, self.mask, convention
        )

    def _keep(self, **tensors: Tensor) -> None:
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor, persistent=False)

    def _face(self, head: HeadDescription) -> Tensor:
        part = find("uv_masks", "face_eye") if head.id.startswith("flame") else None
        if part is not None:
            return self._map(part, "mask")[None, None]
        region = (self.carried(torch.from_numpy(face_region(head))[None, :, None]) > 0.5).float()
        # A margin of uncovered texels, so that pixels between texels at the rim of an island count as well.
        return torch.where(self.covered > 0, region, functional.max_pool2d(region, 5, 1, 2))

    def _shared(self, head: HeadDescription) -> Tensor:
        part = find("fixed_displacement") if head.id.startswith("flame") else None
        size = self.covered.shape[-1]
        return torch.zeros(size, size) if part is None else self._map(part, "displacement")

    def _map(self, part: Part, name: str) -> Tensor:
        """(S, S) of a stored map, at this size."""
        stored = part.tensors().get(name)
        if stored is None or stored.dim() != 2:
            message = f"{part.path} holds no map."
            raise MienError(ErrorCode.BAD_HEAD, message, "Add the original file again with 'mien models add'.")
        size = self.covered.shape[-1]
        return functional.interpolate(stored.float()[None, None], (size, size), mode="nearest-exact")[0, 0]
