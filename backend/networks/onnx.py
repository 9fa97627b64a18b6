# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks run by onnxruntime, which on a CPU is faster than torch. Optional: `mien[onnx]`."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import os
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

_NEEDED = ("onnxruntime", "onnx", "onnxscript")


def onnx_installed() -> bool:
    """Whether everything that this module needs is installed."""
    return all(importlib.util.find_spec(name) is not None for name in _NEEDED)


def onnxruntime_version() -> str:
    """Version of the installed onnxruntime."""
    return importlib.metadata.version("onnxruntime")


def export_onnx(network: nn.Module, example: Tensor, path: str | os.PathLike[str]) -> None:
    """Write a network as an ONNX file for batches of any size; it takes some seconds.

    Args:
        network: one of this package, on the CPU; it is left as it is.
        example: (2, ...) an input: a batch of one would be taken for the only size.
        path: of the file, whose folder exists. The file is whole or not there.
    """
    path = Path(path)
    batch = torch.export.Dim("batch")
    unfinished = path.with_name(path.name + ".part")
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns of torchvision, which nothing here uses
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch's, about itself
            program = torch.onnx.export(
                network.eval(), (example,), dynamo=True, dynamic_shapes=({0: batch},), verbose=False,
                external_data=False,
            )  # fmt: skip
        program.save(unfinished)
        os.replace(unfinished, path)
    finally:
        logger.setLevel(level)
        unfinished.unlink(missing_ok=True)


class OnnxNetwork:
    """A network of `export_onnx` on the CPU, called as the network itself.

    Args:
        path: the file.
        output_type: named tuple that the network returns; None where it returns one tensor.
        threads: of the computation, torch's by default.
    """

    def __init__(
        self, path: str | os.PathLike[str], output_type: type[tuple] | None = None, threads: int | None = None
    ) -> None:
        import onnxruntime

        onnxruntime.disable_telemetry_events()  # which its builds for Windows send
        options = onnxruntime.SessionOptions()
        self.threads = options.intra_op_num_threads = threads or torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads must not take cores
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._output_type = output_type

    def __call__(self, inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The network's outputs for float32 inputs (B, ...) on the CPU."""
        outputs = self._session.run(None, {self._input: inputs.contiguous().numpy()})
        tensors = [torch.from_numpy(output) for output in outputs]
        if self._output_type is None:
            (tensor,) = tensors
            return tensor
        return self._output_type(*tensors)
