# SPDX-License-Identifier: GPL-3.0-or-later
"""Swin-B, a transformer whose attention stays within windows that shift from block to block (Liu et al. 2021).

Patches of 4 pixels, windows of 7 by 7 tokens, 224 pixels. Names and shapes are those of the published file
`swin_base_patch4_window7_224`, less its classifier: `published_state` makes that file fit. Checked without that file:
87.77 million parameters with a classifier of 1000, as in the paper's table 1, outputs equal to those of timm 1.0's
network under the same random weights, and the attention against a plain computation token by token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

FEATURES = 1024
_SIDE, _PATCH, _WINDOW = 224, 4, 7
_WIDTH = 128
_DEPTHS, _HEADS = (2, 2, 18, 2), (4, 8, 16, 32)
_MLP = 4
_DROPPED = 0.5
"""Part of the time that the last block is left out in training, as the paper trains Swin-B."""
_BARRED = -100.0
"""Added to the attention between tokens that only the shift brings into one window."""

Value = TypeVar("Value")


class StochasticDepth(nn.Module):
    """In training, leaves a branch (B, ...) out for some of the images and scales it up for the others.

    Args:
        rate: the part of the images for which it is left out.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self._rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self._rate:
            return x
        kept = x.new_empty((len(x), *(1 for _ in x.shape[1:]))).bernoulli_(1 - self._rate)
        return x * kept / (1 - self._rate)


class WindowAttention(nn.Module):
    """Tokens of windows (N, 49, C) -> the same shape; each sees those of its window.

    Args:
        width: C.
        heads: among which the width is divided.
    """

    relative_position_index: Tensor

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self._heads, self._scale = heads, (width // heads) ** -0.5
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * _WINDOW - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("relative_position_index", relative_positions(_WINDOW))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attention.

        Args:
            x: (B * windows, 49, C), the windows of an image one after the other.
            mask: (windows, 49, 49) added to what the tokens make of each other; nothing by default.
        """
        query, key, value = self.qkv(x).unflatten(-1, (3, self._heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        scores = (query * self._scale) @ key.transpose(-2, -1)
        scores = scores + self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)
        if mask is not None:
            scores = (scores.unflatten(0, (-1, len(mask))) + mask[:, None]).flatten(0, 1)
        return self.proj((scores.softmax(-1) @ value).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Two layers around a GELU, token by token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, _MLP * width)
        self.fc2 = nn.Linear(_MLP * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


class SwinBlock(nn.Module):
    """Tokens (B, side * side, C) -> the same shape: attention in windows, then an MLP, each beside a shortcut.

    Args:
        width: C.
        side: of the map of tokens.
        heads: of the attention.
        shift: by how many tokens the windows are moved to the right and down.
        dropped: see `StochasticDepth`.
    """

    attn_mask: Tensor | None

    def __init__(self, width: int, side: int, heads: int, shift: int, dropped: float) -> None:
        super().__init__()
        self._side, self._shift = side, shift
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads)
        self.drop_path = StochasticDepth(dropped)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width)
        self.register_buffer("attn_mask", shift_mask(side, _WINDOW, shift) if shift else None)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self._attended(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))

    def _attended(self, x: Tensor) -> Tensor:
        x = x.unflatten(1, (self._side, self._side))
        if self._shift:
            x = x.roll((-self._shift, -self._shift), (1, 2))
        x = joined(self.attn(windows(x, _WINDOW), self.attn_mask), self._side, _WINDOW)
        if self._shift:
            x = x.roll((self._shift, self._shift), (1, 2))
        return x.flatten(1, 2)


class PatchMerging(nn.Module):
    """Tokens (B, side * side, C) -> (B, side * side / 4, 2 C): four neighbours become one."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self._side = side
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)
        self.norm = nn.LayerNorm(4 * width)

    def forward(self, x: Tensor) -> Tensor:
        x = x.unflatten(1, (self._side, self._side))
        corners = [x[:, down::2, across::2] for across in (0, 1) for down in (0, 1)]
        return self.reduction(self.norm(torch.cat(corners, -1).flatten(1, 2)))


