# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole chain on real photos: how well it fits, and whether it agrees with itself."""

from __future__ import annotations

import numpy as np
import pytest

from backend.pipeline import posed_vertices
from backend.session import Session
from blender_addon.contract.errors import ErrorCode, MienError
from tests.measures import capture, landmark_errors, mirror_difference, round_trip
from tests.pictures import group_photo, save_astronaut


@pytest.fixture(scope="module")
def session(model):
    session = Session("cpu")
    yield session
    session.close()


@pytest.fixture(scope="module")
def portrait(session, tmp_path_factory):
    return capture(session, save_astronaut(tmp_path_factory.mktemp("photos") / "astronaut.png"))


def test_the_astronaut_fits_within_a_hundredth_of_the_eye_distance(portrait):
    assert landmark_errors(portrait)[0] <= 0.010
    assert portrait.report["faces"][0]["confidence"] > 0.8


def test_rendering_the_fit_and_detecting_again_closes_the_circle(session, portrait):
    distance, correlation = round_trip(session, portrait)
    assert distance <= 0.019
    assert correlation >= 0.83


def test_the_mirrored_photo_gives_the_mirrored_face(session, portrait, tmp_path):
    mirrored = capture(session, save_astronaut(tmp_path / "mirrored.png", mirrored=True))
    assert mirror_difference(portrait, mirrored) <= 0.05


def test_five_people_at_a_table(session, group):
    result = capture(session, group_photo(), all_faces=True)
    assert np.median(landmark_errors(result)[:5]) <= 0.015
    boxes = np.array([face["box"] for face in result.report["faces"]])
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    assert (np.diff(areas) < 0.2 * areas[:-1]).all()  # the largest first
    assert [take.meta.person for take in result.takes] == list(range(1, len(boxes) + 1))


def test_one_face_of_many_is_the_same_alone(session, group):
    together = capture(session, group_photo(), all_faces=True)
    alone = capture(session, group_photo(), face=3)
    assert np.abs(alone.takes[0].expression - together.takes[2].expression).max() < 0.02
    assert alone.takes[0].meta.person == 3


def nose_distance(session, result) -> float:
    """Metres from the camera to the nose; the origin of the head lies a good ten centimetres behind it."""
    take = result.takes[0]
    return float(take.translation[0, 2] - posed_vertices(session, session.head("open"), take)[0, :, 2].max())


def test_a_stated_focal_length_moves_the_camera_and_not_the_face(session, tmp_path):
    path = save_astronaut(tmp_path / "astronaut.png")
    near, far = (capture(session, path, focal_mm=focal) for focal in (35.0, 100.0))
    assert near.report["camera"]["origin"] == "given"
    assert nose_distance(session, far) / nose_distance(session, near) == pytest.approx(100 / 35, rel=0.03)
    assert max(landmark_errors(near) + landmark_errors(far)) <= 0.012


def test_a_take_refuses_another_head(session, portrait):
    take = portrait.takes[0]
    head = session.head("open")
    other = type(head)(**{**{name: getattr(head, name) for name in head.__dataclass_fields__}, "sha256": "0" * 64})
    with pytest.raises(MienError) as caught:
        posed_vertices(session, other, take)
    assert caught.value.code is ErrorCode.WRONG_HEAD
