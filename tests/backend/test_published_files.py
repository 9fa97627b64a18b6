# SPDX-License-Identifier: GPL-3.0-or-later
"""From files in the official layouts to takes, with nothing stood in for: `mien models add`, then `mien capture`.

What must come out is worked out anew: the published crop by scikit-image, as the published code makes it, and the
networks in plain torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from skimage.transform import SimilarityTransform, estimate_transform, warp

from backend.faces.topology import IBUG68_FROM_478
from backend.heads import load_head
from backend.media.clip import open_clip
from blender_addon.contract.take import Take
from tests.face_flame import face_flame
from tests.make_clip import make_clip, people
from tests.official_files import decoder_state, fixed_displacement, mask_pixels
from tests.pictures import save_astronaut
from tests.published_files import EMOCA_MODEL, PublishedEngine, write_downloads
from tests.seeded_parts import eager

if TYPE_CHECKING:
    from backend.faces.landmarker import FaceFinder

pytestmark = pytest.mark.slow
ENGINES: tuple[PublishedEngine, ...] = ("deca", "emoca", "smirk")
WRINKLED: tuple[PublishedEngine, ...] = ("deca", "emoca")
CODES = {"deca": 1e-4, "emoca": 1e-4, "smirk": 1e-3}
"""Codes are about 0.2, and half a pixel changes them by 0.003. SMIRK's crops are cut to 8 bits, and rounding puts a few
pixels on the other side."""
TO_CENTRES = SimilarityTransform(translation=(0.5, 0.5))
"""The centre of the first pixel is at 0 in the published code, and at 0.5 in takes."""


@dataclass(frozen=True)
class Shot:
    """A photo that was captured with an engine of which the files were added.

    Attributes:
        home: The data folder.
        files: What was added.
        added: What `models add --json` said.
        folder: Of the photo and all that came out.
        report: What `capture --json` said.
        take: The take.
    """

    home: Path
    files: list[Path]
    added: dict[str, Any]
    folder: Path
    report: dict[str, Any]
    take: Take

    def run(self, repository: Path, *arguments: object) -> dict[str, Any]:
        return run_mien(repository, self.home, *arguments)


def run_mien(repository: Path, home: Path, *arguments: object) -> dict[str, Any]:
    """What the command prints as JSON."""
    command = [sys.executable, "-m", "backend.cli", *map(str, arguments), "--json"]
    environment = os.environ | {"MIEN_HOME": str(home)}
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def shot_of(module_path: Path, model: Path, repository: Path) -> Callable[[PublishedEngine], Shot]:
    """Captures with an engine, once; each engine has a data folder of its own."""
    shots: dict[PublishedEngine, Shot] = {}

    def shot(engine: PublishedEngine) -> Shot:
        if engine not in shots:
            home, folder, downloads = (module_path / engine / name for name in ("home", "work", "downloads"))
            for made in (home / "models", folder, downloads):
                made.mkdir(parents=True)
            shutil.copy(model, home / "models" / model.name)
            for other in shots.values():  # the same head is registered once
                shutil.copytree(other.home / "registrations", home / "registrations", dirs_exist_ok=True)
            files = write_downloads(downloads, engine)
            added = run_mien(repository, home, "models", "add", *files)
            photo = save_astronaut(folder / "portrait.png")
            report = run_mien(repository, home, "capture", photo, "--engine", engine, "--device", "cpu")
            take = Take.load(folder / "portrait.take.npz")
            shots[engine] = Shot(home, files, added, folder, report, take)
        return shots[engine]

    return shot


@pytest.fixture
def shot(shot_of: Callable[[PublishedEngine], Shot], engine: PublishedEngine, monkeypatch: pytest.MonkeyPatch) -> Shot:
    """The engine's shot, in its data folder."""
    made = shot_of(engine)
    monkeypatch.setenv("MIEN_HOME", str(made.home))
    return made


def published_square(landmarks: np.ndarray, engine: PublishedEngine) -> SimilarityTransform:
    """From a frame to the crop around landmarks (478,>=2), as the engine's published code says it."""
    if engine != "smirk":
        landmarks = landmarks[list(IBUG68_FROM_478)]
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    face = (high - low).sum() / 2 * (1.0 if engine == "smirk" else 1.1)
    half = int(face * (1.4 if engine == "smirk" else 1.25)) / 2
    (x, y) = high - (high - low) / 2
    corners = np.array([[x - half, y - half], [x - half, y + half], [x + half, y - half]])
    return estimate_transform("similarity", corners, np.array([[0, 0], [0, 223], [223, 0]]))


