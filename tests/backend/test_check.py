# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien setup` and `mien check`: what is there, what is missing, and where Blender finds the backend."""

from __future__ import annotations

import sys

import pytest

from backend import check, commands
from backend.blender_programs import BlenderProgram
from backend.cli import main
from backend.weights import landmarker
from blender_addon.contract.errors import EXIT_CODES, ErrorCode, MienError
from blender_addon.contract.places import read_backend_record


def states(output: str) -> dict[str, bool]:
    return {line[9:25].strip(): line.startswith("ok") for line in output.splitlines()}


def test_a_new_machine_lacks_model_and_record(mien_home, monkeypatch, capsys):
    monkeypatch.setattr("backend.blender_programs.find_blender", lambda: None)
    assert main(["check"]) == EXIT_CODES[ErrorCode.SETUP_FAILED]
    said = capsys.readouterr()
    found = states(said.out)
    assert found["packages"]
    assert found["device"]
    assert not found["landmark model"]
    assert str(mien_home / "models" / landmarker.FILE_NAME) in said.out  # where to put it by hand
    assert not found["record"]
    assert "landmark model, record" in said.err


def test_a_wrong_model_is_noticed(mien_home, monkeypatch):
    models = mien_home / "models"
    models.mkdir(parents=True)
    (models / landmarker.FILE_NAME).write_bytes(b"another")
    good, state = check._landmark_model()
    assert not good
    assert "hash differs" in state


def test_a_record_of_a_backend_that_was_removed_is_noticed(mien_home, monkeypatch):
    monkeypatch.setattr(commands.sys, "executable", str(mien_home / "gone" / "python"))
    commands.record_backend()
    assert not check._record()[0]


def test_a_missing_package_does_not_stop_the_check(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # what makes an import of it fail
    finding = check._guarded("packages", check._packages)
    assert not finding.good
    assert "torch" in finding.state


def test_setup_fetches_the_model_and_tells_blender(mien_home, monkeypatch, capsys, repository):
    monkeypatch.setattr(landmarker, "landmarker_file", lambda progress: mien_home / "models" / "face.task")
    assert main(["setup"]) == 0
    record = read_backend_record()
    assert (record.python, record.root) == (sys.executable, str(repository))
    assert "face.task" in capsys.readouterr().out


def test_setup_for_blend_prepares_blender(mien_home, monkeypatch, capsys):
    monkeypatch.setattr(landmarker, "landmarker_file", lambda progress: mien_home / "face.task")
    program = BlenderProgram("/somewhere/blender", (4, 2, 3), is_module=False)
    monkeypatch.setattr(commands, "prepare_blender", lambda asked, progress: program)
    assert main(["setup", "--blend"]) == 0
    assert "Blender 4.2.3: /somewhere/blender" in capsys.readouterr().out


@pytest.mark.parametrize("code", [ErrorCode.NO_NETWORK, ErrorCode.WRONG_HASH])
def test_a_failing_setup_says_so_and_records_nothing(mien_home, monkeypatch, code, capsys):
    def fail(progress):
        raise MienError(code, "It failed.", "Try again.")

    monkeypatch.setattr(landmarker, "landmarker_file", fail)
    assert main(["setup"]) == EXIT_CODES[code]
    assert capsys.readouterr().err.endswith("mien: It failed. Try again.\n")
    assert read_backend_record() is None


class TestSetupForRay:
    @pytest.fixture(autouse=True)
    def nothing_is_fetched(self, mien_home, monkeypatch):
        monkeypatch.setattr(landmarker, "landmarker_file", lambda progress: mien_home / "face.task")

    def test_its_lock_is_added_to_our_environment(self, tmp_path, monkeypatch):
        asked = []
        monkeypatch.setattr(commands, "ensure_runtime", lambda root, progress, locks: asked.append((root, locks)))
        monkeypatch.setattr(commands, "ROOT", tmp_path)
        monkeypatch.setattr(commands.sys, "prefix", str(tmp_path / ".venv"))
        assert main(["setup", "--ray"]) == 0
        assert asked == [(tmp_path, ("ray.txt",))]

    def test_an_environment_of_somebody_else_is_left_alone(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(commands.sys, "prefix", str(tmp_path / "elsewhere"))
        assert main(["setup", "--ray"]) == EXIT_CODES[ErrorCode.SETUP_FAILED]
        assert "pip install 'mien[ray]'" in capsys.readouterr().err

    def test_other_extras(self, tmp_path, monkeypatch, capsys):
        asked = []
        monkeypatch.setattr(commands, "ensure_runtime", lambda root, progress, locks: asked.append(locks))
        monkeypatch.setattr(commands, "ROOT", tmp_path)
        monkeypatch.setattr(commands.sys, "prefix", str(tmp_path / ".venv"))
        assert main(["setup", "--onnx", "--fan"]) == 0
        assert asked == [("onnx.txt", "fan.txt")]
        monkeypatch.setattr(commands.sys, "prefix", str(tmp_path / "elsewhere"))
        assert main(["setup", "--fan"]) == EXIT_CODES[ErrorCode.SETUP_FAILED]
        assert "--no-deps face-alignment" in capsys.readouterr().err
