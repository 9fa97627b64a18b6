# SPDX-License-Identifier: GPL-3.0-or-later
"""Tensors out of the store against those that the fabricated files were written with."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tests.seeded_networks import seeded_state


def same_states(state: Mapping[str, Tensor], module: nn.Module, prefixes: tuple[str, ...] = ("",)) -> None:
    """The state loads strictly, and is bit-equal to the seeded one of each sub-module under `prefixes`."""
    module.load_state_dict(dict(state), strict=True)
    for prefix in prefixes:
        part = module.get_submodule(prefix.removesuffix(".")) if prefix else module
        wanted = seeded_state(part)
        assert {prefix + name for name in wanted} == {name for name in state if name.startswith(prefix)}
        for name, tensor in wanted.items():
            assert torch.equal(state[prefix + name], tensor), prefix + name
            assert state[prefix + name].dtype == tensor.dtype
