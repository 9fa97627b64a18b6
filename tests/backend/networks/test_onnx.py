# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks in onnxruntime against torch; skipped where the extra is not installed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from backend.networks.onnx import OnnxNetwork, export_onnx, onnx_installed
from backend.networks.smirk_encoder import SmirkOutput
from tests.seeded_networks import random_input, seeded_subject

LIMIT = 5e-5
needs_onnx = pytest.mark.skipif(not onnx_installed(), reason="mien[onnx] is not installed")


@needs_onnx
@pytest.mark.parametrize(
    ("name", "output_type"), [("SMIRK encoder", SmirkOutput), ("detail decoder", None), ("DECA coarse encoder", None)]
)
def test_same_results_at_any_batch(tmp_path: Path, name: str, output_type: type | None) -> None:
    network = seeded_subject(name)
    export_onnx(network, random_input(name, 2), tmp_path / "network.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["network.onnx"]
    session = OnnxNetwork(tmp_path / "network.onnx", output_type)
    for batch in (1, 3):
        inputs = random_input(name, batch, seed=batch)
        with torch.inference_mode():
            known = network(inputs)
        found = session(inputs)
        assert type(found) is type(known)
        for ours, theirs in zip(found, known, strict=True):
            torch.testing.assert_close(ours, theirs, atol=LIMIT * float(theirs.abs().max()), rtol=0)


@needs_onnx
def test_a_failed_export_leaves_nothing(tmp_path: Path) -> None:
    network = seeded_subject("emotion MLP")
    with pytest.raises(Exception, match="(?i)shape|size|mat|export"):
        export_onnx(network, torch.zeros(2, 7), tmp_path / "network.onnx")
    assert not list(tmp_path.iterdir())
