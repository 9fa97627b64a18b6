# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien export` and `mien import` as they are typed. Blender is stood in for."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from backend import blender
from backend.cli import main
from backend.exports.livelink_udp import Packet
from blender_addon.contract.errors import EXIT_CODES, ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.provenance import provenance
from blender_addon.contract.take import Take
from tests.arkit_takes import arkit_take
from tests.fake_flame import flame_take


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    path = tmp_path / "shot.take.npz"
    arkit_take(10).save(path)
    return path


@pytest.fixture
def flame_shot(tmp_path: Path, flame: HeadDescription) -> Path:
    path = tmp_path / "flame.take.npz"
    flame_take(flame).save(path)
    return path


class Scenes:
    """Stands in for Blender: writes a word to each target and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple] = []
        self.failed: dict[str, MienError] = {}

    def export_scene(
        self, program, head, takes, source, targets: Mapping[str, Path], progress, start=1, timing="conform"
    ) -> blender.SceneFiles:
        self.asked.append((program, head.id, list(takes), source, dict(targets), timing))
        for name, path in targets.items():
            path.write_text(name)
        files = {name: (path,) for name, path in targets.items() if name not in self.failed}
        return blender.SceneFiles(files, self.failed, ("A sentence.",))


@pytest.fixture
def scenes(monkeypatch) -> Scenes:
    made = Scenes()
    monkeypatch.setattr(blender, "export_scene", made.export_scene, raising=False)
    monkeypatch.setattr(blender, "prepare_blender", lambda explicit, progress: explicit or "found")
    return made


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_beside_the_take(shot: Path, capsys) -> None:
    assert run("export", shot, "--to", "livelink,arkit-json, facs") == 0
    made = {"shot.livelink.csv", "shot.livelink.csv.json", "shot.arkit.json", "shot.facs.csv", "shot.facs.csv.json"}
    assert names(shot.parent) == {shot.name, *made}
    out = capsys.readouterr().out
    assert all(name in out for name in made)


def test_several_takes_into_a_folder_that_is_made(shot: Path, tmp_path: Path, capsys) -> None:
    arkit_take(4).save(tmp_path / "two.npz")
    out = tmp_path / "a" / "b"
    assert run("export", shot, tmp_path / "two.npz", "--to", "vrma,npz", "--out", out, "--json") == 0
    assert names(out) == {"shot.vrma", "shot.take.npz", "two.vrma", "two.take.npz"}
    written = json.loads(capsys.readouterr().out)["written"]
    assert {Path(path).name for path in written} == names(out)


@pytest.mark.parametrize(
    ("out", "made"), [("x.csv", "x.csv"), ("x", "x/shot.motion.csv"), ("v1.2", "v1.2/shot.motion.csv")]
)
def test_out_is_a_file_or_a_folder(shot: Path, tmp_path: Path, out: str, made: str) -> None:
    assert run("export", shot, "--to", "motion", "--out", tmp_path / out) == 0
    assert (tmp_path / made).is_file()
    assert (tmp_path / f"{made}.json").is_file()


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--to", "bvh"), ErrorCode.USAGE, "There is no format 'bvh'"),
        (("--to", ","), ErrorCode.USAGE, "no format is named"),
        (("--to", "livelink,vhap"), ErrorCode.CANNOT_EXPORT, "the head 'open'"),
        (("--to", "npz"), ErrorCode.USAGE, "over itself"),
        (("--to", "livelink-udp", "--address", "nowhere"), ErrorCode.USAGE, "is not an address"),
        ((), ErrorCode.USAGE, "--to"),
        (("--to", "vrm", "--loop"), ErrorCode.USAGE, "--loop is only for livelink-udp"),
        (("--to", "livelink-udp", "--timing", "source"), ErrorCode.USAGE, "--timing is only for blend"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(shot: Path, capsys, more, code, said) -> None:
    assert run("export", shot, *more) == EXIT_CODES[code]
    captured = capsys.readouterr()
    assert said in captured.err
    assert not captured.out
    assert names(shot.parent) == {shot.name}


def test_two_takes_of_one_name(shot: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "other").mkdir()
    arkit_take(3).save(tmp_path / "other" / "shot.take.npz")
    done = run("export", shot, tmp_path / "other" / "shot.take.npz", "--to", "vrm", "--out", tmp_path / "out")
    assert done == EXIT_CODES[ErrorCode.USAGE]
    assert "Two takes would be written to" in capsys.readouterr().err


def test_sending(shot: Path, capsys) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(5)
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        assert run("export", shot, "--to", "livelink-udp", "--address", where, "--subject", "Ann", "--json") == 0
        got = [Packet.decode(listener.recv(2048)) for _ in range(10)]
    assert {packet.subject for packet in got} == {"Ann"}
    assert json.loads(capsys.readouterr().out) == {"written": [], "notes": [], "packets": 10}


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal as Ctrl-C does")
def test_ctrl_c_ends_a_loop(shot: Path, repository: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(60)
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        command = [sys.executable, "-m", "backend.cli", "export", str(shot), "--to", "livelink-udp", "--loop"]
        process = subprocess.Popen(
            [*command, "--address", where], cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(25):
            listener.recv(2048)
        process.send_signal(2)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "packets were sent to" in out


def test_blender_writes_scenes(shot: Path, scenes: Scenes, tmp_path: Path) -> None:
    assert run("export", shot, "--to", "fbx,glb,vrm", "--timing", "source", "--blender", "here") == 0
    ((program, head, takes, source, targets, timing),) = scenes.asked
    assert (program, head, takes, source, timing) == ("here", "open", [shot], None, "source")
    assert targets == {"fbx": tmp_path / "shot.fbx", "glb": tmp_path / "shot.glb"}
    assert (tmp_path / "shot.glb").read_text() == "glb"


def test_what_blender_could_not_write(shot: Path, scenes: Scenes, capsys) -> None:
    scenes.failed = {"usd": MienError(ErrorCode.BLENDER_FAILED, "No USD.", "Use another Blender.")}
    assert run("export", shot, "--to", "usd,glb") == EXIT_CODES[ErrorCode.BLENDER_FAILED]
    captured = capsys.readouterr()
    assert "shot.glb" in captured.out
    assert "shot.usdc" not in captured.out
    assert "A sentence." in captured.out
    assert captured.err.endswith("mien: No USD. Use another Blender.\n")


def test_all_that_blender_could_not_write_is_told(shot: Path, scenes: Scenes, capsys) -> None:
    for name in ("usd", "abc"):
        scenes.failed[name] = MienError(ErrorCode.BLENDER_FAILED, f"No {name}.", "Use another.")
    assert run("export", shot, "--to", "usd,abc,fbx") == EXIT_CODES[ErrorCode.BLENDER_FAILED]
    captured = capsys.readouterr()
    assert "No abc. Use another." in captured.out and captured.err.endswith("mien: No usd. Use another.\n")
    assert run("export", shot, "--to", "usd,abc,fbx", "--json") == EXIT_CODES[ErrorCode.BLENDER_FAILED]
    assert json.loads(capsys.readouterr().out)["failed"] == ["No usd. Use another.", "No abc. Use another."]


def test_the_footage_goes_along_where_it_still_is(scenes: Scenes, tmp_path: Path) -> None:
    footage = tmp_path / "clip.mp4"
    footage.write_bytes(b"film")
    arkit_take(3, source=str(footage)).save(tmp_path / "a.take.npz")
    assert run("export", tmp_path / "a.take.npz", "--to", "blend", "--out", tmp_path / "b.blend") == 0
    assert scenes.asked[0][3:5] == (footage, {"blend": tmp_path / "b.blend"})


def test_scenes_of_flame_need_the_head(flame_shot: Path, flame_file: Path, scenes: Scenes, capsys) -> None:
    assert run("export", flame_shot, "--to", "fbx") == EXIT_CODES[ErrorCode.CANNOT_EXPORT]
    assert "Name the file with --head" in capsys.readouterr().err
    assert run("export", flame_shot, "--to", "fbx", "--head", flame_file) == 0
    assert scenes.asked[0][1] == "flame2020"


def test_a_head_of_another_take(shot: Path, flame_file: Path, scenes: Scenes) -> None:
    assert run("export", shot, "--to", "fbx", "--head", flame_file) == EXIT_CODES[ErrorCode.WRONG_HEAD]
    assert not scenes.asked


def test_import_live_link(shot: Path, tmp_path: Path, capsys) -> None:
    assert run("export", shot, "--to", "livelink", "--out", tmp_path / "slate.csv") == 0
    assert run("import", tmp_path / "slate.csv", "--as-take", "--identity", shot) == 0
    take, original = Take.load(tmp_path / "slate.take.npz"), Take.load(shot)
    np.testing.assert_array_equal(take.identity, original.identity)
    np.testing.assert_allclose(take.expression, original.expression, atol=1e-6)
    out = capsys.readouterr().out
    assert "livelink: 10 frames at 24 a second, on the head 'open'" in out
    assert "tells no place" in out


def test_import_flame(flame_shot: Path, flame_file: Path, tmp_path: Path, capsys) -> None:
    assert run("export", flame_shot, "--to", "vhap,gaussian-avatars") == 0
    capsys.readouterr()
    for name in ("flame.vhap.npz", "flame.gaussian-avatars"):
        out = tmp_path / "back.npz"
        assert run("import", tmp_path / name, "--as-take", "--head", flame_file, "--out", out, "--json") == 0
        report = json.loads(capsys.readouterr().out)
        take = Take.load(out)
        assert report["take"] == str(out)
        assert {key: report[key] for key in provenance(take.meta)} == provenance(take.meta)
        np.testing.assert_array_equal(take.jaw, Take.load(flame_shot).jaw)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("slate.csv",), ErrorCode.USAGE, "--as-take"),
        (("slate.csv", "--as-take", "--kind", "bvh"), ErrorCode.USAGE, "no kind 'bvh'"),
        (("none.csv", "--as-take"), ErrorCode.MISSING_FILE, "none.csv"),
        (("slate.csv", "--as-take"), ErrorCode.BAD_IMPORT, "slate.csv"),
        (("shot.take.npz", "--as-take"), ErrorCode.USAGE, "over itself"),
        (("slate.csv", "--as-take", "--fps", "0"), ErrorCode.USAGE, "not a number above 0"),
        (("slate.csv", "--as-take", "--size", "12"), ErrorCode.USAGE, "not a size"),
        (("slate.csv", "--as-take", "--kind", "smirk"), ErrorCode.USAGE, "--head FILE"),
        (("slate.csv", "--as-take", "--kind", "emoca", "--size", "9x9"), ErrorCode.USAGE, "--size is of no use"),
    ],
)
def test_bad_imports(shot: Path, arguments, code, said, capsys, monkeypatch) -> None:
    (shot.parent / "slate.csv").write_text("Timecode,BlendShapeCount\n")
    monkeypatch.chdir(shot.parent)
    assert run("import", *arguments) == EXIT_CODES[code]
    assert said in capsys.readouterr().err
    assert names(shot.parent) == {shot.name, "slate.csv"}


def test_nothing_heavy_for_plain_formats(shot: Path, repository: Path) -> None:
    """Exports of curves need no torch, which would take seconds to load."""
    code = "import sys; from backend.cli import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    command = [sys.executable, "-c", code, "export", str(shot), "--to", "livelink,vrm,motion"]
    assert subprocess.run(command, cwd=repository, env=os.environ, capture_output=True).returncode == 0
