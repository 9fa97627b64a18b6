# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding faces in real photos: all of them, once, with steady landmarks, and nothing where there is none."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from backend.faces import face as face_module
from backend.faces import topology
from backend.faces.face import Face, frontalness, presence, roll
from backend.faces.landmarker import FaceFinder
from blender_addon.contract.errors import ErrorCode, MienError

ASTRONAUT_BOX = np.array([180, 71, 272, 178])
GROUP_CENTRES = np.array([[112, 335], [325, 214], [520, 348], [797, 422], [963, 144], [1182, 344]])
"""Middles of the six faces, read off the picture."""


def centre(face: Face) -> np.ndarray:
    return (face.box[:2] + face.box[2:]) / 2


def errors(one: Face, landmarks: np.ndarray) -> np.ndarray:
    """(478,) distances as fractions of the outer-eye distance."""
    distance = np.linalg.norm((one.landmarks - landmarks)[:, :2], axis=1)
    return distance / topology.outer_eye_distance(one.landmarks)


@pytest.fixture(scope="module")
def found(finder: FaceFinder, astronaut: np.ndarray) -> Face:
    faces = finder.find(astronaut)
    assert len(faces) == 1
    return faces[0]


@pytest.fixture(scope="module")
def refined(finder: FaceFinder, astronaut: np.ndarray, found: Face) -> Face:
    return finder.refine(astronaut, found)


def test_the_astronaut(found: Face) -> None:
    assert np.abs(found.box - ASTRONAUT_BOX).max() < 6
    assert found.landmarks.shape == (478, 3)
    assert found.blendshapes.shape == (52,) and found.blendshapes.dtype == np.float32
    assert found.presence > 0.85 and 0 < found.spread < 0.02
    # She smiles with open eyes and turns her head a little to her right.
    scores = dict(zip(topology.BLENDSHAPE_NAMES, found.blendshapes, strict=True))
    assert scores["mouthSmileLeft"] > 0.7 and scores["mouthSmileRight"] > 0.7
    assert scores["eyeBlinkLeft"] < 0.2 and scores["eyeBlinkRight"] < 0.2


def test_her_landmarks_are_where_they_belong(found: Face) -> None:
    eyes, mouth = (found.landmarks[region].mean(axis=0) for region in (topology.LIDS, topology.LIPS))
    right_iris, left_iris = found.landmarks[468], found.landmarks[473]
    assert right_iris[0] < left_iris[0]
    assert eyes[1] < found.landmarks[4, 1] < mouth[1] < found.landmarks[152, 1]
    # z grows away from the camera: the nose tip is nearest, the ears are behind the eyes.
    assert found.landmarks[4, 2] < eyes[2] < found.landmarks[[127, 356], 2].mean()
    # Iris centres, read off the picture.
    assert np.abs(right_iris[:2] - (203.5, 101.2)).max() < 1.5
    assert np.abs(left_iris[:2] - (246.5, 103.2)).max() < 1.5


def test_refining_changes_little_and_is_confident(found: Face, refined: Face) -> None:
    assert errors(found, refined.landmarks).mean() < 0.015
    assert refined.presence > 0.85
    assert 0 < refined.spread < 0.02


def test_refining_again_settles(finder: FaceFinder, astronaut: np.ndarray, refined: Face) -> None:
    again = finder.refine(astronaut, refined)
    assert errors(refined, again.landmarks).mean() < 0.005


def test_refining_is_steadier_than_finding(finder: FaceFinder, astronaut: np.ndarray) -> None:
    moved = [np.roll(astronaut, (shift, -shift), axis=(0, 1)) for shift in range(-4, 5, 2)]
    offsets = [np.array([-shift, shift, 0]) for shift in range(-4, 5, 2)]
    single, averaged = [], []
    for pixels, offset in zip(moved, offsets, strict=True):
        face = finder.find(pixels)[0]
        single.append(face.landmarks - offset)
        averaged.append(finder.refine(pixels, face).landmarks - offset)
    jitter = [np.std(landmarks, axis=0)[:, :2].mean() for landmarks in (single, averaged)]
    assert jitter[1] < jitter[0]


def test_mirroring_the_photo_mirrors_the_result(
    finder: FaceFinder, astronaut: np.ndarray, found: Face, refined: Face
) -> None:
    mirrored = np.ascontiguousarray(astronaut[:, ::-1])
    twin = finder.find(mirrored)[0]
    assert errors(found, topology.mirror_landmarks(twin.landmarks, 512)).max() < 1e-3
    twin = finder.refine(mirrored, twin)
    assert errors(refined, topology.mirror_landmarks(twin.landmarks, 512)).max() < 1e-3
    assert np.abs(twin.blendshapes[topology.MIRROR_BLENDSHAPES] - refined.blendshapes).max() < 5e-3
    assert twin.presence == pytest.approx(refined.presence, abs=1e-3)


