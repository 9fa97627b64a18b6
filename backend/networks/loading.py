# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place where a loaded network becomes what runs: torch on any device, onnxruntime on CPUs that have it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from backend.networks.inference import channels_last, optimised
from backend.progress import Progress, no_progress

Output = Tensor | tuple[Tensor, ...]


@dataclass(frozen=True)
class ReadyNetwork:
    """A network that runs, called as the network itself: float32 inputs (B, ...) of its device, any B.

    Attributes:
        run: what computes.
        versions: of what computes beside torch, by name, for the take.
        remark: why it does not run as it could; empty where it does.
    """

    run: Callable[[Tensor], Output]
    versions: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""

    def __call__(self, inputs: Tensor) -> Output:
        """The network's outputs, in float32 and without gradients."""
        with torch.inference_mode():
            return self.run(channels_last(inputs) if inputs.dim() == 4 else inputs)


def ready(
    network: nn.Module,
    sha256: str,
    device: torch.device,
    example_shape: tuple[int, ...],
    output_type: type[tuple] | None = None,
    progress: Progress = no_progress,
) -> ReadyNetwork:
    """What runs a network fastest with results that are the same but for rounding.

    Args:
        network: of this package, with its weights, on the CPU; it is left as it is.
        sha256: of the file that the weights came from.
        device: where it runs.
        example_shape: of one input, without the batch: (3, 224, 224) for crops.
        output_type: named tuple that the network returns; None where it returns one tensor.
        progress: told of work that takes seconds, which is done once for a file.

    Raises:
        MienError: CANCELLED.
    """
    return ReadyNetwork(optimised(network, device))
