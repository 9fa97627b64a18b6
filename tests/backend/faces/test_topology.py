# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts about the 478 landmarks agree with each other and with MediaPipe's own connections."""

from __future__ import annotations

import numpy as np
import pytest
from mediapipe.tasks.python.vision.face_landmarker import Blendshapes, FaceLandmarksConnections

from backend.faces import topology
from backend.faces.landmarker import FaceFinder
from backend.faces.topology import MIRROR_478, MIRROR_BLENDSHAPES

PAIRS = [
    ("RIGHT_LID_UPPER", "LEFT_LID_UPPER"),
    ("RIGHT_LID_LOWER", "LEFT_LID_LOWER"),
    ("RIGHT_LIDS", "LEFT_LIDS"),
    ("RIGHT_BROW", "LEFT_BROW"),
    ("RIGHT_IRIS", "LEFT_IRIS"),
]
SYMMETRIC = ["LIPS_OUTER", "LIPS_INNER", "LIPS", "LIDS", "BROWS", "FACE_OVAL", "NOSE_BRIDGE", "NOSE_BASE", "NOSE",
             "IRISES"]  # fmt: skip


def points_of(name: str) -> set[int]:
    connections = getattr(FaceLandmarksConnections, f"FACE_LANDMARKS_{name}")
    return {point for connection in connections for point in (connection.start, connection.end)}


def test_the_mirror_is_an_involution() -> None:
    assert sorted(MIRROR_478) == list(range(478))
    assert (MIRROR_478[MIRROR_478] == np.arange(478)).all()


def test_the_mirror_keeps_the_mesh() -> None:
    edges = {
        frozenset((connection.start, connection.end))
        for connection in FaceLandmarksConnections.FACE_LANDMARKS_TESSELATION
    }
    kept = {edge for edge in edges if frozenset(MIRROR_478[list(edge)].tolist()) in edges}
    # Three quads of the mesh itself are split along different diagonals on the two sides.
    assert len(edges) - len(kept) == 6


@pytest.mark.parametrize(("right", "left"), PAIRS)
def test_right_regions_mirror_to_left_ones(right: str, left: str) -> None:
    assert set(MIRROR_478[getattr(topology, right)]) == set(getattr(topology, left))
    assert not set(getattr(topology, right)) & set(getattr(topology, left))


@pytest.mark.parametrize("name", SYMMETRIC)
def test_middle_regions_mirror_to_themselves(name: str) -> None:
    region = getattr(topology, name)
    assert set(MIRROR_478[region]) == set(region)
    assert len(set(region)) == len(region)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("LIPS", "LIPS"), ("RIGHT_LIDS", "RIGHT_EYE"), ("LEFT_LIDS", "LEFT_EYE"), ("RIGHT_BROW", "RIGHT_EYEBROW"),
     ("LEFT_BROW", "LEFT_EYEBROW"), ("FACE_OVAL", "FACE_OVAL"), ("NOSE", "NOSE")],
)  # fmt: skip
def test_regions_are_those_of_mediapipe(ours: str, theirs: str) -> None:
    assert set(getattr(topology, ours).tolist()) == points_of(theirs)


def test_single_points_mirror_to_each_other() -> None:
    assert MIRROR_478[topology.RIGHT_IRIS_CENTRE] == topology.LEFT_IRIS_CENTRE == 473
    assert MIRROR_478[topology.RIGHT_EYE_OUTER] == topology.LEFT_EYE_OUTER
    assert MIRROR_478[topology.RIGHT_EYE_INNER] == topology.LEFT_EYE_INNER
    assert MIRROR_478[topology.MOUTH_CORNERS[0]] == topology.MOUTH_CORNERS[1]


