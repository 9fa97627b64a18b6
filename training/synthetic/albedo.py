# SPDX-License-Identifier: GPL-3.0-or-later
"""A linear albedo space of the synthetic skins: what FLAME's texture spaces are to photos, for synthetic faces."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor, nn

from backend.heads.albedo import MAP_SIZE
from blender_addon.contract.head import HeadDescription
from training.rendering.uv import UVSpace
from training.synthetic.skin import Look, draw_look, painted, surface

COMPONENTS = 50
LOOKS = 300
_STREAM = 0xA1BED0
"""Keeps the looks apart from those of `SyntheticFaces` of the same seed."""


class SkinAlbedo(nn.Module):
    """Codes (B, N) -> albedo maps (B, 3, 256, 256), RGB about [0, 1] and not clamped: mean + basis * code.

    The principal components of some hundred random looks painted in the head's UV layout; over these looks each code
    has mean 0 and variance 1. Takes some seconds to make. Same interface as `backend.heads.albedo.AlbedoSpace`.

    Codes mean something beside the space that they were found in alone: mean and basis are in the state dictionary.

    Args:
        head: one with UVs; the open head, or one that it can be registered onto.
        components: N, fewer than looks.
        looks: how many are drawn.
        seed: of the looks.

    Raises:
        MienError: BAD_HEAD for a head without UVs, or that looks like no face.
    """

    mean: Tensor
    basis: Tensor
    texels: Tensor

    def __init__(
        self, head: HeadDescription, components: int = COMPONENTS, looks: int = LOOKS, seed: int = 0
    ) -> None:
        super().__init__()
        if not 0 < components < looks:
            raise ValueError(f"{looks} looks do not make {components} components")
        self._paint = Painter(head)
        drawn = [draw_look(np.random.default_rng((_STREAM, seed, number))) for number in range(looks)]
        mean, basis = _principal(torch.stack([self._paint.texels_of(look).flatten() for look in drawn]), components)
        self.register_buffer("mean", self._paint.filled(mean.view(1, -1, 3))[0])
        self.register_buffer("basis", self._paint.filled(basis.view(components, -1, 3)))
        self.register_buffer("texels", self._paint.texels, persistent=False)

    def forward(self, codes: Tensor) -> Tensor:
        return self.mean + (codes @ self.basis.flatten(1)).unflatten(1, self.mean.shape)

    def codes_of(self, maps: Tensor) -> Tensor:
        """The codes (B, N) whose maps are nearest to given ones (B, 3, 256, 256), where the head has skin."""
        basis = self._covered(self.basis)
        return self._covered(maps - self.mean) @ basis.T / basis.square().sum(1)

    def codes_of_look(self, look: Look) -> Tensor:
        """(N,) codes of a person's look."""
        return self.codes_of(self._paint(look)[None].to(self.mean.device))[0]

    def _covered(self, maps: Tensor) -> Tensor:
        """(B, 3 * texels) values where triangles lie."""
        return maps.flatten(2)[..., self.texels].flatten(1)


_made: dict[tuple[str, str, int], SkinAlbedo] = {}


def skin_albedo(head: HeadDescription) -> SkinAlbedo:
    """The space of a head with the usual components, made once in a process, whichever copy of the head asks."""
    key = head.sha256, head.revision, len(head.uv)
    if key not in _made:
        _made[key] = SkinAlbedo(head)
    return _made[key]


class Painter:
    """Paints looks in a head's UV layout; texels that no triangle covers get the colour of the nearest that is covered.

    Args:
        head: as for `SkinAlbedo`.
    """

    def __init__(self, head: HeadDescription) -> None:
        space = UVSpace(head, MAP_SIZE, mask=torch.ones(1, 1, 1, 1))
        paint = surface(head)
        covered = space.covered[0, 0] > 0
        self.texels = covered.flatten().nonzero()[:, 0]
        carried = space.carried(torch.cat((paint.points, paint.shares, paint.colours), 1)[None])[0]
        self._places = carried.flatten(1)[:, self.texels].T.split((3, 3, 3), 1)
        nearest = distance_transform_edt(~covered.numpy(), return_distances=False, return_indices=True)
        number = torch.zeros(covered.numel(), dtype=torch.long)
        number[self.texels] = torch.arange(len(self.texels))
        self._source = number[torch.from_numpy(nearest[0].astype(np.int64) * MAP_SIZE + nearest[1])]

    def __call__(self, look: Look) -> Tensor:
        """The albedo map (3, 256, 256) of a look, sRGB 0 to 1, row 0 at v = 1."""
        return self.filled(self.texels_of(look)[None])[0]

    def texels_of(self, look: Look) -> Tensor:
        """(T, 3) colours of the texels that triangles cover."""
        return painted(look, *self._places)

    def filled(self, values: Tensor) -> Tensor:
        """Maps (B, C, 256, 256) of values (B, T, C) at the covered texels."""
        return values[:, self._source].movedim(-1, 1).contiguous()


def _principal(rows: Tensor, components: int) -> tuple[Tensor, Tensor]:
    """Mean (D,) and components (N, D) of rows (M, D), as long as the rows' standard deviation along each of them."""
    mean = rows.mean(0)
    away = rows - mean
    _, vectors = torch.linalg.eigh((away @ away.T).double())
    leading = vectors.flip(1)[:, :components].T
    largest = leading.gather(1, leading.abs().argmax(1, keepdim=True))  # is positive, whatever the solver's signs are
    return mean, (leading * largest.sign()).float() @ away / (len(rows) - 1) ** 0.5
