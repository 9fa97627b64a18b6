# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks as they run: the same numbers whatever runs them, and never silently others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from backend.networks import loading, onnx_cache
from backend.networks.loading import ready
from backend.networks.onnx import onnx_installed
from backend.networks.onnx_cache import onnx_file
from backend.networks.smirk_encoder import SmirkOutput
from backend.progress import NoProgress
from blender_addon.contract.errors import ErrorCode, MienError
from tests.seeded_networks import SUBJECTS, random_input, seeded_subject

CPU = torch.device("cpu")
MLP = "emotion MLP"
needs_onnx = pytest.mark.skipif(not onnx_installed(), reason="mien[onnx] is not installed")


class Told(NoProgress):
    """Keeps what it is told, and cancels if it shall."""

    def __init__(self, cancel: bool = False) -> None:
        self.messages: list[str] = []
        self.cancel = cancel

    def __call__(self, stage: str, done: float, message: str = "") -> None:
        self.messages.append(message)

    def check_cancelled(self) -> None:
        if self.cancel:
            raise MienError(ErrorCode.CANCELLED, "Cancelled.", "")


def as_tuple(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


def check(found: loading.ReadyNetwork, network: torch.nn.Module, name: str, batch: int) -> None:
    inputs = random_input(name, batch, seed=batch)
    kept = inputs.clone()
    outputs = found(inputs)
    with torch.inference_mode():
        known = network(inputs)
    assert type(outputs) is type(known)
    assert torch.equal(inputs, kept)
    for ours, theirs in zip(as_tuple(outputs), as_tuple(known), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4 * float(theirs.abs().max()), rtol=0)


@pytest.mark.parametrize(("name", "output_type"), [("SMIRK encoder", SmirkOutput), (MLP, None)])
def test_in_torch(monkeypatch: pytest.MonkeyPatch, mien_home: Path, name: str, output_type: type | None) -> None:
    monkeypatch.setattr(loading, "onnx_installed", lambda: False)
    network = seeded_subject(name)
    network.train()
    found = ready(network, "a" * 64, CPU, SUBJECTS[name].shape, output_type)
    assert found.versions == {} and found.remark == ""
    check(found, network, name, 1)
    check(found, network, name, 3)
    assert not (mien_home / "models" / "onnx").exists()


def test_file_names_tell_weights_networks_and_versions_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_cache, "onnxruntime_version", lambda: "1")
    pose, mlp = seeded_subject("SMIRK pose encoder"), seeded_subject(MLP)
    names = [onnx_file(pose, "a"), onnx_file(pose, "b"), onnx_file(mlp, "a")]
    assert onnx_file(pose, "a") == names[0]
    monkeypatch.setattr(onnx_cache, "onnxruntime_version", lambda: "2")
    names.append(onnx_file(pose, "a"))
    assert len(set(names)) == 4
    assert names[0].name.split("-")[0] == names[3].name.split("-")[0]


@needs_onnx
class TestInOnnxruntime:
    def test_exported_once_and_the_same(self, mien_home: Path) -> None:
        network, told = seeded_subject(MLP), Told()
        older = onnx_file(network, "a" * 64)
        older.parent.mkdir(parents=True)
        older = older.with_name(older.name.split("-")[0] + "-00000000.onnx")
        older.write_bytes(b"of another version")
        found = ready(network, "a" * 64, CPU, SUBJECTS[MLP].shape, progress=told)
        assert list(found.versions) == ["onnxruntime"] and found.remark == ""
        assert len(told.messages) == 2 and not older.exists()
        check(found, network, MLP, 1)
        check(found, network, MLP, 5)
        path = onnx_file(network, "a" * 64)
        assert sorted(file.suffix for file in path.parent.iterdir()) == [".lock", ".onnx"]
        before = path.stat().st_mtime_ns
        ready(network, "a" * 64, CPU, SUBJECTS[MLP].shape, progress=told)
        assert len(told.messages) == 2 and path.stat().st_mtime_ns == before

    @pytest.mark.parametrize("damage", ["cut", "weights"])
    def test_a_damaged_file_is_made_anew(self, mien_home: Path, damage: str) -> None:
        network = seeded_subject(MLP)
        ready(network, "a" * 64, CPU, SUBJECTS[MLP].shape)
        path = onnx_file(network, "a" * 64)
        content = bytearray(path.read_bytes())
        if damage == "cut":
            path.write_bytes(content[: len(content) // 2])
        else:  # still a valid file, of other numbers
            middle = len(content) // 2
            content[middle : middle + 4096] = bytes(4096)
            path.write_bytes(content)
        found = ready(network, "a" * 64, CPU, SUBJECTS[MLP].shape)
        assert found.versions and found.remark == ""
        check(found, network, MLP, 2)

    def test_other_numbers_are_refused_once_for_all(self, mien_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        network, other, exports = seeded_subject(MLP), seeded_subject(MLP), []
        with torch.no_grad():
            other.model[0].weight[0] += 1
        export = onnx_cache.export_onnx

        def wrong(_: torch.nn.Module, example: Tensor, path: Path) -> None:
            exports.append(path)
            export(other, example, path)

        monkeypatch.setattr(onnx_cache, "export_onnx", wrong)
        for _ in range(2):
            found = ready(network, "a" * 64, CPU, SUBJECTS[MLP].shape)
            assert found.versions == {} and "differ from torch's" in found.remark
            check(found, network, MLP, 2)
        assert len(exports) == 1
        assert not onnx_file(network, "a" * 64).exists()

    def test_a_failed_export_and_a_full_disk_say_so(self, mien_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        network = seeded_subject(MLP)

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(onnx_cache, "export_onnx", full)
        found = ready(network, "a" * 64, CPU, SUBJECTS[MLP].shape)
        assert "No space left" in found.remark and not onnx_file(network, "a" * 64).with_suffix(".refused").exists()

        def fails(*_: object) -> None:
            raise RuntimeError("no such operator\nand a long story")

        monkeypatch.setattr(onnx_cache, "export_onnx", fails)
        found = ready(network, "a" * 64, CPU, SUBJECTS[MLP].shape)
        assert found.remark.endswith("no such operator")
        check(found, network, MLP, 2)

    def test_cancelled_before_the_export(self, mien_home: Path) -> None:
        with pytest.raises(MienError, match="Cancelled"):
            ready(seeded_subject(MLP), "a" * 64, CPU, SUBJECTS[MLP].shape, progress=Told(cancel=True))

    def test_threads_follow_torch(self, mien_home: Path) -> None:
        before = torch.get_num_threads()
        try:
            for threads in (1, 2):
                torch.set_num_threads(threads)
                found = ready(seeded_subject(MLP), "a" * 64, CPU, SUBJECTS[MLP].shape)
                assert found.run.threads == threads
        finally:
            torch.set_num_threads(before)

    def test_mica_runs_in_torch_which_is_faster(self, mien_home: Path) -> None:
        found = ready(seeded_subject("ArcFace"), "a" * 64, CPU, SUBJECTS["ArcFace"].shape)
        assert found.versions == {} and found.remark == ""
