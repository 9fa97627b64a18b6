# SPDX-License-Identifier: GPL-3.0-or-later
"""The `mien` command around the chain: what it writes, prints and returns. The chain itself is stood in for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from backend import capture_files, commands, outputs
from backend.blender import SceneFiles
from backend.blender_programs import BlenderProgram
from backend.cli import main
from blender_addon.contract.errors import EXIT_CODES, ErrorCode, MienError
from blender_addon.contract.places import read_backend_record


@dataclass
class Chain:
    """Stands in for the session and the pipeline; remembers what it was asked."""

    faces: int = 1
    failure: BaseException | None = None
    report: dict[str, object] = field(default_factory=dict)
    options: list[object] = field(default_factory=list)
    during: list[object] = field(default_factory=list)

    def capture(self, session, options, progress):
        self.options.append(options)
        progress("faces", 0.5, "Finding faces")
        for action in self.during:
            action()
        if self.failure is not None:
            raise self.failure
        takes = tuple(
            SimpleNamespace(save=lambda path, n=n: path.write_text(f"take {n}"), extra={}) for n in range(self.faces)
        )
        faces = [{"face": n + 1, "landmark_error": 0.021, "confidence": 0.9} for n in range(self.faces)]
        report = {"seconds": {"read": 0.1}, "faces": faces, "found": [[0, 0, 1, 1]] * 3} | self.report
        photo = SimpleNamespace(path=options.source, pixels=np.zeros((2, 3, 3), np.uint8))
        return SimpleNamespace(
            takes=takes, report=report, picture=photo, contact_sheet=None, of_clip="clip" in report
        )

    def draw_overlay(self, session, result):
        return np.full((4, 5, 3), 128, np.uint8)

    def session(self, device, threads):
        head = SimpleNamespace(save=lambda path: path.write_bytes(b"head"))
        return SimpleNamespace(head=lambda name: head, close=lambda: None)


@pytest.fixture
def chain(monkeypatch, mien_home) -> Chain:
    made = Chain()
    pipeline = SimpleNamespace(capture=made.capture, draw_overlay=made.draw_overlay)
    monkeypatch.setitem(sys.modules, "backend.pipeline", pipeline)
    monkeypatch.setitem(sys.modules, "backend.session", SimpleNamespace(Session=made.session))
    return made


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "photos" / "anna.jpg"
    path.parent.mkdir()
    path.write_bytes(b"stands for a photo")
    return path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


RESULTS = {"anna.take.npz", "anna.overlay.png", "anna.report.json"}


class TestResults:
    def test_next_to_the_photo(self, chain, photo, capsys):
        assert main(["capture", str(photo)]) == 0
        assert names(photo.parent) == {"anna.jpg"} | RESULTS
        said = capsys.readouterr()
        assert "landmark error 2.1 %" in said.out
        assert "--all-faces" in said.out  # three were found, one was captured
        assert str(photo.with_name("anna.take.npz")) in said.out
        assert "Finding faces" in said.err

    def test_in_a_folder_that_is_made(self, chain, photo, tmp_path):
        out = tmp_path / "new" / "folder"
        assert main(["capture", str(photo), "--out", str(out)]) == 0
        assert names(out) == RESULTS
        assert names(photo.parent) == {"anna.jpg"}

    def test_the_report_has_all_stages(self, chain, photo):
        main(["capture", str(photo)])
        report = json.loads(photo.with_name("anna.report.json").read_text())
        assert set(report["seconds"]) == {"read", "start", "overlay", "total"}

    def test_every_face_has_its_take(self, chain, photo):
        chain.faces = 3
        assert main(["capture", str(photo), "--all-faces"]) == 0
        takes = {"anna.take.npz", "anna.face2.take.npz", "anna.face3.take.npz"}
        assert names(photo.parent) == {"anna.jpg"} | RESULTS | takes
        assert photo.with_name("anna.face3.take.npz").read_text() == "take 2"

    def test_options_reach_the_chain(self, chain, photo):
        main(["capture", str(photo), "--face", "2", "--focal", "85", "--device", "cpu"])
        (options,) = chain.options
        assert (options.source, options.face, options.focal_mm, options.device) == (str(photo), 2, 85.0, "cpu")

    def test_blender_is_told_where_the_backend_is(self, chain, photo, repository):
        main(["capture", str(photo)])
        record = read_backend_record()
        assert (record.python, record.root) == (sys.executable, str(repository))

    def test_a_damaged_record_is_written_anew(self, chain, photo, mien_home):
        mien_home.mkdir()
        (mien_home / "backend.json").write_text("{")
        assert main(["capture", str(photo)]) == 0
        assert read_backend_record() is not None


class TestJson:
    def test_stdout_holds_the_report_and_nothing_else(self, chain, photo, capfd):
        chain.during = [lambda: print("chatter"), lambda: os.write(1, b"chatter of a library\n")]
        assert main(["capture", str(photo), "--json"]) == 0
        said = capfd.readouterr()
        assert json.loads(said.out) == json.loads(photo.with_name("anna.report.json").read_text())
        assert "chatter of a library" in said.err

    def test_a_failure_leaves_stdout_empty(self, chain, photo, capfd):
        chain.failure = MienError(ErrorCode.NO_FACE, "No face.", "Use another photo.")
        assert main(["capture", str(photo), "--json"]) == EXIT_CODES[ErrorCode.NO_FACE]
        assert capfd.readouterr().out == ""


class TestFailures:
    @pytest.mark.parametrize("code", list(ErrorCode))
    def test_each_code_has_its_exit_status_and_one_sentence(self, chain, photo, code, capsys):
        chain.failure = MienError(code, "This happened.", "Do that.")
        assert main(["capture", str(photo)]) == EXIT_CODES[code] != 0
        assert capsys.readouterr().err.splitlines()[-1] == "mien: This happened. Do that."
        assert names(photo.parent) == {"anna.jpg"}

    def test_ctrl_c(self, chain, photo, capsys):
        chain.failure = KeyboardInterrupt()
        assert main(["capture", str(photo)]) == EXIT_CODES[ErrorCode.CANCELLED]
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith("mien: Stopped") and last.endswith("a clip goes on where it was.")
        assert names(photo.parent) == {"anna.jpg"}

    def test_a_mistake_of_ours_asks_for_a_report(self, chain, photo, capsys):
        chain.failure = ZeroDivisionError("by zero")
        assert main(["capture", str(photo)]) == EXIT_CODES[ErrorCode.INTERNAL]
        said = capsys.readouterr().err
        assert "Traceback" in said
        assert said.splitlines()[-1] == (
            "mien: Mien made a mistake (ZeroDivisionError: by zero). Please report it with the lines above."
        )

    def test_a_full_disk_half_way_leaves_what_was_there(self, chain, photo, monkeypatch, capsys):
        photo.with_name("anna.take.npz").write_text("yesterday's")

        def full(path, pixels):
            raise outputs.file_error(path, OSError(28, "No space left on device"))

        monkeypatch.setattr(capture_files, "write_png", full)
        assert main(["capture", str(photo)]) == EXIT_CODES[ErrorCode.NO_SPACE]
        assert str(photo.with_name("anna.overlay.png")) in capsys.readouterr().err
        assert names(photo.parent) == {"anna.jpg", "anna.take.npz"}
        assert photo.with_name("anna.take.npz").read_text() == "yesterday's"

    def test_a_folder_in_the_way_of_one_file_keeps_back_all(self, chain, photo, capsys):
        photo.with_name("anna.overlay.png").mkdir()
        assert main(["capture", str(photo)]) == EXIT_CODES[ErrorCode.NOT_PERMITTED]
        assert "anna.overlay.png cannot be written: it is a folder." in capsys.readouterr().err
        assert names(photo.parent) == {"anna.jpg", "anna.overlay.png"}

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ([], "required: COMMAND"),
            (["capture"], "required: SOURCE"),
            (["capture", "a.jpg", "--face", "1", "--all-faces"], "not allowed with"),
            (["capture", "a.jpg", "--face", "0"], "not a whole number from 1"),
            (["capture", "a.jpg", "--face", "x"], "x is not a whole number from 1"),
            (["capture", "a.jpg", "--device", "abacus"], "Unknown device"),
            (["capture", "a.jpg", "--threads", "0"], "not a whole number from 1"),
            (["capture", "a.jpg", "--threads", "x"], "x is not a whole number from 1"),
            (["capture", "a.jpg", "--out", ""], "the path is empty"),
            (["capture", ""], "the path is empty"),
            (["capture", "a.jpg", "--blender", "blender"], "no scene was asked for"),
            (["capture", "a.jpg", "--focal", "nan"], "Focal length"),
            (["capture", "a.jpg", "--blend", "head.blender"], "not the name of a Blender file"),
            (["paint"], "invalid choice"),
        ],
    )
    def test_mistakes_in_the_command(self, chain, arguments, said, capsys, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("a.jpg").touch()
        assert main(arguments) == EXIT_CODES[ErrorCode.USAGE]
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
        assert chain.options == []


class TestBlend:
    @pytest.fixture
    def blender(self, monkeypatch):
        """A Blender that saves at once; `failure` makes it fail."""
        stand_in = SimpleNamespace(failure=None, calls=[])

        def save(program, head, takes, source, out, progress, timing):
            stand_in.calls.append((takes, out))
            if stand_in.failure:
                raise stand_in.failure
            out.write_bytes(b"BLENDER")
            return SceneFiles({"blend": (out,)}, {}, ("It may not line up.",))

        program = BlenderProgram("blender", (4, 2, 3), is_module=False)
        monkeypatch.setattr(commands, "prepare_blender", lambda asked, progress: program)
        monkeypatch.setattr(capture_files, "save_blend", save)
        return stand_in

    def test_a_bare_name_goes_to_the_results(self, chain, blender, photo, tmp_path, capsys, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert main(["capture", str(photo), "--out", "results", "--blend", "head.blend"]) == 0
        assert names(tmp_path / "results") == RESULTS | {"head.blend"}
        assert "It may not line up." in capsys.readouterr().out
        report = json.loads((tmp_path / "results" / "anna.report.json").read_text())
        assert report["blend"]["blender"] == "4.2.3"
        assert "blender" in report["seconds"]

    def test_a_path_goes_where_it_says(self, chain, blender, photo, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "scenes").mkdir()
        assert main(["capture", str(photo), "--blend", "scenes/head.blend"]) == 0
        assert names(tmp_path / "scenes") == {"head.blend"}
        assert names(photo.parent) == {"anna.jpg"} | RESULTS

    def test_all_faces_go_into_one_scene(self, chain, blender, photo):
        chain.faces = 2
        main(["capture", str(photo), "--all-faces", "--blend", "head.blend"])
        ((takes, _),) = blender.calls
        assert [path.name for path in takes] == ["anna.take.npz", "anna.face2.take.npz"]

    def test_a_failing_blender_leaves_the_capture(self, chain, blender, photo, capsys):
        blender.failure = MienError(ErrorCode.BLENDER_FAILED, "Blender ended.", "Read the log.")
        assert main(["capture", str(photo), "--blend", "head.blend"]) == EXIT_CODES[ErrorCode.BLENDER_FAILED]
        assert names(photo.parent) == {"anna.jpg"} | RESULTS

    @pytest.mark.parametrize(("place", "code"), [("missing", ErrorCode.MISSING_FILE), ("head.blend", None)])
    def test_a_place_that_will_not_do_is_found_out_first(self, chain, blender, photo, tmp_path, place, code):
        if code is None:  # a folder stands where the file should go
            (tmp_path / "head.blend").mkdir()
            path, code = tmp_path / "head.blend", ErrorCode.NOT_PERMITTED
        else:
            path = tmp_path / place / "head.blend"
        assert main(["capture", str(photo), "--blend", str(path)]) == EXIT_CODES[code]
        assert chain.options == []
        assert names(photo.parent) == {"anna.jpg"}


def run_command(repository: Path, code: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run the process of the command with other work in place of `main`."""
    program = f"from backend import cli; cli.main = lambda: {code}; cli.run()"
    return subprocess.run([sys.executable, "-c", program], text=True, cwd=repository, **settings)


