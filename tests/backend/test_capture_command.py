# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien capture` with nothing stood in for: a real photo, bad input of each kind, and a Blender where there is one."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.cli import main
from backend.progress import no_progress
from backend.weights.landmarker import FILE_NAME, landmarker_file
from blender_addon.contract.errors import EXIT_CODES, ErrorCode, MienError
from blender_addon.contract.take import Take

DEAD_INDEX = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_FIND_LINKS": "",
    "PIP_RETRIES": "1",
}


@pytest.fixture(scope="session")
def landmark_model() -> Path:
    """The landmark model in the data folder of the whole run, fetched there if need be."""
    try:
        return landmarker_file(no_progress)
    except MienError as error:
        if error.code is ErrorCode.NO_NETWORK:
            pytest.skip(str(error))
        raise


@pytest.fixture
def home(landmark_model: Path, mien_home: Path) -> Path:
    """A data folder of the test's own that has the landmark model."""
    models = mien_home / "models"
    models.mkdir(parents=True)
    (models / FILE_NAME).write_bytes(landmark_model.read_bytes())
    return mien_home


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    """A photo of a face, alone in a folder."""
    from skimage import data

    path = tmp_path / "photos" / "portrait.jpg"
    path.parent.mkdir()
    Image.fromarray(data.astronaut()).save(path, quality=95)
    return path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def run_mien(repository: Path, *arguments: object, before: Callable[[], None] | None = None, **variables: str):
    """Run the command in a process of its own; `before` runs in it first, where limits can be set."""
    return subprocess.run(
        [sys.executable, "-m", "backend.cli", *map(str, arguments)],
        cwd=repository,
        env=os.environ | variables,
        preexec_fn=before,  # noqa: PLW1509
        capture_output=True,
        text=True,
    )