def published_crop(picture: np.ndarray, square: SimilarityTransform, engine: PublishedEngine) -> torch.Tensor:
    """(1,3,224,224): the crop of a picture (H,W,3) uint8, as the engine's published code makes it."""
    if engine == "smirk":
        pixels = warp(picture, square.inverse, output_shape=(224, 224), preserve_range=True).astype(np.uint8) / 255.0
    else:
        pixels = warp(picture / 255.0, square.inverse, output_shape=(224, 224))
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32))


def compare_codes(take: Take, frame: int, said: dict[str, np.ndarray], bound: float) -> None:
    """That a frame's expression, jaw and camera are what the networks said."""
    assert np.abs(take.expression[frame, :50] - said["expression"][0]).max() < bound
    assert not take.expression[:, 50:].any()
    assert np.abs(take.jaw[frame] - said["jaw"][0]).max() < bound
    assert np.abs(take.crop_camera[frame] - said["camera"][0]).max() < bound


@pytest.mark.parametrize("engine", ENGINES)
def test_everything_is_known_and_the_engine_is_ready(shot: Shot, repository: Path, engine: PublishedEngine) -> None:
    assert not shot.added["problems"] and not shot.added["warnings"]
    kinds = {(item["kind"], item["name"]) for item in shot.added["added"]}
    usual = {("flame2020", ""), ("head_template", ""), ("landmark_embedding", "")}
    wanted = {
        "deca": usual | {("deca", ""), ("fixed_displacement", ""), ("uv_masks", "face_eye")},
        "emoca": {("emoca", EMOCA_MODEL), ("flame2020", ""), ("flame2020", "emoca"), ("landmark_embedding", "emoca"),
                  ("head_template", "emoca"), ("mediapipe_embedding", "emoca"), ("fixed_displacement", "emoca"),
                  ("uv_masks", "face_eye")},
        "smirk": {("smirk", ""), ("flame2020", ""), ("landmark_embedding", ""), ("mediapipe_embedding", ""),
                  ("eyelids", "left"), ("eyelids", "right")},
    }[engine]  # fmt: skip
    assert wanted <= kinds
    listed = {item["name"]: item for item in shot.run(repository, "models")["engines"]}
    assert listed[engine]["ready"] and listed[engine]["commercial_use"] == "no"
    assert listed[engine]["sees_wrinkles"] == (engine in WRINKLED)
    assert not any(listed[other]["ready"] for other in ENGINES if other != engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_take_says_what_it_was_made_of(shot: Shot, engine: PublishedEngine) -> None:
    meta, head = shot.take.meta, load_head("flame2020")
    shot.take.require_head(head)
    assert (meta.head_id, meta.head_sha256) == ("flame2020", flame_hash(shot.files))
    assert shot.report["head"] == {"id": "flame2020", "sha256": meta.head_sha256}
    assert meta.engine == shot.report["engine"] == engine
    weights = next(item for item in shot.added["added"] if item["kind"] == engine)
    assert meta.versions[f"{engine} {weights['name']}".strip()] == weights["sha256"]
    if engine != "emoca":
        file = shot.files[0] / "deca_model.tar" if engine == "deca" else shot.files[0]
        assert weights["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert meta.commercial_use == shot.report["commercial_use"] == "no"
    assert any(text.startswith(weights["licence"]) for text in meta.licences)
    assert any("flame2020" in text for text in meta.licences) and list(meta.licences) == shot.report["licences"]
    made = face_flame().fields
    assert np.abs(head.template - made["v_template"]).max() < 1e-6
    assert np.abs(np.concatenate([head.identity, head.expression], axis=2) - made["shapedirs"]).max() < 1e-6
    assert {"ibug68", "mediapipe478"} <= set(head.landmarks) and bool(head.uv.any()) == (engine in WRINKLED)
    if engine == "smirk":  # the files'; the others have those of the open head
        assert np.abs(head.eyelids - face_flame().eyelids).max() < 1e-7
        for path, side in zip(shot.files[-2:], ("left", "right"), strict=True):
            assert meta.versions[f"eyelids {side}"] == hashlib.sha256(path.read_bytes()).hexdigest()


def flame_hash(files: list[Path]) -> str:
    """Of FLAME's model file among what was added."""
    archive = next((path for path in files if path.name == "FLAME2020.zip"), None)
    if archive is None:
        return hashlib.sha256((files[0] / "generic_model.pkl").read_bytes()).hexdigest()
    with ZipFile(archive) as opened:
        return hashlib.sha256(opened.read("generic_model.pkl")).hexdigest()


@pytest.mark.parametrize("engine", ENGINES)
def test_its_codes_are_those_of_the_networks_on_the_published_crop(
    shot: Shot, engine: PublishedEngine, finder: FaceFinder, astronaut: np.ndarray
) -> None:
    face = finder.refine(astronaut, finder.find(astronaut)[0])
    square = published_square(face.landmarks, engine)
    assert np.abs(shot.take.crop_transform[0] @ TO_CENTRES.params - square.params).max() < 1e-6
    said = eager(engine, published_crop(astronaut, square, engine))
    take, bound = shot.take, CODES[engine]
    compare_codes(take, 0, said, bound)
    width = said["identity"].shape[1]
    assert width == (300 if engine == "smirk" else 100) and take.identity.shape == (300,)
    assert np.abs(take.identity[:width] - said["identity"][0]).max() < bound and not take.identity[width:].any()
    if engine == "smirk":
        assert np.abs(take.eyelids - said["eyelids"]).max() < bound and take.eyelids.all()
        assert "detail_code" not in take.extra
    else:
        assert np.abs(take.extra["detail_code"] - said["detail"]).max() < bound


@pytest.mark.parametrize("engine", WRINKLED)
def test_the_map_is_what_the_decoder_says_of_the_codes(shot: Shot, engine: PublishedEngine) -> None:
    from backend.detail.exr import read_map
    from backend.networks.detail_decoder import DetailDecoder

    take = shot.take
    assert take.meta.displacement == ("portrait.displacement/0001.exr",)
    assert shot.report["displacement"] == {"maps": 1, "every": 1}
    decoder = DetailDecoder()
    decoder.load_state_dict(decoder_state())
    code = np.concatenate([take.jaw, take.expression[:, :50], take.extra["detail_code"]], axis=1)
    with torch.inference_mode():
        predicted = decoder.eval()(torch.from_numpy(code))[0, 0].numpy()
    expected = predicted * (mask_pixels("face_eye") / 255) + fixed_displacement()
    found = read_map(shot.folder / take.meta.displacement[0])
    assert np.ptp(predicted) > 1e-4
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.parametrize("engine", ENGINES)
def test_it_has_arkit_weights(shot: Shot, engine: PublishedEngine) -> None:
    weights = shot.take.extra["arkit"]
    assert weights.shape == (1, 52) and np.isfinite(weights).all()
    assert weights.min() >= 0 and weights.max() <= 1 and (weights > 0.01).sum() > 3


@pytest.mark.parametrize("engine", ["smirk"])
def test_every_frame_of_a_clip_is_what_the_network_says_of_its_crop(
    shot: Shot, engine: PublishedEngine, repository: Path, tmp_path: Path
) -> None:
    from backend.heads.model import HeadModel

    head, clip = load_head("open"), tmp_path / "shot.mp4"
    make_clip(clip, head, HeadModel(head), people(head, 1, 0, 0.8, 15.0), (320, 240), 15.0)
    arguments = ("--engine", engine, "--device", "cpu", "--smoothing", "0", "--no-overlay")
    report = shot.run(repository, "capture", clip, *arguments)
    take = Take.load(tmp_path / "shot.take.npz")
    assert len(take) == 12 and take.valid.all() and report["head"]["sha256"] == take.meta.head_sha256
    assert take.meta.engine == "smirk" and take.meta.commercial_use == "no" and take.meta.displacement == ()
    identities = []
    for frame, picture in enumerate(open_clip(clip).frames(0, 11)):
        square = SimilarityTransform(take.crop_transform[frame] @ TO_CENTRES.params)
        said = eager(engine, published_crop(picture.pixels, square, engine))
        compare_codes(take, frame, said, CODES[engine])
        assert np.abs(take.eyelids[frame] - said["eyelids"][0]).max() < CODES[engine]
        identities.append(said["identity"][0])
    assert np.all(take.identity >= np.min(identities, axis=0) - CODES[engine])
    assert np.all(take.identity <= np.max(identities, axis=0) + CODES[engine])
    assert take.extra["arkit"].shape == (12, 52) and np.ptp(take.extra["arkit"], axis=0).max() > 0