def test_mirroring_holds_for_every_face_of_a_group(finder: FaceFinder, group: np.ndarray) -> None:
    width = group.shape[1]
    mirrored = np.ascontiguousarray(group[:, ::-1])
    one = [finder.refine(group, face) for face in finder.find(group)]
    other = [finder.refine(mirrored, face) for face in finder.find(mirrored)]
    assert len(one) == len(other) == 6
    for face in one:
        twins = [topology.mirror_landmarks(twin.landmarks, width) for twin in other]
        assert min(errors(face, twin).mean() for twin in twins) < 2e-3


def test_all_six_faces_of_a_group(finder: FaceFinder, group: np.ndarray) -> None:
    faces = finder.find(group)
    distances = np.linalg.norm(np.array([centre(face) for face in faces])[:, None] - GROUP_CENTRES, axis=-1)
    assert len(faces) == 6
    assert sorted(distances.argmin(axis=1)) == list(range(6))
    assert distances.min(axis=1).max() < 15
    sizes = [(face.box[2:] - face.box[:2]).sum() for face in faces]
    assert sizes == sorted(sizes, reverse=True)
    # The man in near profile is the least certain.
    assert min(faces, key=lambda face: finder.refine(group, face).presence) is faces[distances[:, 4].argmin()]


def test_two_copies_are_two_faces(finder: FaceFinder, astronaut: np.ndarray) -> None:
    faces = finder.find(np.concatenate([astronaut, astronaut[:, ::-1]], axis=1))
    assert sorted(round(centre(face)[0]) for face in faces) == pytest.approx([226, 1024 - 226], abs=3)


@pytest.mark.parametrize("size", [40, 50, 60])
@pytest.mark.parametrize("place", [(30, 40), (1150, 640), (611, 333)])
def test_a_tiny_face_in_a_large_picture(
    finder: FaceFinder, astronaut: np.ndarray, size: int, place: tuple[int, int]
) -> None:
    scale = size / (ASTRONAUT_BOX[2] - ASTRONAUT_BOX[0])
    head = cv2.resize(astronaut[20:260, 120:340], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    canvas = cv2.resize(skimage.data.coffee(), (1400, 900))
    canvas[place[1] : place[1] + head.shape[0], place[0] : place[0] + head.shape[1]] = head
    faces = finder.find(canvas)
    assert len(faces) == 1
    expected = np.array(place) + scale * ((ASTRONAUT_BOX[:2] + ASTRONAUT_BOX[2:]) / 2 - (120, 20))
    assert np.abs(centre(faces[0]) - expected).max() < 0.1 * size
    assert faces[0].box[2] - faces[0].box[0] == pytest.approx(size, rel=0.15)


def test_a_face_in_a_huge_picture_keeps_its_resolution(finder: FaceFinder, astronaut: np.ndarray, found: Face) -> None:
    canvas = np.full((3000, 4000, 3), 90, dtype=np.uint8)
    canvas[1000:1512, 2000:2512] = astronaut
    faces = finder.find(canvas)
    assert len(faces) == 1
    assert errors(found, faces[0].landmarks - (2000, 1000, 0)).mean() < 0.02


@pytest.mark.parametrize("degrees", [-60, -25, 25, 60, 90, 180, 270])
def test_turned_faces(finder: FaceFinder, astronaut: np.ndarray, refined: Face, degrees: int) -> None:
    turn = cv2.getRotationMatrix2D((226.0, 124.0), -degrees, 1.0)
    turned = cv2.warpAffine(astronaut, turn, (512, 512))
    faces = finder.find(turned)
    assert len(faces) == 1
    face = finder.refine(turned, faces[0])
    expected = refined.landmarks.copy()
    expected[:, :2] = expected[:, :2] @ turn[:, :2].T + turn[:, 2]
    assert errors(face, expected).mean() < 0.025
    difference = np.degrees(roll(face.landmarks) - roll(refined.landmarks)) - degrees
    assert abs((difference + 180) % 360 - 180) < 2


@pytest.mark.parametrize(
    "change",
    [
        lambda pixels: (pixels * 0.15).astype(np.uint8),
        lambda pixels: np.clip(pixels.astype(int) * 2, 0, 255).astype(np.uint8),
        lambda pixels: np.repeat(pixels.mean(axis=-1, keepdims=True), 3, axis=-1).astype(np.uint8),
        lambda pixels: np.ascontiguousarray(pixels[60:190, 170:282]),
        lambda pixels: cv2.resize(pixels, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC),
    ],
    ids=["dark", "overexposed", "grey", "cut close", "enlarged"],
)
def test_unusual_pictures(finder: FaceFinder, astronaut: np.ndarray, change) -> None:
    faces = finder.find(change(astronaut))
    assert len(faces) == 1
    assert faces[0].presence > 0.7


@pytest.mark.parametrize("name", ["brick", "grass", "gravel", "coffee", "chelsea", "rocket", "coins", "page", "text",
                                  "hubble_deep_field", "moon", "horse"])  # fmt: skip
def test_no_face_no_find(finder: FaceFinder, name: str) -> None:
    pixels = np.asarray(getattr(skimage.data, name)())
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * 255
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=-1)
    assert finder.find(np.ascontiguousarray(pixels[..., :3])) == []


