# SPDX-License-Identifier: GPL-3.0-or-later
"""How many images a second the networks take, against plain torch in the same run.

    python3 -m tests.network_benchmarks [--device cpu|cuda] [--threads N]

It needs torch and numpy alone. "Plain" is the network as it is built: eager, float32, channels first, no TF32.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from backend.device import device_label, set_threads
from backend.networks.cuda_graph import RecordedNetwork
from backend.networks.inference import channels_last, optimised
from backend.networks.onnx import OnnxNetwork, export_onnx, onnx_installed
from backend.networks.smirk_encoder import SmirkOutput
from tests.bench_rows import row
from tests.seeded_networks import random_input, seeded_subject

ENCODERS = (
    ("DECA coarse encoder", "DECA, EMOCA encoder (ResNet-50)"),
    ("emotion network", "emotion network (ResNet-50)"),
    ("SMIRK encoder", "SMIRK encoder (all three)"),
    ("SMIRK pose encoder", "  pose (MobileNetV3 small)"),
    ("SMIRK expression encoder", "  expression (MobileNetV3 large)"),
    ("MICA", "MICA (IResNet-100)"),
    ("detail decoder", "detail decoder"),
)
"""Networks that a capture runs, and what they are called here. The encoders of identity, detail and EMOCA's expression
are the same graphs."""
CPU_BATCHES = (1, 8, 32)
CUDA_BATCHES = (1, 64)
GOAL_BATCH, GOAL = 8, 1.5
Output = Tensor | tuple[Tensor, ...]
_SECONDS = 2.0
_MATRIX = 8192


def best_seconds(runs: list[Callable[[], object]], device: torch.device) -> list[float]:
    """Shortest seconds of each call; they take turns, so that a busy machine slows all of them."""
    for run in runs:
        run()
    best = [float("inf")] * len(runs)
    rounds, start = 0, time.perf_counter()
    while rounds < 3 or time.perf_counter() - start < _SECONDS:
        for index, run in enumerate(runs):
            _finish(device)
            begun = time.perf_counter()
            run()
            _finish(device)
            best[index] = min(best[index], time.perf_counter() - begun)
        rounds += 1
    return best


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def on_cpu() -> None:
    """Print images/s of each network at several batches, and how many times plain torch's that is."""
    device = torch.device("cpu")
    for name, label in ENCODERS:
        plain = seeded_subject(name).requires_grad_(False)
        ways: dict[str, Callable[[Tensor], Output]] = {"": optimised(plain)}
        if onnx_installed():
            ways["onnxruntime"] = _in_onnxruntime(name, plain)
        for batch in CPU_BATCHES:
            inputs = random_input(name, batch)
            laid = {way: inputs if way else _laid_out(inputs) for way in ways}
            calls = [lambda f=network, x=laid[way]: f(x) for way, network in ways.items()]
            with torch.inference_mode():
                slow, *fast = best_seconds([lambda p=plain, x=inputs: p(x), *calls], device)
                differences = [_difference(call(), plain(inputs)) for call in calls]
            for way, seconds, difference in zip(ways, fast, differences, strict=True):
                bound = f"{slow / seconds:.2f} x plain torch"
                if batch == GOAL_BATCH:
                    bound += f", goal {GOAL} x; differs by {difference:.0e}"
                row(f"  {way}" if way else f"{label}, batch {batch}", f"{batch / seconds:.1f} images/s", bound)


def _in_onnxruntime(name: str, network: nn.Module) -> OnnxNetwork:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        export_onnx(network, random_input(name, 2), path)
        return OnnxNetwork(path, SmirkOutput if name == "SMIRK encoder" else None)


@torch.inference_mode()
def on_cuda(device: torch.device) -> None:
    """Print images/s of each network in several precisions, against plain torch and the card's matrix products."""
    torch.backends.cudnn.benchmark = True
    # Not float16: activations under seeded weights leave its range.
    precisions = (
        ("float32", torch.float32, False),
        ("TF32", torch.float32, True),
        ("bfloat16", torch.bfloat16, True),
    )
    peaks = {}
    for label, dtype, tf32 in precisions:
        _allow_tf32(tf32)
        peaks[label] = _matmul_flops(device, dtype)
        row(f"matrix product {_MATRIX}^3, {label}", f"{peaks[label] / 1e12:.0f} TFLOP/s")
    for name, label in ENCODERS:
        network = seeded_subject(name)
        flops = _flops(network, random_input(name, 1))
        plain = network.to(device)
        for batch in CUDA_BATCHES:
            inputs = random_input(name, batch).to(device)
            laid = _laid_out(inputs)
            _allow_tf32(False)
            known = plain(inputs)
            (slow,) = best_seconds([lambda p=plain, x=inputs: p(x)], device)
            row(f"{label}, batch {batch}, plain", f"{batch / slow:.0f} images/s")
            for precision, dtype, tf32 in precisions:
                _allow_tf32(tf32)
                faster = optimised(network, device, dtype)
                recorded = RecordedNetwork(faster, laid)
                eager, fast = best_seconds([lambda f=faster, x=laid: f(x), lambda r=recorded, x=laid: r(x)], device)
                best = min(eager, fast)
                share = flops * batch / best / peaks[precision]
                bound = (
                    f"{slow / best:.2f} x plain; recorded {eager / fast:.2f} x eager; {share:.0%} of the matrix peak"
                )
                difference = _difference(recorded(laid), known)
                row(f"  {precision}", f"{batch / best:.0f} images/s", f"{bound}; differs by {difference:.0e}")
        network.cpu()
    _allow_tf32(False)


def _laid_out(inputs: Tensor) -> Tensor:
    return channels_last(inputs) if inputs.dim() == 4 else inputs


def _allow_tf32(allowed: bool) -> None:
    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cuda.matmul.allow_tf32 = allowed


def _difference(found: Output, known: Output) -> float:
    """Largest difference over the largest value."""
    if isinstance(known, Tensor):
        return float((found - known).abs().max() / known.abs().max())
    return max(_difference(a, b) for a, b in zip(found, known, strict=True))


def _flops(network: nn.Module, inputs: Tensor) -> int:
    """Floating-point operations for one image, a multiplication with its addition as two."""
    with FlopCounterMode(display=False) as counter:
        network(inputs)
    return counter.get_total_flops()


def _matmul_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of a large matrix product of random numbers."""
    a, b = (torch.randn(_MATRIX, _MATRIX, device=device, dtype=dtype) for _ in range(2))
    (seconds,) = best_seconds([lambda: a @ b], device)
    return 2 * _MATRIX**3 / seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="network_benchmarks", description="Images a second of the networks.")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="CPU threads; all cores less one by default")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    threads = set_threads(arguments.threads)
    print(f"torch {torch.__version__}, {device_label(device)}, {threads} threads")
    if device.type == "cuda":
        on_cuda(device)
    else:
        on_cpu()


if __name__ == "__main__":
    main()
