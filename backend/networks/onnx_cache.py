# SPDX-License-Identifier: GPL-3.0-or-later
"""ONNX files of networks, made once for a file of weights and kept in the data folder, and never trusted unseen."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor, nn

from backend.networks.onnx import OnnxNetwork, export_onnx, onnxruntime_version
from backend.progress import Progress
from backend.setup.folder_lock import exclusive
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import atomic_write, make_folder
from blender_addon.contract.places import models_dir

TOLERANCE = 1e-4
"""Largest difference from torch over the largest value of an output; roundings make 1e-6, an error much more."""
_SMALLEST = 1e-3
"""Outputs whose largest value is below this are compared as if it were this: some are all zero."""
_FORMAT = 1
"""Raised when files of before must be made anew."""
_STAGE = "networks"

Output = Tensor | tuple[Tensor, ...]


class NotExact(Exception):
    """onnxruntime cannot run a network, or gives other numbers than torch; the text says which."""


def onnx_network(
    network: nn.Module,
    sha256: str,
    example_shape: tuple[int, ...],
    output_type: type[tuple] | None,
    progress: Progress,
) -> OnnxNetwork:
    """A network in onnxruntime, compared with torch on random inputs each time it is loaded.

    Its file is made where it is missing or does not hold what it should; files of the same weights for other versions
    are removed. What failed with these versions is remembered and not tried again.

    Args:
        network: in evaluation, on the CPU.
        sha256: of the file that the weights came from.
        example_shape: of one input.
        output_type: named tuple that the network returns, if it does.
        progress: told when a file is made.

    Raises:
        NotExact: it cannot be used, or the file cannot be written.
        MienError: CANCELLED.
    """
    path = onnx_file(network, sha256)
    refused = path.with_suffix(".refused")
    check = _check(network, example_shape)
    with suppress(NotExact):
        return _loaded(path, output_type, check)
    try:
        make_folder(path.parent)
        with exclusive(path.with_suffix(".lock"), lambda: progress(_STAGE, 0.0, "another Mien prepares the network")):
            with suppress(NotExact):  # the other one made it
                return _loaded(path, output_type, check)
            if refused.exists():
                raise NotExact(refused.read_text(encoding="utf-8"))
            progress.check_cancelled()
            progress(_STAGE, 0.0, "preparing a network for onnxruntime, which takes some seconds and is done once")
            _remove_others(path)
            try:
                _export(network, example_shape, path)
                made = _loaded(path, output_type, check)
            except NotExact as error:
                path.unlink(missing_ok=True)
                atomic_write(refused, lambda file, text=str(error): file.write(text.encode()))
                raise
            progress(_STAGE, 1.0, "the network is ready")
            return made
    except OSError as error:
        raise NotExact(f"its file {path} cannot be written ({error.strerror or error})") from error
    except MienError as error:
        if error.code is ErrorCode.CANCELLED:
            raise
        raise NotExact(error.message) from error


def onnx_file(network: nn.Module, sha256: str) -> Path:
    """Where the ONNX file of a network lies: named by its weights, its tensors and what makes and runs the file."""
    shapes = sorted((name, tuple(tensor.shape)) for name, tensor in network.state_dict().items())
    weights = hashlib.sha256(repr((sha256, type(network).__name__, shapes)).encode()).hexdigest()[:24]
    tools = hashlib.sha256(repr((_FORMAT, torch.__version__, onnxruntime_version())).encode()).hexdigest()[:8]
    return models_dir() / "onnx" / f"{weights}-{tools}.onnx"


def _check(network: nn.Module, example_shape: tuple[int, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Two random inputs, and what torch makes of them."""
    inputs = torch.rand((2, *example_shape), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return inputs, _as_tuple(network(inputs))


def _loaded(path: Path, output_type: type[tuple] | None, check: tuple[Tensor, tuple[Tensor, ...]]) -> OnnxNetwork:
    """The network of a file, if it gives what torch gives.

    Raises:
        NotExact: the file is missing, cannot be run, or gives other numbers.
    """
    if not path.exists():
        raise NotExact("there is no file yet")
    inputs, known = check
    try:
        network = OnnxNetwork(path, output_type)
        found = _as_tuple(network(inputs))
    except Exception as error:  # onnxruntime's are all its own, and any of them means: not with onnxruntime
        raise NotExact(_first_line(error)) from error
    difference = max(_difference(ours, theirs) for ours, theirs in zip(found, known, strict=True))
    if not difference <= TOLERANCE:
        raise NotExact(f"its results differ from torch's by {difference:.0e} of the largest")
    return network


def _export(network: nn.Module, example_shape: tuple[int, ...], path: Path) -> None:
    try:
        export_onnx(network, torch.zeros(2, *example_shape), path)
    except OSError:
        raise
    except Exception as error:  # whatever the exporter meets: torch runs the network just as well, only slower
        raise NotExact(_first_line(error)) from error


def _difference(found: Tensor, known: Tensor) -> float:
    if found.shape != known.shape:
        return float("inf")
    return float((found - known).abs().max() / known.abs().max().clamp_min(_SMALLEST))


def _as_tuple(outputs: Output) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _remove_others(path: Path) -> None:
    """Remove the files of the same weights that were made for other versions."""
    weights = path.name.split("-")[0]
    for other in path.parent.glob(f"{weights}-*"):
        if other.stem != path.stem:
            other.unlink(missing_ok=True)