def test_the_triangles_are_those_of_the_mesh() -> None:
    triangles = topology.TRIANGLES_468
    assert triangles.shape == (852, 3)
    edges = {frozenset(edge) for edge in triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2).tolist()}
    theirs = {
        frozenset((connection.start, connection.end))
        for connection in FaceLandmarksConnections.FACE_LANDMARKS_TESSELATION
    }
    assert edges == theirs
    assert set(triangles.ravel()) == set(range(468))


def test_the_triangles_are_counter_clockwise_on_screen(finder: FaceFinder, astronaut: np.ndarray) -> None:
    corner, second, third = finder.find(astronaut)[0].landmarks[topology.TRIANGLES_468, :2].swapaxes(0, 1)
    (right, down), (further_right, further_down) = (second - corner).T, (third - corner).T
    # y points down, so counter-clockwise is negative; a few triangles at the rim of a turned head look away.
    assert ((right * further_down - down * further_right) < 0).mean() > 0.95


def test_blendshape_names_are_in_the_order_of_mediapipe() -> None:
    assert len(topology.BLENDSHAPE_NAMES) == 52
    for name, theirs in zip(topology.BLENDSHAPE_NAMES, Blendshapes, strict=True):
        assert name.strip("_").lower() == theirs.name.replace("_", "").lower()


def test_mirrored_blendshapes() -> None:
    names = np.array(topology.BLENDSHAPE_NAMES)
    mirrored = names[MIRROR_BLENDSHAPES]
    assert (mirrored[MIRROR_BLENDSHAPES] == names).all()
    assert mirrored[topology.BLENDSHAPE_NAMES.index("jawLeft")] == "jawRight"
    assert mirrored[topology.BLENDSHAPE_NAMES.index("mouthSmileRight")] == "mouthSmileLeft"
    assert mirrored[topology.BLENDSHAPE_NAMES.index("browInnerUp")] == "browInnerUp"


def test_the_ibug_markup_is_symmetric() -> None:
    # The mirror permutation of the 68-point markup itself.
    mirror = [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31,
              45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
              54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]  # fmt: skip
    ours = topology.IBUG68_FROM_478
    assert len(set(ours)) == 68
    assert (MIRROR_478[ours] == ours[mirror]).all()


def test_the_ibug_markup_lies_on_its_regions(finder: FaceFinder, astronaut: np.ndarray) -> None:
    landmarks = finder.find(astronaut)[0].landmarks
    ibug = landmarks[topology.IBUG68_FROM_478]
    assert set(topology.IBUG68_FROM_478[:17]) <= set(topology.FACE_OVAL)
    assert set(topology.IBUG68_FROM_478[17:27]) <= set(topology.BROWS)
    assert set(topology.IBUG68_FROM_478[36:48]) <= set(topology.LIDS)
    assert set(topology.IBUG68_FROM_478[48:]) <= set(topology.LIPS)
    # From the person's right, which is the picture's left, to the person's left.
    assert (np.diff(ibug[:17, 0]) > -1).all()
    assert ibug[36:42, 0].max() < ibug[27, 0] < ibug[42:48, 0].min()
    # From the brows over the eyes, the nose and the mouth to the chin.
    assert ibug[19, 1] < ibug[37, 1] < ibug[30, 1] < ibug[51, 1] < ibug[57, 1] < ibug[8, 1]


def test_mirroring_landmarks_twice_changes_nothing() -> None:
    landmarks = np.random.default_rng(0).uniform(0, 100, (2, 478, 3))
    mirrored = topology.mirror_landmarks(landmarks, 100)
    assert mirrored[0, topology.LEFT_EYE_OUTER, 0] == 100 - landmarks[0, topology.RIGHT_EYE_OUTER, 0]
    np.testing.assert_allclose(topology.mirror_landmarks(mirrored, 100), landmarks)


def test_the_outer_eye_distance_ignores_depth() -> None:
    landmarks = np.zeros((478, 3))
    landmarks[topology.LEFT_EYE_OUTER] = (3, 4, 100)
    assert topology.outer_eye_distance(landmarks) == 5