class SwinStage(nn.Module):
    """Blocks on maps of one size, every other one shifted, and the way to the next size."""

    def __init__(self, width: int, side: int, heads: int, dropped: list[float], last: bool) -> None:
        super().__init__()
        shifts = (0, _WINDOW // 2 if side > _WINDOW else 0)
        self.blocks = nn.ModuleList(
            SwinBlock(width, side, heads, shifts[number % 2], rate) for number, rate in enumerate(dropped)
        )
        self.downsample = None if last else PatchMerging(width, side)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class PatchEmbedding(nn.Module):
    """Images (B, 3, H, W) -> tokens (B, H * W / 16, 128)."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, _WIDTH, _PATCH, _PATCH)
        self.norm = nn.LayerNorm(_WIDTH)

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.proj(images).flatten(2).transpose(1, 2))


class SwinB(nn.Module):
    """Images (B, 3, 224, 224) -> features (B, 1024), the mean of the last map's tokens.

    Args:
        dropped: see `StochasticDepth`, of the last block; those before it are left out less often, the first never.
    """

    def __init__(self, dropped: float = _DROPPED) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding()
        rates = torch.linspace(0, dropped, sum(_DEPTHS), device="cpu").tolist()
        stages = []
        for number, (depth, heads) in enumerate(zip(_DEPTHS, _HEADS, strict=True)):
            own, rates = rates[:depth], rates[depth:]
            side = _SIDE // _PATCH >> number
            stages.append(SwinStage(_WIDTH << number, side, heads, own, number == len(_DEPTHS) - 1))
        self.layers = nn.ModuleList(stages)
        self.norm = nn.LayerNorm(FEATURES)
        self.apply(_start)

    def forward(self, images: Tensor) -> Tensor:
        x = self.patch_embed(images)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x).mean(1)


def published_state(tensors: Mapping[str, Value]) -> dict[str, Value]:
    """The tensors of a published file under the names of `SwinB`.

    The classifier is left out, and so is the table `model` around all. Newer files of timm count the way to the next
    size as the beginning of a stage, the original as the end of the one before; they lack the positions and masks,
    which follow from the sizes.
    """
    plain = {name.removeprefix("model."): value for name, value in tensors.items()}
    kept = {name: value for name, value in plain.items() if not name.startswith("head.")}
    if not any(name.startswith("layers.3.downsample.") for name in kept):
        return kept
    place = re.compile(r"layers\.(\d+)\.downsample\.")
    return {place.sub(lambda found: f"layers.{int(found[1]) - 1}.downsample.", name): kept[name] for name in kept}


def windows(x: Tensor, size: int) -> Tensor:
    """Maps of tokens (B, H, W, C) -> their windows (B * H * W / size², size², C), row by row."""
    x = x.unflatten(1, (-1, size)).unflatten(3, (-1, size))
    return x.transpose(2, 3).flatten(3, 4).flatten(0, 2)


def joined(x: Tensor, side: int, size: int) -> Tensor:
    """Windows (B * side² / size², size², C) -> maps (B, side, side, C); undoes `windows`."""
    count = side // size
    x = x.unflatten(0, (-1, count, count)).unflatten(3, (size, size))
    return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def relative_positions(size: int) -> Tensor:
    """(size², size²) int64: the row of the table of biases for each pair of tokens of a window."""
    places = torch.cartesian_prod(torch.arange(size), torch.arange(size))
    apart = places[:, None] - places[None] + size - 1
    return apart[..., 0] * (2 * size - 1) + apart[..., 1]


def shift_mask(side: int, size: int, shift: int) -> Tensor:
    """(windows, size², size²) 0 for tokens that were neighbours before the shift, -100 for others.

    Args:
        side: of the map.
        size: of a window.
        shift: by which the map was rolled.
    """
    place = torch.arange(side)
    region = (place >= side - size).long() + (place >= side - shift).long()
    regions = windows((3 * region[:, None] + region[None])[None, ..., None], size)
    return torch.where(regions == regions.transpose(1, 2), 0.0, _BARRED)


def _start(module: nn.Module) -> None:
    """The paper's start: small weights, no offsets."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
