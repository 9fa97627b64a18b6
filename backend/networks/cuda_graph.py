# SPDX-License-Identifier: GPL-3.0-or-later
"""A network's work on a CUDA device recorded once and replayed: small networks otherwise wait for their launches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

Output = TypeVar("Output", Tensor, tuple[Tensor, ...])
_WARM_UP = 3


class RecordedNetwork(Generic[Output]):
    """Calls of a network for batches up to a size, without launching each kernel from Python.

    Args:
        network: of `backend.networks.inference.optimised`, on a CUDA device; it must not be changed afterwards.
        example: (B, ...) inputs of the largest batch, on the device, in the layout of all later ones.
    """

    def __init__(self, network: Callable[[Tensor], Output], example: Tensor) -> None:
        self._inputs = example.clone(memory_format=torch.preserve_format)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(example.device), torch.inference_mode():
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(_WARM_UP):
                    network(self._inputs)
            torch.cuda.current_stream().wait_stream(aside)
            with torch.cuda.graph(self._graph):
                self._outputs = network(self._inputs)

    def __call__(self, inputs: Tensor) -> Output:
        """Outputs for inputs (N, ...), N <= B; a smaller batch takes as long as a whole one.

        Raises:
            ValueError: more inputs than were recorded.
        """
        count = len(inputs)
        if count > len(self._inputs):
            raise ValueError(f"the network was recorded for {len(self._inputs)} inputs, not {count}")
        with torch.inference_mode():
            self._inputs[:count].copy_(inputs)
            self._graph.replay()
            if isinstance(self._outputs, Tensor):
                return self._outputs[:count].clone()
            parts = [part[:count].clone() for part in self._outputs]
        return type(self._outputs)(*parts) if hasattr(self._outputs, "_fields") else tuple(parts)