class TestOutput:
    def test_a_name_that_the_terminal_cannot_show_is_escaped(self, repository, mien_home):
        terminal = os.environ | {"PYTHONIOENCODING": "latin-1"}
        done = run_command(repository, r"print('\u9854 \udcff.jpg') or 0", capture_output=True, env=terminal)
        assert (done.returncode, done.stdout) == (0, "\\u9854 \\udcff.jpg\n")

    def test_the_printed_report_is_plain_ascii(self, chain, photo, capsys):
        named = photo.rename(photo.with_name("\u9854.jpg"))
        chain.report = {"source": str(named)}
        assert main(["capture", str(named), "--json"]) == 0
        printed = capsys.readouterr().out
        assert printed.isascii()
        assert json.loads(printed)["source"] == str(named)

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere names are always Unicode")
    def test_a_name_that_is_no_unicode(self, chain, photo):
        named = photo.rename(photo.with_name("\udcff.jpg"))
        chain.report = {"source": str(named)}
        assert main(["capture", str(named)]) == 0
        report = json.loads(named.with_name("\udcff.report.json").read_text(encoding="utf-8"))
        assert report["source"] == str(named)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
    @pytest.mark.parametrize("more", [[], ["--json"]])
    def test_a_full_standard_output(self, chain, photo, capsys, monkeypatch, more):
        with open("/dev/full", "w") as full:
            monkeypatch.setattr(sys, "stdout", full)
            assert main(["capture", str(photo), *more]) == EXIT_CODES[ErrorCode.NO_SPACE]
            with suppress(OSError):
                full.close()
        assert "standard output cannot be written" in capsys.readouterr().err

    @pytest.mark.skipif(os.name == "nt", reason="closes a descriptor before the start")
    def test_a_closed_standard_output(self, repository, mien_home):
        code = "cli.sys.stdout.flush() or print('x') or 0"
        done = run_command(repository, code, stderr=subprocess.PIPE, preexec_fn=lambda: os.close(1))
        assert (done.returncode, done.stderr) == (0, "")


def test_help_lists_every_exit_status(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    said = capsys.readouterr().out
    for code, status in EXIT_CODES.items():
        assert f"{status:3}  {code.value.replace('_', ' ')}" in said


def test_the_process_ends_with_the_status_and_all_its_output(repository, mien_home):
    code = "from backend import cli; cli.main = lambda: print('x' * 100_000) or 7; cli.run()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=repository)
    assert done.returncode == 7
    assert len(done.stdout) == 100_001


def test_help_imports_nothing_heavy(repository):
    code = "import sys, backend.cli; print([name for name in ('numpy', 'torch') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=repository)
    assert done.stdout == "[]\n"
