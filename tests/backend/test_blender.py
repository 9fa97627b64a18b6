# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding Blender, and what becomes of a Blender that works, refuses, crashes or hangs."""

from __future__ import annotations

import glob
import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from backend import blender, blender_programs
from backend.blender import export_scene, save_blend
from backend.blender_output import last_json_line
from backend.blender_programs import BlenderProgram, find_blender, identify, prepare_blender
from backend.media import backdrop
from backend.progress import NoProgress, cancelled, no_progress
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins for Blender are scripts with a first line")

STAND_IN = """#!{python}
import json, os, sys, time
if "--version" in sys.argv:
    print("Blender {version}")
    print("    build date: 2024-07-16")
    sys.exit(0)
arguments = sys.argv[sys.argv.index("--") + 1:]
out = arguments[arguments.index("--out") + 1] if "--out" in arguments else ""
exports = dict(text.split("=", 1) for text, flag in zip(arguments[1:], arguments) if flag == "--export")
with open(sys.argv[0] + ".arguments", "w") as file:
    json.dump(arguments, file)
print("Read prefs: nothing of ours")
{body}
"""
SAVES = """
open(out, "wb").write(b"BLENDER")
print("Mien wrote blend")
print(json.dumps({"ok": True, "failed": {}, "blend": out, "blender": "4.2.3", "warnings": []}))
print("Blender quit")
"""
REFUSES = """
error = {"code": "wrong_head", "message": "The take is of another head.", "remedy": "Capture again."}
print(json.dumps({"ok": False, "error": error | {"details": {"path": "/a/take.npz"}}}))
sys.exit(15)
"""
CRASHES = """
open(out, "wb").write(b"half")
print("Writing: /tmp/blender.crash.txt")
os.kill(os.getpid(), 11)
"""
SAYS_OK_WITHOUT_SAVING = 'print(json.dumps({"ok": True}))'


def stand_in(path: Path, body: str = SAVES, version: str = "4.2.3") -> Path:
    """A program that passes for Blender."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(STAND_IN.format(python=sys.executable, version=version, body=body), encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def no_blender(tmp_path, monkeypatch, mien_home):
    """A machine without Blender; returns the only folder of its PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MIEN_BLENDER", raising=False)
    inside = str(tmp_path)
    found = SimpleNamespace(
        glob=lambda pattern: glob.glob(pattern) if pattern.startswith(inside) else [], escape=glob.escape
    )
    monkeypatch.setattr(blender_programs, "glob", found)
    return folder


def save(
    tmp_path,
    body=SAVES,
    photo="photo.jpg",
    footage=None,
    start=1,
    timing="conform",
    progress=no_progress,
    version="4.2.3",
):
    program = identify(stand_in(tmp_path / "blender-program", body, version))
    head = SimpleNamespace(save=lambda path: path.write_bytes(b"head"))
    picture = SimpleNamespace(path=tmp_path / photo, pixels=np.zeros((2, 3, 3), np.uint8))
    out = tmp_path / "out" / "head.blend"
    out.parent.mkdir(exist_ok=True)
    takes = [tmp_path / "photo.take.npz", tmp_path / "photo.face2.take.npz"]
    return save_blend(program, head, takes, footage or picture, out, progress, start, timing), out


def arguments_of(tmp_path: Path) -> list[str]:
    """What the script was told the last time."""
    return json.loads((tmp_path / "blender-program.arguments").read_text())


EXPORTS = """
for name, path in exports.items():
    if name == "usd":
        continue
    for suffix in ("", ".json") if name == "abc" else ("",):
        open(path + suffix, "wb").write(name.encode())
    print("Mien wrote " + name)
    if name == "glb" and {dies}:
        os.kill(os.getpid(), 11)
    if name == "glb" and {hangs}:
        time.sleep(60)
error = {{"code": "no_space", "message": exports["usd"] + " cannot be written.", "remedy": "Free some."}}
error["details"] = {{"path": exports["usd"]}}
print(json.dumps({{"ok": True, "failed": {{"usd": error}}, "exports": exports, "warnings": ["One."]}}))
"""