def lose_privileges() -> None:
    """Let file permissions bind root too, by giving up what goes past them. Runs between fork and exec."""
    libc = ctypes.CDLL(None)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def limit_file_size() -> None:
    """Let no file grow beyond 50 kB, which is to a program what a full disk is."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))


linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="uses limits that only Linux has")


def test_a_portrait(home, portrait, repository):
    done = run_mien(repository, "capture", portrait, "--json", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report == json.loads(portrait.with_name("portrait.report.json").read_text(encoding="utf-8"))
    results = {"portrait.take.npz", "portrait.overlay.png", "portrait.report.json"}
    assert names(portrait.parent) == {"portrait.jpg"} | results
    assert set(report) >= {"engine", "head", "device", "seconds", "licences", "faces"}
    assert set(report["head"]) == {"id", "sha256"}
    (face,) = report["faces"]
    assert face["landmark_error"] < 0.02
    assert 0.5 < face["confidence"] <= 1
    take = Take.load(portrait.with_name("portrait.take.npz"))
    assert take.meta.head_sha256 == report["head"]["sha256"]
    assert take.image_size.tolist() == report["image_size"] == [512, 512]
    with Image.open(portrait.with_name("portrait.overlay.png")) as overlay:
        assert overlay.mode == "RGB"


class TestBadInput:
    """Each kind gives one sentence and its status, and leaves the folder as it was."""

    def refused(self, capsys, code: ErrorCode, path: Path, *arguments: str) -> str:
        before = names(path.parent) if path.parent.is_dir() else None
        assert main(["capture", str(path), "--device", "cpu", *arguments]) == EXIT_CODES[code]
        said = capsys.readouterr()
        assert said.out == ""
        line = said.err.splitlines()[-1]
        assert line.startswith("mien: ")
        assert "Traceback" not in said.err
        if before is not None:
            assert names(path.parent) == before
        return line

    def test_no_face(self, home, tmp_path, capsys):
        path = tmp_path / "wall.png"
        Image.fromarray(np.tile(np.arange(256, dtype=np.uint8)[:, None, None], (1, 256, 3))).save(path)
        assert str(path) in self.refused(capsys, ErrorCode.NO_FACE, path)

    def test_a_face_that_is_not_there(self, home, portrait, capsys):
        said = self.refused(capsys, ErrorCode.NO_FACE, portrait, "--face", "5")
        assert said.endswith(f"Face 5 was asked for, but only one is in {portrait}. Choose face 1.")

    def test_missing(self, home, tmp_path, capsys):
        path = tmp_path / "nowhere" / "photo.jpg"
        assert str(path) in self.refused(capsys, ErrorCode.MISSING_FILE, path)

    def test_corrupt(self, home, portrait, capsys):
        whole = portrait.read_bytes()
        portrait.write_bytes(whole[:300] + bytes(100))
        assert str(portrait) in self.refused(capsys, ErrorCode.BAD_IMAGE, portrait)

    def test_cut_off(self, home, portrait, capsys):
        portrait.write_bytes(portrait.read_bytes()[:8000])
        assert str(portrait) in self.refused(capsys, ErrorCode.BAD_IMAGE, portrait)

    @pytest.mark.parametrize("content", [b"Dear Anna,\nhow are you?\n", b""])
    def test_not_an_image(self, home, tmp_path, capsys, content):
        path = tmp_path / "letter.jpg"
        path.write_bytes(content)
        assert str(path) in self.refused(capsys, ErrorCode.BAD_IMAGE, path)

    def test_a_folder_without_numbered_pictures(self, home, tmp_path, capsys):
        path = tmp_path / "folder.jpg"
        path.mkdir()
        before = names(tmp_path)
        assert main(["capture", str(path), "--device", "cpu"]) == EXIT_CODES[ErrorCode.BAD_CLIP]
        assert capsys.readouterr().err.splitlines()[-1].startswith(f"mien: {path}")
        assert names(tmp_path) == before

    def test_a_wrong_landmark_model(self, home, portrait, capsys):
        (home / "models" / FILE_NAME).write_bytes(b"another model")
        assert FILE_NAME in self.refused(capsys, ErrorCode.WRONG_HASH, portrait)

    def test_a_device_that_is_not_there(self, home, portrait, capsys):
        assert main(["capture", str(portrait), "--device", "cuda:99"]) == EXIT_CODES[ErrorCode.USAGE]
        assert "cuda:99" in capsys.readouterr().err


@linux_only
class TestBadMachine:
    def refused(self, done, code: ErrorCode) -> str:
        assert done.returncode == EXIT_CODES[code], done.stderr
        assert "Traceback" not in done.stderr
        line = done.stderr.splitlines()[-1]
        assert line.startswith("mien: ")
        return line

    def test_no_network_at_first_use(self, portrait, mien_home, repository):
        done = run_mien(repository, "capture", portrait, **DEAD_INDEX)
        assert "by hand" in self.refused(done, ErrorCode.NO_NETWORK)
        assert names(portrait.parent) == {"portrait.jpg"}

    def test_no_space(self, home, portrait, repository):
        done = run_mien(repository, "capture", portrait, before=limit_file_size)
        assert str(portrait.parent) in self.refused(done, ErrorCode.NO_SPACE)
        assert names(portrait.parent) == {"portrait.jpg"}

    def test_unreadable_folder(self, home, portrait, repository):
        portrait.parent.chmod(0)
        try:
            done = run_mien(repository, "capture", portrait, "--out", portrait.parents[1], before=lose_privileges)
        finally:
            portrait.parent.chmod(0o755)
        assert str(portrait) in self.refused(done, ErrorCode.NOT_PERMITTED)
        assert names(portrait.parents[1]) == {"photos", home.name}

    def test_a_place_that_is_read_only(self, home, portrait, repository):
        portrait.parent.chmod(0o555)
        try:
            done = run_mien(repository, "capture", portrait, before=lose_privileges)
        finally:
            portrait.parent.chmod(0o755)
        assert "portrait.report.json" in self.refused(done, ErrorCode.NOT_PERMITTED)
        assert names(portrait.parent) == {"portrait.jpg"}

    def test_a_read_only_place_for_the_blend(self, home, portrait, repository, tmp_path):
        scenes = tmp_path / "scenes"
        scenes.mkdir(mode=0o555)
        scenes.chmod(0o555)
        done = run_mien(repository, "capture", portrait, "--blend", scenes / "head.blend", before=lose_privileges)
        scenes.chmod(0o755)
        assert str(scenes / "head.blend") in self.refused(done, ErrorCode.NOT_PERMITTED)
        assert names(scenes) == set()
        assert names(portrait.parent) == {"portrait.jpg"}


LOOK_INSIDE = """
import bpy, json, sys
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
scene = bpy.context.scene
background = scene.camera.data.background_images[0].image
print("\\n" + json.dumps({
    "meshes": sum(item.type == "MESH" for item in bpy.data.objects),
    "rigs": sum(item.type == "ARMATURE" for item in bpy.data.objects),
    "photo": list(background.size), "packed": background.packed_file is not None,
    "render": [scene.render.resolution_x, scene.render.resolution_y],
}))
"""


@pytest.mark.skipif("MIEN_BLENDER" not in os.environ, reason="$MIEN_BLENDER names no Blender; scripts/test.py sets it")
def test_a_blend_holds_head_rig_camera_and_photo(home, portrait, repository):
    done = run_mien(repository, "capture", portrait, "--blend", "head.blend", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    scene = portrait.with_name("head.blend")
    program = os.environ["MIEN_BLENDER"]
    looked = subprocess.run([program, "-c", LOOK_INSIDE, str(scene)], capture_output=True, text=True)
    found = json.loads([line for line in looked.stdout.splitlines() if line.startswith("{")][-1])
    assert found["meshes"] >= 1
    assert found["rigs"] == 1
    assert found["photo"] == found["render"] == [512, 512]
    assert found["packed"]
    assert not [name for name in names(portrait.parent) if name.startswith(".") or name.endswith(".blend1")]
