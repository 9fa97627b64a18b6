# SPDX-License-Identifier: GPL-3.0-or-later
"""Swin-B: its names and size, and its windows against attention computed token by token."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from backend.networks.swin import (
    StochasticDepth,
    SwinB,
    SwinBlock,
    WindowAttention,
    joined,
    published_state,
    relative_positions,
    shift_mask,
    windows,
)
from tests.seeded_networks import seeded_state

PUBLISHED = {
    "patch_embed.proj.weight": (128, 3, 4, 4),
    "patch_embed.norm.bias": (128,),
    "layers.0.blocks.0.attn.relative_position_bias_table": (169, 4),
    "layers.0.blocks.0.attn.relative_position_index": (49, 49),
    "layers.0.blocks.1.attn_mask": (64, 49, 49),
    "layers.1.blocks.1.attn_mask": (16, 49, 49),
    "layers.2.blocks.17.attn_mask": (4, 49, 49),
    "layers.0.downsample.reduction.weight": (256, 512),
    "layers.2.downsample.norm.weight": (2048,),
    "layers.2.blocks.17.attn.qkv.bias": (1536,),
    "layers.2.blocks.17.mlp.fc1.weight": (2048, 512),
    "layers.3.blocks.1.attn.proj.weight": (1024, 1024),
    "layers.3.blocks.1.mlp.fc2.weight": (1024, 4096),
    "norm.weight": (1024,),
}
"""Some of the tensors of `swin_base_patch4_window7_224`."""
SIDE, WINDOW, WIDTH, HEADS = 14, 7, 16, 2
BUFFERS = ("attn.relative_position_index", "attn_mask")


def block(shift: int) -> SwinBlock:
    module = SwinBlock(WIDTH, SIDE, HEADS, shift, 0.0)
    own = module.state_dict()
    state = {name: own[name] if name in BUFFERS else value for name, value in seeded_state(module).items()}
    module.load_state_dict(state | {"attn.qkv.weight": 0.2 * state["attn.qkv.weight"]})  # no token sees only one other
    return module.eval()


def tokens(seed: int = 0) -> Tensor:
    return torch.randn(2, SIDE * SIDE, WIDTH, generator=torch.Generator().manual_seed(seed))


def groups(shift: int) -> Tensor:
    """(196,) which tokens see each other: rows and columns are cut at `shift`, `shift` + 7, ..."""
    cut = torch.div(torch.arange(SIDE) - shift, WINDOW, rounding_mode="floor")
    return (10 * cut[:, None] + cut[None]).flatten()


def reference(attention: WindowAttention, x: Tensor, shift: int) -> Tensor:
    """Attention among all tokens of a map, of which those of other groups are left out; nothing is rolled or cut."""
    weights = attention.state_dict()
    query, key, value = functional.linear(x, weights["qkv.weight"], weights["qkv.bias"]).split(WIDTH, -1)
    place = torch.cartesian_prod(torch.arange(SIDE), torch.arange(SIDE))
    apart = (place[:, None] - place[None]).clamp(-WINDOW + 1, WINDOW - 1) + WINDOW - 1
    table = weights["relative_position_bias_table"].view(2 * WINDOW - 1, 2 * WINDOW - 1, HEADS)
    seen = groups(shift)[:, None] == groups(shift)[None]
    width, parts = WIDTH // HEADS, []
    for head in range(HEADS):
        own = slice(head * width, (head + 1) * width)
        scores = query[..., own] @ key[..., own].transpose(1, 2) / width**0.5
        scores = scores + table[apart[..., 0], apart[..., 1], head]
        parts.append(scores.masked_fill(~seen, -torch.inf).softmax(-1) @ value[..., own])
    return functional.linear(torch.cat(parts, -1), weights["proj.weight"], weights["proj.bias"])


@pytest.fixture(scope="module")
def network() -> SwinB:
    torch.manual_seed(0)
    return SwinB()


def test_names_shapes_and_size_are_the_published_ones(network: SwinB) -> None:
    state = network.state_dict()
    assert {name: tuple(state[name].shape) for name in PUBLISHED} == PUBLISHED
    assert len(state) == 24 * 14 + 11 + 9 + 4 + 2
    assert sum("attn_mask" in name for name in state) == 11, "the last stage is one window and does not shift"
    classifier = 1024 * 1000 + 1000
    assert sum(parameter.numel() for parameter in network.parameters()) + classifier == 87_768_224


@torch.inference_mode()
@pytest.mark.parametrize("shift", [0, 3])
def test_attention_is_what_it_is_token_by_token(shift: int) -> None:
    module, x = block(shift), tokens()
    torch.testing.assert_close(module._attended(x), reference(module.attn, x, shift), atol=1e-5, rtol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("shift", [0, 3])
@pytest.mark.parametrize("place", [0, 20, 3 * SIDE + 3, SIDE * SIDE - 1])
def test_nothing_leaks_into_other_windows(shift: int, place: int) -> None:
    """Not even from the other side of the picture, which the roll puts into the same window."""
    module, x = block(shift), tokens()
    changed = x.clone()
    changed[0, place] = tokens(1)[0, place]
    moved = (module(changed) - module(x)).abs().amax(-1) > 0
    own = groups(shift) == groups(shift)[place]
    assert torch.equal(moved[0], own)
    assert not moved[1].any()


def test_windows_and_positions() -> None:
    maps = torch.arange(2 * 14 * 21 * 1.0).view(2, 14, 21, 1)
    cut = windows(maps, 7)
    assert cut.shape == (12, 49, 1)
    assert torch.equal(cut[1, :7, 0], maps[0, 0, 7:14, 0])
    square = torch.rand(3, 14, 14, 5)
    assert torch.equal(joined(windows(square, 7), 14, 7), square)
    index = relative_positions(7)
    assert index.min() == 0 and index.max() == 168
    assert (index + index.T == 168).all(), "there and back are opposite places of the table"
    assert len(torch.unique(index[24])) == 49, "from the middle every place is another one"


def test_masks_bar_only_windows_that_wrap() -> None:
    mask = shift_mask(56, 7, 3)
    barred = (mask != 0).flatten(1).any(1).view(8, 8)
    assert barred[-1].all() and barred[:, -1].all()
    assert not barred[:-1, :-1].any()
    assert torch.equal(mask, mask.transpose(1, 2))


def test_a_photo_and_its_gradients(network: SwinB) -> None:
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    network.eval()
    with torch.inference_mode():
        both = network(images)
        assert both.shape == (2, 1024)
        assert torch.equal(network(images), both)
        torch.testing.assert_close(network(images[1:])[0], both[1], atol=1e-5, rtol=1e-4)
    network.train()
    image = images[:1].requires_grad_()
    network(image).square().sum().backward()
    assert image.grad.isfinite().all() and image.grad.abs().max() > 0
    gradients = [parameter.grad for parameter in network.parameters()]
    assert all(gradient is None or gradient.isfinite().all() for gradient in gradients)
    assert network.patch_embed.proj.weight.grad.abs().max() > 0
    with torch.no_grad():
        assert not torch.equal(network(image), network(image)), "blocks are left out at random"


def test_stochastic_depth_leaves_whole_images_out_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    module, x = StochasticDepth(0.25), torch.ones(4000, 3, 2)
    found = module(x)
    assert sorted(found.unique().tolist()) == pytest.approx([0, 1 / 0.75])
    assert torch.equal(found.amin((1, 2)), found.amax((1, 2)))
    assert found.mean().item() == pytest.approx(1, abs=0.03)
    assert torch.equal(module.eval()(x), x)


def test_both_layouts_of_published_files_fit(network: SwinB) -> None:
    own = network.state_dict()
    original = dict(own) | {"head.weight": torch.zeros(1000, 1024), "head.bias": torch.zeros(1000)}
    assert published_state(original).keys() == own.keys()
    newer = {"head.fc.weight": torch.zeros(1000, 1024)}
    for name, value in own.items():
        if not name.endswith(BUFFERS):
            words = name.split(".")
            if words[2:3] == ["downsample"]:
                words[1] = str(int(words[1]) + 1)
            newer[".".join(words)] = value
    renamed = published_state(newer)
    assert renamed.keys() == {name for name in own if not name.endswith(BUFFERS)}
    name = "layers.0.downsample.reduction.weight"
    assert torch.equal(renamed[name], own[name])
