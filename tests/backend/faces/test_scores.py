# SPDX-License-Identifier: GPL-3.0-or-later
"""The score network computed here gives what MediaPipe's own graph gives, and following gives what finding gives."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from backend.faces import scores, tflite, topology
from backend.faces.landmarker import FaceFinder
from backend.faces.runtime import borrow, give_back
from backend.faces.windows import Window, sample


@pytest.fixture(scope="module")
def network(model: Path) -> scores.ScoreNetwork:
    with zipfile.ZipFile(model) as members:
        return scores.ScoreNetwork(members.read(scores.MEMBER))


def test_the_same_scores_as_the_graph(network: scores.ScoreNetwork, model: Path, group: np.ndarray) -> None:
    models = borrow(model, 0.4, 0.5, 1)
    try:
        crops = [sample(group, Window(x, y, 260), 352) for x, y in ((325, 214), (520, 348), (797, 422), (1182, 344))]
        meshes = [models[0].meshes(crop)[0] for crop in crops]
    finally:
        give_back(models)
    ours = network(np.array([mesh.landmarks for mesh in meshes]))
    theirs = np.array([mesh.blendshapes for mesh in meshes])
    assert theirs.max() > 0.8  # somebody smiles
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert ours.dtype == np.float32


def test_place_and_size_do_not_matter(network: scores.ScoreNetwork, finder: FaceFinder, astronaut: np.ndarray) -> None:
    landmarks = finder.find(astronaut)[0].landmarks
    both = network(np.array([landmarks, 3.7 * landmarks + 1000]))
    np.testing.assert_allclose(both[0], both[1], atol=1e-3)
    assert np.ptp(both[0]) > 0.5


def test_the_seen_landmarks_mirror_to_themselves() -> None:
    seen = set(scores.INPUT_LANDMARKS.tolist())
    assert len(seen) == 146
    assert {int(topology.MIRROR_478[landmark]) for landmark in seen} == seen


def test_following_agrees_with_finding(finder: FaceFinder, group: np.ndarray) -> None:
    faces = finder.find(group)
    for face, followed in zip(faces, finder.follow(group, faces), strict=True):
        assert followed is not None
        apart = np.linalg.norm((followed.face.landmarks - face.landmarks)[:, :2], axis=1).mean()
        assert apart < 0.04 * topology.outer_eye_distance(face.landmarks)
        assert np.abs(followed.face.blendshapes - face.blendshapes).mean() < 0.05


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"PK\x03\x04 no model at all, but long enough to read"])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="TensorFlow Lite"):
        tflite.constants(content)


def test_another_network_is_refused(model: Path) -> None:
    with zipfile.ZipFile(model) as members, pytest.raises(ValueError, match="tensors match"):
        scores.ScoreNetwork(members.read("face_detector.tflite"))
