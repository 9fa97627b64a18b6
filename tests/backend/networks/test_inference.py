# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks made faster against themselves."""

from __future__ import annotations

import operator

import pytest
import torch
from torch import Tensor, nn

from backend.networks.fused import can_fuse
from backend.networks.inference import channels_last, optimised
from tests.seeded_networks import SUBJECTS, random_input, seeded_subject

LIMITS = {"SMIRK translator": 1e-3, "ArcFace": 1e-4, "MICA": 1e-4}
"""Largest difference over the largest value; deep stacks of seeded weights make much of a rounding."""


def relative(found: Tensor | tuple[Tensor, ...], known: Tensor | tuple[Tensor, ...]) -> float:
    if isinstance(known, Tensor):
        return float((found - known).abs().max() / known.abs().max())
    return max(relative(a, b) for a, b in zip(found, known, strict=True))


ONCE = [name for name in SUBJECTS if name not in ("DECA detail encoder", "EMOCA expression encoder", "ArcFace")]
"""Without graphs that another one holds."""


@torch.inference_mode()
@pytest.mark.parametrize("name", ONCE)
def test_same_results(name: str) -> None:
    network, inputs = seeded_subject(name), random_input(name, 1)
    known = network(inputs)
    faster = optimised(network)
    found = faster(channels_last(inputs) if inputs.dim() == 4 else inputs)
    assert type(found) is type(known)
    assert relative(found, known) < LIMITS.get(name, 1e-5)
    assert relative(network(inputs), known) == 0, "the original was changed"
    norms = sum(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in faster.modules())
    before = sum(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in network.modules())
    # What stands before a convolution with borders cannot be folded: ArcFace's blocks, the decoder's first layer.
    assert norms == {"ArcFace": 50, "MICA": 50, "detail decoder": 1}.get(name, 0) <= before


@torch.inference_mode()
def test_same_results_where_nothing_can_be_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on other CPUs and on GPUs."""
    monkeypatch.setattr("backend.networks.inference.can_fuse", lambda: False)
    for name in ("SMIRK encoder", "emotion network", "VGG-19 features"):
        network, inputs = seeded_subject(name), random_input(name, 1)
        assert relative(optimised(network)(channels_last(inputs)), network(inputs)) < 1e-5


@pytest.mark.skipif(not can_fuse(), reason="this torch cannot fuse convolutions on this CPU")
def test_sums_and_relus_of_a_resnet_vanish() -> None:
    graph = optimised(seeded_subject("emotion network")).graph
    targets = [node.target for node in graph.nodes if node.op == "call_function"]
    assert operator.add not in targets and operator.iadd not in targets
    assert torch.nn.functional.relu not in targets


@torch.inference_mode()
@pytest.mark.skipif(not can_fuse(), reason="this torch cannot fuse convolutions on this CPU")
def test_a_sum_with_what_comes_later_is_not_fused() -> None:
    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            kept = self.first(x)
            return torch.relu(kept + self.second(x).sigmoid()) + self.second(x)

    network, inputs = Late().eval(), torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(optimised(network)(channels_last(inputs)), network(inputs))


@torch.inference_mode()
def test_inputs_are_left_alone() -> None:
    for name in ("SMIRK encoder", "VGG-16 features"):
        inputs = channels_last(random_input(name, 1))
        before = inputs.clone()
        optimised(seeded_subject(name))(inputs)
        assert torch.equal(inputs, before)


@torch.inference_mode()
def test_half_the_precision_gives_about_the_same_in_float32() -> None:
    network, crops = seeded_subject("SMIRK encoder"), random_input("SMIRK encoder", 1)
    found, known = optimised(network, dtype=torch.bfloat16)(crops), network(crops)
    assert type(found) is type(known)
    assert {part.dtype for part in found} == {torch.float32}
    assert 1e-6 < relative(found.identity, known.identity) < 0.05


def test_it_needs_no_gradient() -> None:
    assert not any(
        parameter.requires_grad for parameter in optimised(seeded_subject("SMIRK pose encoder")).parameters()
    )
