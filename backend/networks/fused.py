# SPDX-License-Identifier: GPL-3.0-or-later
"""Convolutions with the sum and the ReLU after them in one step of oneDNN, as torch's own compiler joins them on CPUs.

torch runs them one by one and arranges each convolution's weights anew at each call; here that is done once.
"""

from __future__ import annotations

import operator

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from backend.networks.mobilenet import SameConv2d


def can_fuse() -> bool:
    """Whether this torch can: on x86 CPUs, as long as it has these operators, which are not part of its public API."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")


class FusedConvolution(nn.Module):
    """x (B, C, H, W) and, if given, a summand of the output's shape -> relu(convolution(x) + summand).

    Args:
        layer: the convolution, on the CPU in float32.
        relu: whether a ReLU follows.
    """

    def __init__(self, layer: nn.Conv2d, relu: bool) -> None:
        super().__init__()
        self._same = isinstance(layer, SameConv2d)
        self._geometry = (list(layer.padding), list(layer.stride), list(layer.dilation), layer.groups)
        self._relu = "relu" if relu else "none"
        self._bias = None if layer.bias is None else layer.bias.detach()
        weight = layer.weight.detach().contiguous(memory_format=torch.channels_last)
        self._weight = torch.ops.mkldnn._reorder_convolution_weight(weight, *self._geometry, None)

    def forward(self, x: Tensor, summand: Tensor | None = None) -> Tensor:
        if self._same:
            x = SameConv2d.padded(x)
        weights, run = (self._weight, self._bias, *self._geometry), torch.ops.mkldnn._convolution_pointwise
        if summand is None:
            return run(x, *weights, self._relu, [], None)
        then = self._relu if self._relu == "relu" else None
        return run.binary(x, summand, *weights, "add", 1.0, then, [], None)


def fuse_convolutions(module: fx.GraphModule) -> None:
    """Replace a traced module's convolutions, each with what follows it, by fused ones.

    Sums that follow convolutions must be of maps of one shape, as they are in this package.
    """
    order = {node: place for place, node in enumerate(module.graph.nodes)}
    for node in list(module.graph.nodes):
        layer = module.get_submodule(node.target) if node.op == "call_module" else None
        if not isinstance(layer, nn.Conv2d):
            continue
        joined, summand = [], None
        follower = _only_user(node)
        if follower is not None and follower.target in (operator.add, operator.iadd):
            others = [argument for argument in follower.args if argument is not node]
            if len(others) == 1 and isinstance(others[0], fx.Node) and order[others[0]] < order[node]:
                joined, summand, follower = [follower], others[0], _only_user(follower)
        relu = follower is not None and _is_relu(module, follower)
        if relu:
            joined.append(follower)
        parent, _, name = node.target.rpartition(".")
        setattr(module.get_submodule(parent), name, FusedConvolution(layer, relu))
        _join(node, joined)
        if summand is not None:
            node.args = (*node.args, summand)
    module.delete_all_unused_submodules()
    module.recompile()


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _is_relu(module: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        return isinstance(module.get_submodule(node.target), nn.ReLU)
    return node.target is functional.relu


def _join(node: fx.Node, joined: list[fx.Node]) -> None:
    """Let a node stand for those after it, which vanish."""
    if joined:
        joined[-1].replace_all_uses_with(node)
    for vanished in reversed(joined):
        vanished.graph.erase_node(vanished)