def export(tmp_path, dies=False, hangs=False, source=None):
    program = identify(stand_in(tmp_path / "blender-program", EXPORTS.format(dies=dies, hangs=hangs)))
    head = SimpleNamespace(save=lambda path: path.write_bytes(b"head"))
    targets = {name: tmp_path / "out" / name / f"shot.{name}" for name in ("fbx", "glb", "usd", "abc")}
    for target in targets.values():
        target.parent.mkdir(parents=True)
    made = export_scene(program, head, [tmp_path / "take.npz"], source, targets, no_progress)
    left = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file())
    return made, targets, left


class TestExporting:
    def test_each_format_is_written_and_one_that_fails_is_told(self, tmp_path):
        made, targets, left = export(tmp_path)
        assert left == ["abc/shot.abc", "abc/shot.abc.json", "fbx/shot.fbx", "glb/shot.glb"]
        assert made.files["abc"] == (targets["abc"], Path(f"{targets['abc']}.json")) and len(made.paths) == 4
        assert made.failed.keys() == {"usd"} and made.failed["usd"].code is ErrorCode.NO_SPACE
        assert str(made.failed["usd"]) == f"{targets['usd']} cannot be written. Free some."
        assert made.warnings == ("One.",)

    def test_what_was_whole_before_a_crash_is_kept(self, tmp_path, mien_home):
        made, targets, left = export(tmp_path, dies=True)
        assert left == ["fbx/shot.fbx", "glb/shot.glb"]
        assert set(made.failed) == {"usd", "abc"}
        assert "signal 11" in made.failed["abc"].message

    def test_what_was_whole_before_it_hung_is_kept(self, tmp_path, monkeypatch):
        monkeypatch.setattr(blender, "_SAVE_SECONDS", 0.5)
        made, _, left = export(tmp_path, hangs=True)
        assert left == ["fbx/shot.fbx", "glb/shot.glb"]
        assert "did not finish" in made.failed["usd"].message

    def test_a_place_that_is_not_there_keeps_nothing_else_from_being_written(self, tmp_path):
        program = identify(stand_in(tmp_path / "blender-program", EXPORTS.format(dies=False, hangs=False)))
        head = SimpleNamespace(save=lambda path: path.write_bytes(b"head"))
        (tmp_path / "b.abc").mkdir()
        targets = {"fbx": tmp_path / "none" / "a.fbx", "usd": tmp_path / "a.usd", "abc": tmp_path / "b.abc"}
        made = export_scene(program, head, [], None, targets | {"glb": tmp_path / "a.glb"}, no_progress)
        assert made.files == {"glb": (tmp_path / "a.glb",)}
        codes = {name: error.code for name, error in made.failed.items()}
        assert codes == {"fbx": "missing_file", "usd": "no_space", "abc": "not_permitted"}
        with pytest.raises(MienError, match="none"):
            export_scene(program, head, [], None, {"fbx": targets["fbx"]}, no_progress)

    def test_nothing_to_write_is_refused(self, tmp_path):
        with pytest.raises(MienError) as caught:
            export_scene(None, None, [], None, {}, no_progress)
        assert caught.value.code is ErrorCode.USAGE