@pytest.mark.parametrize("size", [(64, 64), (64, 2000), (2000, 64), (65, 333)])
def test_blank_pictures_of_any_shape(finder: FaceFinder, size: tuple[int, int]) -> None:
    assert finder.find(np.full((*size, 3), 128, dtype=np.uint8)) == []


def test_objects_among_the_people_are_no_faces(finder: FaceFinder, group: np.ndarray) -> None:
    table = cv2.resize(group[560:, 100:1180], None, fx=3, fy=3)
    assert finder.find(table) == []


def test_following_a_moving_face(finder: FaceFinder, astronaut: np.ndarray, found: Face) -> None:
    moved = np.roll(astronaut, (6, 9), axis=(0, 1))
    (followed,) = finder.follow(moved, [found])
    assert followed is not None
    assert errors(found, followed.face.landmarks - (9, 6, 0)).mean() < 0.02
    assert finder.follow(np.zeros_like(astronaut), [found]) == [None]
    assert finder.follow(astronaut, []) == []


def test_a_face_that_cannot_be_refined_is_less_certain(finder: FaceFinder, astronaut: np.ndarray, found: Face) -> None:
    doubtful = finder.refine(np.zeros_like(astronaut), found)
    assert doubtful.presence == found.presence / 2
    assert doubtful.landmarks is found.landmarks


def test_several_threads_give_the_same(model: Path, astronaut: np.ndarray, refined: Face) -> None:
    with FaceFinder(model, threads=2) as finder, ThreadPoolExecutor(2) as callers:
        results = list(callers.map(lambda _: finder.refine(astronaut, finder.find(astronaut)[0]), range(4)))
    for result in results:
        np.testing.assert_allclose(result.landmarks, refined.landmarks, atol=1e-6)


def test_closing_twice_is_allowed_and_models_are_lent_again(model: Path) -> None:
    from backend.faces import runtime

    with FaceFinder(model) as first:
        pass
    loaded = len(runtime._loaded)
    first.close()
    with FaceFinder(model):
        assert len(runtime._loaded) == loaded


def test_a_missing_or_damaged_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(MienError) as caught:
        FaceFinder(tmp_path / "face_landmarker.task")
    assert caught.value.code is ErrorCode.MISSING_FILE
    (tmp_path / "face_landmarker.task").write_bytes(b"PK\x03\x04 not the model")
    with pytest.raises(MienError) as caught:
        FaceFinder(tmp_path / "face_landmarker.task")
    assert caught.value.code is ErrorCode.WRONG_HASH


def test_the_process_says_nothing_on_stderr(model: Path, repository: Path) -> None:
    script = f"""
import numpy as np, skimage.data
from pathlib import Path
from backend.faces.landmarker import FaceFinder
finder = FaceFinder(Path({str(model)!r}))
assert len(finder.find(skimage.data.astronaut())) == 1
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    # One line depends on how the memory happens to be aligned and cannot be switched off.
    lines = [line for line in done.stderr.splitlines() if "memory is not aligned" not in line]
    assert lines == []


def test_the_usage_reporter_gets_no_certificates(model: Path) -> None:
    from backend.faces import runtime

    options = runtime._offline_options(model.read_bytes()).to_ctypes()
    assert "ca_bundle_path" in dict(type(options)._fields_)
    assert options.ca_bundle_path == runtime.NO_CERTIFICATES
    assert not Path(runtime.NO_CERTIFICATES.decode()).exists()


def test_other_lines_on_stderr_get_through(capfd: pytest.CaptureFixture[str]) -> None:
    import os

    from backend.faces.runtime import quiet_native_log

    with quiet_native_log():
        os.write(2, b"INFO: chatter\nW0000 00:00:1.2 3 x.cc:1] chatter\nE0000 00:00:1.2 3 x.cc:1] a real error\n")
    assert capfd.readouterr().err == "E0000 00:00:1.2 3 x.cc:1] a real error\n"


def test_frontalness_is_the_cosine_of_the_turn() -> None:
    flat = np.zeros((478, 3))
    flat[topology.RIGHT_EYE_OUTER], flat[topology.LEFT_EYE_OUTER] = (-1, 0, 0), (1, 0, 0)
    flat[topology.MOUTH_CORNERS[0]], flat[topology.MOUTH_CORNERS[1]] = (-0.5, 1.2, 0), (0.5, 1.2, 0)
    for degrees in (0, 30, 60):
        angle = np.radians(degrees)
        turn = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
        assert frontalness(flat @ turn) == pytest.approx(np.cos(angle))


def test_presence_falls_with_each_doubt() -> None:
    sure = presence(0.95, 1.0, 0.005, 1.0)
    assert sure > 0.9
    for doubtful in ((0.6, 1.0, 0.005, 1.0), (0.95, 0.5, 0.005, 1.0), (0.95, 1.0, 0.08, 1.0), (0.95, 1.0, 0.005, 0.2)):
        assert presence(*doubtful) < 0.7 * sure
    assert presence(1.0, 1.0, 0.0, 1.0) == 1.0
    assert presence(0.95, 1.0, face_module.SPREAD_SCALE, 1.0) == pytest.approx(0.95 / np.e)
