# SPDX-License-Identifier: GPL-3.0-or-later
"""Published engines through the whole chain, with seeded weights of their sizes on a head in FLAME's layout."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from backend import cli
from backend import session as session_module
from backend.chain import reading
from backend.chain.result import credited
from backend.engines.choice import choose_networks
from backend.engines.crops import deca_style, smirk_style, transforms
from backend.engines.files import Ingredient
from backend.engines.on_flame import check_head
from backend.faces.topology import IBUG68_FROM_478
from backend.heads import load_head
from backend.heads.model import HeadModel
from backend.networks import loading
from backend.pipeline import capture
from backend.session import Session
from backend.weights.parts import find
from blender_addon.contract.errors import EXIT_CODES, ErrorCode, MienError
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.projection import project, weak_project
from blender_addon.contract.take import WEIGHTS, Take
from tests.backend.chain.test_clip import Watcher
from tests.fake_takes import same_arrays, small_take
from tests.footage import panned, write
from tests.seeded_parts import (
    eager,
    flame_head,
    write_deca,
    write_embedding,
    write_emoca,
    write_emotion,
    write_emotion_mlp,
    write_mica,
    write_smirk,
)

LONG = 2000.0
"""35 mm equivalent focal length under which perspective is all but weak."""


@pytest.fixture(scope="module")
def home(module_path, model) -> Path:
    """A data folder with the landmark model and the files of all engines, whose networks run in torch as they do where
    nothing else is installed; test_published_files.py takes what is installed."""
    patch = pytest.MonkeyPatch()
    patch.setattr(loading, "onnx_installed", lambda: False)
    home = module_path / "home"
    patch.setenv("MIEN_HOME", str(home))
    (home / "models").mkdir(parents=True)
    (home / "models" / model.name).write_bytes(model.read_bytes())
    head = flame_head(module_path)
    patch.setattr(session_module, "load_head", lambda name: head if name == "flame2020" else load_head(name))
    for part in (write_embedding, write_deca, write_emoca, write_smirk):
        part()
    yield home
    patch.undo()


@pytest.fixture(scope="module")
def session(home) -> Session:
    session = Session("cpu", threads=2)
    yield session
    session.close()


@pytest.fixture(scope="module")
def photo(tmp_path_factory, astronaut) -> Path:
    path = tmp_path_factory.mktemp("photos") / "portrait.png"
    Image.fromarray(astronaut).save(path)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory, astronaut) -> Path:
    path = tmp_path_factory.mktemp("clips") / "some one.mp4"
    return write(path, panned(astronaut, 12, (60.0, 0.0), step=(1.0, 0.3)))


def options(path: Path, engine: str, **more) -> CaptureOptions:
    return CaptureOptions(str(path), engine=engine, device="cpu", **more)


@pytest.mark.parametrize("engine", ["deca", "emoca", "smirk"])
def test_the_codes_of_a_photo_are_the_networks_own(session, photo, astronaut, engine):
    result = capture(session, options(photo, engine, focal_mm=LONG))
    (take,) = result.takes
    finder = session.finder()
    face = finder.refine(astronaut, finder.find(astronaut)[0])
    style = smirk_style("mediapipe") if engine == "smirk" else deca_style("mediapipe")
    around = style.squares(face.landmarks[None])
    said = eager(engine, style.crops(torch.from_numpy(astronaut), around))
    assert np.allclose(take.crop_transform, transforms(around))
    assert np.abs(take.expression[:, :50] - said["expression"]).max() < 1e-4 and not take.expression[:, 50:].any()
    assert np.abs(take.jaw - said["jaw"]).max() < 1e-4
    assert np.abs(take.crop_camera - said["camera"]).max() < 1e-3
    width = said["identity"].shape[1]
    assert np.abs(take.identity[:width] - said["identity"][0]).max() < 1e-4 and not take.identity[width:].any()
    assert take.identity.shape == (300,) and take.expression.shape == (1, 100)
    if engine == "smirk":
        assert np.abs(take.eyelids - said["eyelids"]).max() < 1e-4 and take.eyelids.all()
        assert "detail_code" not in take.extra
    else:
        assert np.abs(take.extra["detail_code"] - said["detail"]).max() < 1e-4
    assert take.meta.engine == engine and take.meta.commercial_use == "no"
    assert any(engine in name for name in take.meta.versions) and "research" in take.meta.licences[0]
    assert result.report["networks"][0]["kind"] == engine


def test_a_head_from_a_file_is_to_be_added(home, module_path):
    """The landmarks that are there come to heads of the store alone."""
    from_file = load_head(module_path / "generic_model.pkl")
    with pytest.raises(MienError, match="head from a file") as raised:
        check_head(from_file, "DECA", 100)
    assert raised.value.code is ErrorCode.MISSING_FILE and "models add" in raised.value.remedy
    part = find("landmark_embedding")
    kept = part.path.rename(part.path.with_suffix(".away"))
    try:
        with pytest.raises(MienError, match="is not there") as raised:
            check_head(from_file, "DECA", 100)
    finally:
        kept.rename(part.path)
    assert "landmark_embedding.npy" in raised.value.remedy


@pytest.mark.parametrize("engine", ["emoca", "smirk"])
def test_landmarks_fall_where_the_engine_sees_them(session, photo, engine):
    (take,) = capture(session, options(photo, engine, focal_mm=LONG)).takes
    head = session.head("flame2020")
    model = HeadModel(head)

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.array(array))

    def landmarks(rotation: np.ndarray) -> np.ndarray:
        vertices = model(
            identity=tensor(take.identity[None]), expression=tensor(take.expression), jaw=tensor(take.jaw),
            head_rotation=tensor(rotation),
        ).vertices  # fmt: skip
        return model.landmarks(vertices, "ibug68")[0].numpy()

    # A face that is seen off the axis looks turned by as much: the long lens leaves some tenths of a degree.
    mine = project(landmarks(take.head_rotation), take.translation[0], take.camera_matrix)
    around = session.networks(options(photo, engine)).engine
    finder, pixels = session.finder(), np.array(Image.open(photo))
    face = finder.refine(pixels, finder.find(pixels)[0])
    crops = around.style.crops(torch.from_numpy(pixels), around.style.squares(face.landmarks[None]))
    theirs = landmarks(around.read(crops)["head_rotation"])
    published = weak_project(theirs, take.crop_camera[0], take.crop_transform[0])
    assert np.abs(mine - published).max() < 0.3


def test_a_clip_has_one_identity_and_the_codes_of_each_frame(session, clip):
    watcher = Watcher(looks=True)
    (take,) = capture(session, options(clip, "emoca", smoothing=0.0, focal_mm=50.0), watcher).takes
    assert len(take) == 12 and take.valid.all()
    assert np.array_equal(take.expression, take.extra["raw_expression"])
    assert np.ptp(take.expression[:, :50], axis=0).max() > 0
    assert take.extra["detail_code"].shape == (12, 128)
    assert watcher.previews and watcher.previews[-1][0].meta.head_sha256 == take.meta.head_sha256
    moved = take.translation[-1] - take.translation[0]
    pixels = moved[:2] * take.camera_matrix[0, 0] / take.translation[:, 2].mean()
    assert np.abs(pixels - [-11.0, -3.3]).max() < 2.0


def test_a_capture_that_was_killed_goes_on_at_the_next_batch(session, clip, monkeypatch, home):
    monkeypatch.setattr(reading, "BATCH", 4)
    asked = options(clip, "smirk", focal_mm=50.0)
    for file in home.rglob("codes-*.bin"):
        file.unlink()
    with pytest.raises(MienError) as stopped:
        capture(session, asked, Watcher(stop_after=6, stage="engine"))
    assert stopped.value.code is ErrorCode.CANCELLED
    (kept,) = home.rglob("codes-*.bin")
    assert kept.stat().st_size > 0
    looked = []
    engine = session.networks(asked).engine
    read = type(engine).read
    monkeypatch.setattr(type(engine), "read", lambda self, crops: looked.append(len(crops)) or read(self, crops))
    (again,) = capture(session, asked).takes
    assert sum(looked) == 8
    kept.unlink()
    (whole,) = capture(session, asked).takes
    assert same_arrays(again, whole)


def test_what_fan_lacks_is_told_before_the_clip_is_walked_through(session, clip, monkeypatch):
    monkeypatch.setattr("backend.faces.fan.fan_installed", lambda: False)
    watcher = Watcher()
    with pytest.raises(MienError) as raised:
        capture(session, options(clip, "deca", boxes="fan"), watcher)
    assert raised.value.code is ErrorCode.SETUP_FAILED
    assert not {stage for stage, _ in watcher.stages} & {"faces", "engine"}


def test_boxes_of_a_clip_lie_around_fans_landmarks(session, clip, monkeypatch):
    """FAN's network is fabricated here: 68 points in the middle of the box that it gets, on the session's device."""
    asked = []

    def middle(frame, boxes, device):
        asked.append(str(device))
        low, high = boxes[:2], boxes[2:]
        return low + (high - low) * np.linspace(0.3, 0.7, 68)[:, None]

    monkeypatch.setattr("backend.faces.fan.load_fan", lambda device: None)
    monkeypatch.setattr("backend.faces.fan.fan_landmarks", middle)
    plain, fan = (
        capture(session, options(clip, "smirk", boxes=boxes, smoothing=0.0, focal_mm=50.0)).takes[0]
        for boxes in ("mediapipe", "fan")
    )
    assert asked == ["cpu"] * 12
    assert (fan.crop_transform[:, 0, 0] > 1.5 * plain.crop_transform[:, 0, 0]).all()  # smaller boxes, larger in crops


def test_mica_says_the_identity(session, clip, photo, home):
    part = write_mica()
    try:
        (take,) = capture(session, options(clip, "smirk", identity="mica", focal_mm=50.0)).takes
        (still,) = capture(session, options(photo, "deca", identity="mica")).takes
        (own,) = capture(session, options(photo, "deca")).takes
    finally:
        part.path.unlink()
    assert take.identity[100:].any() and still.identity[100:].any() and not own.identity[100:].any()
    assert any(name.startswith("mica") for name in take.meta.versions)
    with pytest.raises(MienError) as missing:
        capture(session, options(photo, "deca", identity="mica"))
    assert missing.value.code is ErrorCode.MISSING_FILE and "models add" in missing.value.remedy


def test_emotion_of_codes(session, clip, home):
    part = write_emotion_mlp()
    try:
        (take,) = capture(session, options(clip, "deca", focal_mm=50.0)).takes
        (fitted,) = capture(session, options(clip, "fit", focal_mm=50.0)).takes
    finally:
        part.path.unlink()
    assert take.extra["emotion_probability"].shape == (12, 8)
    assert np.allclose(take.extra["emotion_probability"].sum(axis=1), 1, atol=1e-5)
    assert take.extra["emotion_valence"].shape == take.extra["emotion_arousal"].shape == (12,)
    assert "emotion_valence" not in fitted.extra  # its codes are not those of the network


@pytest.mark.parametrize(
    ("more", "code", "word"),
    [
        ({"head": "open"}, ErrorCode.WRONG_HEAD, "belong to FLAME 2020"),
        ({"weights": "EMOCA_v3"}, ErrorCode.MISSING_FILE, "EMOCA_v3"),
    ],
)
def test_what_cannot_be_captured_is_told(session, photo, more, code, word):
    with pytest.raises(MienError) as error:
        capture(session, options(photo, "emoca", **more))
    assert error.value.code is code and word in error.value.message


def test_mica_does_not_go_with_the_fit(session, photo):
    with pytest.raises(MienError) as error:
        capture(session, options(photo, "fit", identity="mica"))
    assert error.value.code is ErrorCode.USAGE


def test_the_command(home, photo, tmp_path, capsys):
    status = cli.main(["capture", str(photo), "--engine", "emoca", "--out", str(tmp_path), "--device", "cpu", "--json"])
    assert status == 0
    take = Take.load(tmp_path / "portrait.take.npz")
    assert take.meta.engine == "emoca" and take.meta.head_id == "flame2020"
    report = json.loads((tmp_path / "portrait.report.json").read_text())
    assert report["commercial_use"] == "no" and (tmp_path / "portrait.overlay.png").exists()
    wrong = cli.main(["capture", str(photo), "--engine", "emoca", "--head", "open", "--out", str(tmp_path)])
    assert wrong == EXIT_CODES[ErrorCode.WRONG_HEAD]


def test_two_people(session, tmp_path, astronaut):
    pair = np.concatenate([astronaut, astronaut[:, ::-1]], axis=1)
    path = tmp_path / "two.png"
    Image.fromarray(pair).save(path)
    result = capture(session, options(path, "smirk", all_faces=True))
    assert [take.meta.person for take in result.takes] == [1, 2]
    assert len(IBUG68_FROM_478) == 68 and not np.array_equal(result.takes[0].expression, result.takes[1].expression)


def test_the_fits_takes_stay_free_of_licences_of_others(session, home):
    part = write_emotion()
    try:
        options = CaptureOptions(source="photo.png", engine="fit")
        assert choose_networks(options, load_head("open"), torch.device("cpu")).ingredients == ()
    finally:
        part.path.unlink()


def test_takes_name_the_weights(session, home):
    head, part = load_head("open"), find("emoca")
    take = small_take()
    asked = credited(replace(take, meta=replace(take.meta, engine="emoca")), head, (Ingredient.of(part),))
    assert asked.meta.versions[WEIGHTS] == part.name != ""
    assert WEIGHTS not in credited(take, head, (Ingredient.of(part),)).meta.versions
