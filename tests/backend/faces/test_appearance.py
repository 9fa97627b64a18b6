# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks tell the people of one picture apart, whatever the light, the sharpness and the size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from backend.faces import appearance
from backend.faces.appearance import canonical, flat_face, flattened, look, remembered, sharpness, similarity
from backend.faces.following import Followed
from backend.faces.landmarker import FaceFinder
from backend.faces.people import STABLE_LANDMARKS, residual
from backend.faces.topology import MIRROR_478, TRIANGLES_468

SAME, OTHER = 0.45, 0.35


@pytest.fixture(scope="module")
def six(finder: FaceFinder, group: np.ndarray) -> list[Followed]:
    """The people of the group photo, from left to right."""
    faces = sorted(finder.find(group), key=lambda face: face.box[0])
    return finder.follow(group, faces)


def changed(pixels: np.ndarray, change: str) -> np.ndarray:
    if change == "darker":
        return (pixels * 0.55).astype(np.uint8)
    if change == "lit from the side":
        return (pixels * np.linspace(0.5, 1.0, pixels.shape[1])[:, None]).astype(np.uint8)
    if change == "blurred":
        return cv2.GaussianBlur(pixels, (0, 0), 2.0)
    if change == "small":
        half = cv2.resize(pixels, None, fx=0.45, fy=0.45, interpolation=cv2.INTER_AREA)
        return cv2.resize(half, pixels.shape[1::-1])
    assert change == "mirrored"
    return np.ascontiguousarray(pixels[:, ::-1])


@pytest.mark.parametrize("change", ["darker", "lit from the side", "blurred", "small"])
def test_everyone_is_most_alike_to_themselves(
    finder: FaceFinder, group: np.ndarray, six: list[Followed], change: str
) -> None:
    again = finder.follow(changed(group, change), [seen.face for seen in six])
    likeness = np.array([[similarity(look(seen), look(other)) for other in six] for seen in again])
    assert likeness.diagonal().min() > SAME
    assert (likeness - 2 * np.eye(6)).max() < OTHER


def test_people_are_as_unlike_in_a_mirror(finder: FaceFinder, group: np.ndarray, six: list[Followed]) -> None:
    twins = finder.find(changed(group, "mirrored"))
    mirrored = sorted(finder.follow(changed(group, "mirrored"), twins), key=lambda seen: -seen.face.box[0])
    for first in range(3):
        for second in range(first + 1, 4):
            plain = similarity(look(six[first]), look(six[second]))
            assert similarity(look(mirrored[first]), look(mirrored[second])) == pytest.approx(plain, abs=0.05)


def test_blur_shows_in_the_sharpness_but_light_does_not(
    finder: FaceFinder, group: np.ndarray, six: list[Followed]
) -> None:
    faces = [seen.face for seen in six]
    for change, low, high in (("blurred", 0.0, 0.8), ("darker", 0.85, 1.1), ("mirrored", 0.9, 1.1)):
        if change == "mirrored":
            twins = [Followed(seen.face, changed(seen.crop, change), seen.window) for seen in six]
        else:
            twins = finder.follow(changed(group, change), faces)
        for seen, twin in zip(six, twins, strict=True):
            assert low < sharpness(twin) / sharpness(seen) < high


def test_memory_is_a_mean_weighted_with_how_well_the_face_was_seen(six: list[Followed]) -> None:
    one, other = look(six[0]), look(six[1])
    one[-1], other[-1] = 1.0, 0.25
    both = remembered(one, other)
    share = 0.25 / (appearance.MEMORY + 0.25)
    np.testing.assert_allclose(both[:-1], (1 - share) * one[:-1] + share * other[:-1], rtol=1e-4, atol=1e-5)
    for _ in range(400):
        both = remembered(both, other)
    assert similarity(both, other) > 0.99
    assert both[-1] <= 0.25 / (1 - appearance.MEMORY) + 1e-3  # what was seen long ago is forgotten


def test_a_half_that_is_hidden_is_taken_from_the_other(six: list[Followed]) -> None:
    """A mesh of which one half is turned away: its place on the flat face shows the half that is seen."""
    points = canonical()[0].astype(np.float64)
    folded = points * (60, 60, 60) + (128, 128, 0)
    folded[points[:, 0] < 0, 0] = 128 + 2 * points[points[:, 0] < 0, 0]  # the right half seen edge-on
    crop = np.zeros((256, 256, 3), np.uint8)
    crop[:, 131:] = (200, 120, 90)
    face = six[0].face
    seen = Followed(
        type(face)(face.box, folded.astype(np.float32), face.blendshapes, 1.0, 0.0),
        crop,
        type(six[0].window)(128.0, 128.0, 256.0),
    )
    flat = flattened(seen)
    inside = flat_face().inside.astype(bool)
    inside[:, 24:40] = False
    np.testing.assert_allclose(flat[inside], np.broadcast_to((200, 120, 90), flat.shape)[inside], atol=12)


def test_the_flat_face_covers_the_skin_without_eyes_and_mouth() -> None:
    kept = flat_face()
    assert 0.5 < kept.inside.mean() < 0.8
    np.testing.assert_allclose(kept.weights.sum(axis=-1)[kept.inside > 0], 1, atol=1e-9)
    assert (kept.corners == TRIANGLES_468[kept.triangles]).all()


def test_the_stored_means_are_those_of_the_seven_faces(
    finder: FaceFinder, astronaut: np.ndarray, six: list[Followed]
) -> None:
    seven = [*finder.follow(astronaut, finder.find(astronaut)), *six]
    _, common, shape = canonical()
    texture = np.mean([appearance.texture(flattened(seen)) for seen in seven], axis=0)
    grid = np.zeros((appearance.TEXTURE_GRID,) * 2)
    cells = flat_face().texture_cells
    grid[cells] = texture
    np.testing.assert_allclose(((grid + grid[:, ::-1]) / 2)[cells], common, atol=0.02)
    mean = np.mean([residual(seen.face.landmarks) for seen in seven], axis=0).reshape(-1, 3)
    places = {landmark: place for place, landmark in enumerate(STABLE_LANDMARKS)}
    twin = mean[[places[landmark] for landmark in MIRROR_478[STABLE_LANDMARKS]]] * (-1, 1, 1)
    np.testing.assert_allclose(((mean + twin) / 2).ravel(), shape, atol=2e-3)
