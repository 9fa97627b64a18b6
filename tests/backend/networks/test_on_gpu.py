# SPDX-License-Identifier: GPL-3.0-or-later
"""Every network on a CUDA device against the CPU; it needs torch, numpy and pytest alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from backend.networks.cuda_graph import RecordedNetwork
from backend.networks.inference import laid_out, optimised
from backend.networks.loading import ready
from tests.seeded_networks import SUBJECTS, random_input, seeded_subject

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device on this machine")

LIMIT = 1e-4
DEEP = {"SMIRK translator": 1e-2, "ArcFace": 1e-3, "MICA": 1e-3}
"""Stacks of seeded weights in which a rounding grows; the published tolerance for ArcFace is 1e-3."""


@pytest.fixture(autouse=True)
def full_precision() -> Iterator[None]:
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False), torch.inference_mode():
        yield


def relative(found: Tensor | tuple[Tensor, ...], known: Tensor | tuple[Tensor, ...]) -> float:
    if isinstance(known, Tensor):
        return float((found.cpu() - known).abs().max() / known.abs().max())
    assert type(found) is type(known)
    return max(relative(a, b) for a, b in zip(found, known, strict=True))


@pytest.mark.parametrize("name", SUBJECTS)
def test_same_results_as_on_the_cpu(name: str) -> None:
    network, inputs = seeded_subject(name), random_input(name, 2)
    known, limit = network(inputs), DEEP.get(name, LIMIT)
    there = inputs.cuda()
    laid = laid_out(there)
    faster = optimised(network, "cuda")
    recorded = RecordedNetwork(faster, laid)
    assert relative(faster(laid), known) < limit
    assert relative(recorded(laid), known) < limit
    assert relative(network.cuda()(there), known) < limit


def test_a_recorded_network_takes_smaller_batches_and_new_values() -> None:
    network, name = seeded_subject("SMIRK encoder"), "SMIRK encoder"
    faster = optimised(network, "cuda")
    recorded = RecordedNetwork(faster, laid_out(random_input(name, 4).cuda()))
    first = recorded(random_input(name, 1, seed=1).cuda())
    other = laid_out(random_input(name, 3, seed=2).cuda())
    assert relative(recorded(other), tuple_on_cpu(faster(other))) < LIMIT
    assert relative(first, network(random_input(name, 1, seed=1))) < LIMIT
    with pytest.raises(ValueError, match="recorded for 4"):
        recorded(random_input(name, 5).cuda())


@pytest.mark.parametrize("name", ["SMIRK encoder", "DECA coarse encoder"])
def test_ready_at_any_batch_in_full_precision(name: str) -> None:
    network = seeded_subject(name)
    found = ready(network, "0" * 64, torch.device("cuda"), SUBJECTS[name].shape)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=True):  # torch's default, which must not count
        for batch in (1, 3, 20, 2):
            inputs = random_input(name, batch, seed=batch)
            assert relative(found(inputs.cuda()), network(inputs)) < LIMIT


def tuple_on_cpu(parts: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return type(parts)(*(part.cpu() for part in parts))


def test_half_the_precision() -> None:
    network, crops = seeded_subject("SMIRK encoder"), random_input("SMIRK encoder", 2)
    found, known = optimised(network, "cuda", torch.bfloat16)(crops.cuda()), network(crops)
    for part in ("head_rotation", "identity", "expression"):  # the others are clamped
        assert relative(getattr(found, part), getattr(known, part)) < 0.05