class TestFinding:
    def test_none_where_there_is_none(self, no_blender):
        assert find_blender() is None

    def test_on_the_path(self, no_blender):
        path = stand_in(no_blender / "blender")
        found = find_blender()
        assert (found.path, found.version, found.is_module) == (str(path), (4, 2, 3), False)

    def test_one_that_is_too_old_is_passed_over(self, no_blender, tmp_path):
        stand_in(no_blender / "blender", version="3.6.5")
        newer = stand_in(tmp_path / "home" / "blender-5.0.1-linux-x64" / "blender", version="5.0.1")
        assert find_blender().path == str(newer)

    def test_the_one_asked_for_comes_first_then_the_variable(self, no_blender, tmp_path, monkeypatch):
        stand_in(no_blender / "blender")
        by_variable = stand_in(tmp_path / "v" / "blender", version="4.5.0")
        asked = stand_in(tmp_path / "a" / "blender", version="5.2.0")
        monkeypatch.setenv("MIEN_BLENDER", str(by_variable))
        assert find_blender().version == (4, 5, 0)
        assert find_blender(str(asked)).version == (5, 2, 0)

    def test_a_python_that_has_bpy_will_do(self, tmp_path):
        path = tmp_path / "python"
        body = '[ "$1" = --version ] && echo Python 3.11.7 || echo Blender 4.2.23'
        path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        path.chmod(0o755)
        found = identify(path)
        assert (found.version, found.is_module) == ((4, 2, 23), True)

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (lambda path: None, "There is no Blender at"),
            (lambda path: stand_in(path, version="3.6.5"), "is Blender 3.6.5, which is too old"),
            (lambda path: path.write_text("not a program"), "is not a Blender that runs"),
            (lambda path: os.symlink(sys.executable, path), "is not a Blender that runs"),  # a Python without bpy
        ],
    )
    def test_an_unusable_one_that_was_asked_for_is_refused(self, no_blender, tmp_path, make, said):
        path = tmp_path / "asked"
        make(path)
        with pytest.raises(MienError, match=said) as caught:
            find_blender(str(path))
        assert caught.value.code is ErrorCode.BLENDER_FAILED

    def test_without_one_bpy_is_installed(self, no_blender, monkeypatch):
        asked = []

        def ensure(release, interpreter, root, parent, progress):
            asked.append((release.name, parent.name))
            return str(stand_in(no_blender / "later" / "python"))

        monkeypatch.setattr(blender_programs, "choose_release", lambda releases: (releases[0], None))
        monkeypatch.setattr(blender_programs, "ensure_bpy", ensure)
        assert prepare_blender(None, no_progress).version == (4, 2, 3)
        assert asked == [("bpy-4.2", "environments")]


