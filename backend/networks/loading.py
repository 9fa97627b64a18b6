# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place where a loaded network becomes what runs: torch on any device, onnxruntime on CPUs that have it.

All compute in float32, TF32 off. bfloat16 is faster on GPUs and is not used: under seeded weights it moves coefficients
by 0.6 to 3 % of the largest, which one would see. `optimised` has it for those who want it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from backend.networks.arcface import ArcFace
from backend.networks.cuda_graph import RecordedNetwork
from backend.networks.inference import laid_out, optimised
from backend.networks.mica import Mica
from backend.networks.onnx import onnx_installed, onnxruntime_version
from backend.networks.onnx_cache import NotExact, onnx_network
from backend.progress import Progress, no_progress

Output = Tensor | tuple[Tensor, ...]

_FASTER_IN_TORCH = (ArcFace, Mica)
"""Deep stacks of 3x3 convolutions, for which onnxruntime takes a tenth longer than torch."""
_RECORDED = (1, 4, 16)
"""Batches that are recorded on CUDA. Larger ones keep the device busy while the next kernels are launched."""


@dataclass(frozen=True)
class ReadyNetwork:
    """A network that runs, called as the network itself: float32 inputs (B, ...) on its device, any B.

    Attributes:
        run: what computes.
        versions: of what computes beside torch, by name, for the take.
        remark: why it does not run as fast as it could; empty where it does.
    """

    run: Callable[[Tensor], Output]
    versions: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""

    def __call__(self, inputs: Tensor) -> Output:
        """The network's outputs, in float32 and without gradients."""
        with torch.inference_mode():
            return self.run(inputs)


def ready(
    network: nn.Module,
    sha256: str,
    device: torch.device,
    example_shape: tuple[int, ...],
    output_type: type[tuple] | None = None,
    progress: Progress = no_progress,
) -> ReadyNetwork:
    """What runs a network fastest with results that are the same but for rounding.

    Which one that is depends on the network and on what is installed, never on how fast it happened to be: takes are
    the same to the byte from run to run. It uses as many threads as torch does when this is called.

    Args:
        network: of this package, with its weights, on the CPU; it is put into evaluation and else left as it is.
        sha256: of the file that the weights came from.
        device: where it runs.
        example_shape: of one input, without the batch: (3, 224, 224) for crops.
        output_type: named tuple that the network returns; None where it returns one tensor.
        progress: told of work that takes seconds, which is done once for a file.

    Raises:
        MienError: CANCELLED.
    """
    network.eval().requires_grad_(False)
    if device.type == "cuda":
        return ReadyNetwork(_OnCuda(network, device))
    if device.type != "cpu" or isinstance(network, _FASTER_IN_TORCH) or not onnx_installed():
        return ReadyNetwork(_in_torch(network, device))
    version = onnxruntime_version()
    try:
        run = onnx_network(network, sha256, example_shape, output_type, progress)
    except NotExact as error:
        return ReadyNetwork(_in_torch(network, device), remark=f"onnxruntime {version} is not used: {error}")
    return ReadyNetwork(run, {"onnxruntime": version})


def _in_torch(network: nn.Module, device: torch.device) -> Callable[[Tensor], Output]:
    faster = optimised(network, device)
    return lambda inputs: faster(laid_out(inputs))


class _OnCuda:
    """A network on a CUDA device, in full precision, small batches recorded at their first use."""

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self._network = optimised(network, device)
        self._recorded: dict[int, RecordedNetwork] = {}

    def __call__(self, inputs: Tensor) -> Output:
        inputs = laid_out(inputs)
        size = next((size for size in _RECORDED if size >= len(inputs)), None)
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # torch's own default allows it
            if size is None:
                return self._network(inputs)
            if size not in self._recorded:
                example = inputs.new_zeros((size, *inputs.shape[1:]))
                self._recorded[size] = RecordedNetwork(self._network, laid_out(example))
            return self._recorded[size](inputs)
