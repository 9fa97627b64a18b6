# SPDX-License-Identifier: GPL-3.0-or-later
"""How many images a second the networks take, against plain torch in the same run.

    python3 -m tests.network_benchmarks [--device cpu|cuda] [--threads N]

It needs torch and numpy alone. "Plain" is the network as it is built: eager, float32, channels first, no TF32.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from backend.device import device_label, set_threads
from backend.networks.cuda_graph import RecordedNetwork
from backend.networks.inference import laid_out, optimised
from backend.networks.onnx import OnnxNetwork, export_onnx, onnx_installed
from backend.networks.smirk_encoder import SmirkOutput
from tests.bench_rows import row
from tests.seeded_networks import random_input, seeded_subject

ENCODERS = (
    ("DECA coarse encoder", "DECA coarse encoder (ResNet-50)"),
    ("DECA detail encoder", "DECA detail encoder (ResNet-50)"),
    ("EMOCA expression encoder", "EMOCA expression encoder (ResNet-50)"),
    ("emotion network", "emotion network (ResNet-50)"),
    ("SMIRK encoder", "SMIRK encoder (all three)"),
    ("SMIRK pose encoder", "  pose (MobileNetV3 small)"),
    ("SMIRK expression encoder", "  expression (MobileNetV3 large)"),
    ("MICA", "MICA (IResNet-100)"),
    ("detail decoder", "detail decoder"),
)
"""Networks that a capture runs, and what they are called here. EMOCA runs the first three on each crop."""
EMOCA = tuple(name for name, _ in ENCODERS[:3])
CPU_BATCHES = (1, 8, 32)
CUDA_BATCHES = (1, 64)
GOAL_BATCH, GOAL = 8, 1.5
Output = Tensor | tuple[Tensor, ...]
_SECONDS, _ROUNDS = 2.0, 5
_MATRIX = 8192


@dataclass(frozen=True)
class Timing:
    """Seconds of a call: the median, and half of the middle half's width over it."""

    median: float
    spread: float


def timings(runs: list[Callable[[], object]], device: torch.device) -> list[Timing]:
    """Seconds of each call; they take turns, so that a busy machine slows all of them."""
    for run in runs:
        run()
    times: list[list[float]] = [[] for _ in runs]
    rounds, start = 0, time.perf_counter()
    while rounds < _ROUNDS or time.perf_counter() - start < _SECONDS:
        for run, kept in zip(runs, times, strict=True):
            _finish(device)
            begun = time.perf_counter()
            run()
            _finish(device)
            kept.append(time.perf_counter() - begun)
        rounds += 1
    return [_timing(kept) for kept in times]


def _timing(times: list[float]) -> Timing:
    low, middle, high = statistics.quantiles(times, n=4)
    return Timing(middle, (high - low) / 2 / middle)


def median_seconds(runs: list[Callable[[], object]], device: torch.device) -> list[float]:
    """Medians of `timings`."""
    return [timing.median for timing in timings(runs, device)]


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def on_cpu() -> None:
    """Print images/s of each network at several batches, and how many times plain torch's that is."""
    for name, label in ENCODERS:
        _compare(label, (name,))
    _compare("whole EMOCA (its three encoders)", EMOCA)


def _compare(label: str, names: tuple[str, ...]) -> None:
    """Rows of networks that see the same inputs, one after the other."""
    plain = [seeded_subject(name).requires_grad_(False) for name in names]
    ways: dict[str, list[Callable[[Tensor], Output]]] = {"": [optimised(network) for network in plain]}
    if onnx_installed():
        ways["onnxruntime"] = [_in_onnxruntime(name, network) for name, network in zip(names, plain, strict=True)]
    for batch in CPU_BATCHES:
        inputs = random_input(names[0], batch)
        laid = {way: inputs if way else laid_out(inputs) for way in ways}
        calls = [lambda n=networks, x=laid[way]: [run(x) for run in n] for way, networks in ways.items()]
        with torch.inference_mode():
            slow, *fast = timings([lambda x=inputs: [run(x) for run in plain], *calls], torch.device("cpu"))
            known = [run(inputs) for run in plain]
            differences = [max(map(_difference, call(), known)) for call in calls]
        for way, timing, difference in zip(ways, fast, differences, strict=True):
            bound = f"{slow.median / timing.median:.2f} x plain torch"
            if batch == GOAL_BATCH:
                bound += f", goal {GOAL} x; differs by {difference:.0e}"
            value = f"{batch / timing.median:.1f} images/s"
            row(f"  {way}" if way else f"{label}, batch {batch}", value, f"+- {timing.spread:.0%}, {bound}")


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
            _allow_tf32(False)
            known = plain(inputs)
            (slow,) = median_seconds([lambda p=plain, x=inputs: p(x)], device)
            row(f"{label}, batch {batch}, plain", f"{batch / slow:.0f} images/s")
            for precision, dtype, tf32 in precisions:
                _allow_tf32(tf32)
                faster, laid = optimised(network, device, dtype), laid_out(inputs, dtype)
                recorded = RecordedNetwork(faster, laid)
                eager, fast = median_seconds([lambda f=faster, x=laid: f(x), lambda r=recorded, x=laid: r(x)], device)
                best = min(eager, fast)
                share = flops * batch / best / peaks[precision]
                bound = (
                    f"{slow / best:.2f} x plain; recorded {eager / fast:.2f} x eager; {share:.0%} of the matrix peak"
                )
                difference = _difference(recorded(laid), known)
                row(f"  {precision}", f"{batch / best:.0f} images/s", f"{bound}; differs by {difference:.0e}")
        network.cpu()
    _allow_tf32(False)


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
    (seconds,) = median_seconds([lambda: a @ b], device)
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