class TestSaving:
    def test_the_file_takes_its_place_and_the_rest_goes(self, tmp_path):
        made, out = save(tmp_path)
        assert out.read_bytes() == b"BLENDER"
        assert made.files == {"blend": (out,)} and not made.failed
        assert list(out.parent.iterdir()) == [out]

    def test_what_the_script_is_told(self, tmp_path):
        save(tmp_path)
        arguments = arguments_of(tmp_path)
        assert arguments.count("--take") == 2
        assert arguments[arguments.index("--source") + 1] == str(tmp_path / "photo.jpg")

    def test_footage_and_its_timing_are_handed_over_as_they_are(self, tmp_path):
        save(tmp_path, footage=tmp_path / "clip.mov", start=1001, timing="source")
        arguments = arguments_of(tmp_path)
        found = [arguments[arguments.index(name) + 1] for name in ("--source", "--start", "--timing")]
        assert found == [str(tmp_path / "clip.mov"), "1001", "source"]

    def test_a_photo_that_blender_cannot_show_is_handed_over_as_png(self, tmp_path):
        save(tmp_path, photo="photo.heic")
        arguments = arguments_of(tmp_path)
        assert Path(arguments[arguments.index("--source") + 1]).name == "photo.png"

    @pytest.mark.parametrize(("version", "count"), [("4.2.3", 0), ("4.5.1", 0), ("5.0.1", 1)])
    def test_a_file_that_older_blenders_refuse_is_said_to_be_one(self, tmp_path, version, count):
        made, _ = save(tmp_path, version=version)
        assert len([text for text in made.warnings if "4.5 and newer" in text]) == count

    @pytest.mark.parametrize(
        ("body", "code", "said"),
        [
            (REFUSES, ErrorCode.WRONG_HEAD, "The take is of another head."),
            (CRASHES, ErrorCode.BLENDER_FAILED, "signal 11"),
            (SAYS_OK_WITHOUT_SAVING, ErrorCode.BLENDER_FAILED, "ended without saving"),
            ("sys.exit(3)", ErrorCode.BLENDER_FAILED, "exit status 3"),
        ],
    )
    def test_failures_leave_nothing(self, tmp_path, mien_home, body, code, said):
        with pytest.raises(MienError, match=said) as caught:
            save(tmp_path, body)
        assert caught.value.code is code
        assert list((tmp_path / "out").iterdir()) == []

    def test_the_errors_of_the_script_itself_arrive_whole(self, tmp_path):
        """The script reads the head before it needs Blender, so a Python without it will do."""
        program = BlenderProgram(sys.executable, (4, 2, 3), is_module=True)
        head = SimpleNamespace(save=lambda path: path.write_bytes(b"no head"))
        with pytest.raises(MienError, match="head.npz") as caught:
            save_blend(program, head, [tmp_path / "a.take.npz"], tmp_path, tmp_path / "a.blend", no_progress)
        assert caught.value.code is ErrorCode.BAD_HEAD and caught.value.remedy
        assert not list(tmp_path.iterdir())

    def test_a_full_disk_names_the_file_that_was_asked_for(self, tmp_path, monkeypatch):
        def full(path, pixels):
            raise file_error(path, OSError(28, "No space left on device"))

        monkeypatch.setattr(backdrop, "write_png", full)
        with pytest.raises(MienError, match="head.blend cannot be written: No space left") as caught:
            save(tmp_path, photo="photo.heic")
        assert caught.value.code is ErrorCode.NO_SPACE
        assert list((tmp_path / "out").iterdir()) == []

    def test_an_older_file_survives_a_crash(self, tmp_path, mien_home):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "head.blend").write_bytes(b"yesterday's")
        with pytest.raises(MienError):
            save(tmp_path, CRASHES)
        assert (tmp_path / "out" / "head.blend").read_bytes() == b"yesterday's"

    def test_one_that_hangs_is_ended(self, tmp_path, monkeypatch):
        monkeypatch.setattr(blender, "_SAVE_SECONDS", 0.5)
        with pytest.raises(MienError, match="did not finish") as caught:
            save(tmp_path, "time.sleep(60)")
        assert caught.value.code is ErrorCode.BLENDER_FAILED
        assert list((tmp_path / "out").iterdir()) == []

    def test_one_that_nobody_waits_for_any_more_is_ended(self, tmp_path):
        class Cancelled(NoProgress):
            def check_cancelled(self) -> None:
                if (tmp_path / "blender-program.arguments").exists():
                    raise cancelled()

        started = time.monotonic()
        with pytest.raises(MienError) as caught:
            save(tmp_path, "time.sleep(60)", progress=Cancelled())
        assert caught.value.code is ErrorCode.CANCELLED and time.monotonic() - started < 30
        assert list((tmp_path / "out").iterdir()) == []

    def test_what_it_said_is_kept_for_the_user(self, tmp_path, mien_home):
        with pytest.raises(MienError) as caught:
            save(tmp_path, CRASHES)
        log = mien_home / "logs" / "blender.log"
        assert str(log) in caught.value.remedy
        assert "blender.crash.txt" in log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ('Blender 4.2\n{"ok": true}\nBlender quit\n', {"ok": True}),
        ('{"ok": true}\n{"ok": false}\n', {"ok": False}),
        ('{"ok": true}\n{not json\n', {"ok": True}),
        ("nothing\n[1]\n", None),
        ("", None),
    ],
)
def test_our_line_is_found_among_others(output, found):
    assert last_json_line(output) == found
    assert json.dumps(found) == json.dumps(last_json_line(output))
