# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic faces: reproducible, true to what they say, and on disk as in memory."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.heads import load_head
from backend.rendering.camera import project_weak
from backend.rendering.shading import sh_shading
from blender_addon.contract.arkit import CHANNELS
from blender_addon.contract.errors import MienError
from blender_addon.contract.models import EMOTIONS
from tests.fake_heads import small_head
from training.synthetic.dataset import SyntheticFaces
from training.synthetic.emotions import PLACES, PROTOTYPES, draw_emotion, prototype_units
from training.synthetic.light import ambient, directional
from training.synthetic.on_disk import StoredFaces, write_faces


@pytest.fixture(scope="module")
def faces() -> SyntheticFaces:
    return SyntheticFaces(3, 3, seed=5)


@pytest.fixture(scope="module")
def items(faces: SyntheticFaces) -> list[dict[str, torch.Tensor]]:
    return [faces[index] for index in range(len(faces))]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return set(one) == set(other) and all(torch.equal(one[name], other[name]) for name in one)


def test_an_item_depends_on_seed_and_index_alone(faces: SyntheticFaces, items: list) -> None:
    assert same(SyntheticFaces(9, 3, seed=5)[4], items[4])
    assert same(SyntheticFaces(1, 3, seed=5, first_person=1)[1], items[4])
    assert same(pickle.loads(pickle.dumps(faces))[4], items[4])
    assert not torch.equal(SyntheticFaces(3, 3, seed=6)[4]["image"], items[4]["image"])
    with pytest.raises(IndexError):
        faces[len(faces)]


def test_pictures_of_a_person_share_the_identity_and_nothing_else(items: list) -> None:
    for a, b in ((0, 1), (3, 5)):
        assert torch.equal(items[a]["identity"], items[b]["identity"])
        assert not torch.equal(items[a]["light"], items[b]["light"])
        assert not torch.equal(items[a]["expression"], items[b]["expression"])
    assert not torch.equal(items[0]["identity"], items[3]["identity"])


def test_shapes_and_ranges(items: list) -> None:
    for item in items:
        assert item["image"].shape == (3, 224, 224)
        assert item["mask"].shape == (1, 224, 224)
        for name in ("image", "mask"):
            assert 0 <= item[name].min() <= item[name].max() <= 1
        assert item["image"].std() > 0.03
        assert 0.1 < item["mask"].mean() < 0.7
        assert all(value.isfinite().all() for value in item.values())
        assert 0 <= item["expression"].min() <= item["expression"].max() <= 1
        assert (item["landmarks"][:, 2] > 0).sum() > 20


def test_the_parameters_give_the_landmarks(faces: SyntheticFaces, items: list) -> None:
    """Posed and projected anew, the head's landmarks lie where the item says."""
    given = ("identity", "expression", "head_rotation", "jaw", "eyes", "eyelids")
    for item in items:
        vertices = faces.model(**{name: item[name][None] for name in given}).vertices
        for name, stored in (("ibug68", "landmarks"), ("mediapipe478", "mediapipe")):
            points = project_weak(faces.model.landmarks(vertices, name), item["crop_camera"][None])[0]
            torch.testing.assert_close(points[:, :2], item[stored][:, :2], atol=1e-5, rtol=0)


def test_seen_landmarks_of_the_inner_face_lie_in_the_mask(items: list) -> None:
    inner = [30, 33, 39, 42, 48, 54]  # nose tip and base, inner eye corners, mouth corners
    for item in items:
        points = item["landmarks"][inner]
        seen = points[points[:, 2] > 0]
        column, row = ((seen[:, :2] + 1) * 112).long().clamp(0, 223).T
        assert (item["mask"][0, row, column] > 0.4).all()


def test_prototypes_are_arkits() -> None:
    assert {prototype.emotion for prototype in PROTOTYPES} == set(EMOTIONS) == set(PLACES)
    for prototype in PROTOTYPES:
        units = prototype_units(prototype)
        assert units.max(initial=0) <= 1
        assert (units > 0).any() == (prototype.emotion != "neutral")
        for name in prototype.one_sided:
            left, right = (units[CHANNELS.index(name + side)] for side in ("Left", "Right"))
            assert left > 0
            assert right == 0


def test_emotions_lie_near_their_places_and_apart() -> None:
    random = np.random.default_rng(0)
    drawn = {name: [draw_emotion(random, label) for _ in range(200)] for label, name in enumerate(EMOTIONS)}
    for name, emotions in drawn.items():
        place = np.mean([(emotion.valence, emotion.arousal) for emotion in emotions], axis=0)
        assert np.linalg.norm(place - 0.75 * np.array(PLACES[name])) < 0.12
        assert all(0 <= emotion.units.min() and emotion.units.max() <= 1 for emotion in emotions)
    labels = [draw_emotion(random).label for _ in range(800)]
    assert np.bincount(labels, minlength=8).min() > 60


def test_a_nearest_mean_tells_emotions_by_their_units() -> None:
    """Who knows the units knows the class: mixes and weak faces do not hide it."""
    random = np.random.default_rng(1)

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        emotions = [draw_emotion(random) for _ in range(count)]
        return np.stack([emotion.units for emotion in emotions]), np.array([emotion.label for emotion in emotions])

    (train, labels), (test, truth) = draw(2000), draw(800)
    means = np.stack([train[labels == label].mean(0) for label in range(8)])
    told = ((test[:, None] - means) ** 2).sum(-1).argmin(1)
    assert (told == truth).mean() > 0.9


def test_light_is_the_clamped_cosine() -> None:
    normals = torch.nn.functional.normalize(torch.randn(500, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    towards = np.array([0.3, -0.5, 0.8])

    def shading(light: np.ndarray) -> torch.Tensor:
        grey = torch.from_numpy(np.repeat(light[:, None], 3, 1)).float()
        return sh_shading(normals[None], grey[None])[0, :, 0]

    exact = (normals @ torch.from_numpy(towards / np.linalg.norm(towards)).float()).clamp(min=0)
    assert (shading(directional(towards)) - exact).abs().max() < 0.1
    torch.testing.assert_close(shading(ambient()), torch.ones(500))


def test_heads_without_landmarks_and_what_is_no_face_are_refused() -> None:
    with pytest.raises(ValueError, match="no landmarks"):
        SyntheticFaces(1, 1, head=replace(load_head(), landmarks={}))
    with pytest.raises(MienError, match="does not look like a face"):
        SyntheticFaces(1, 1, head=small_head())


def test_on_disk_as_in_memory_and_an_interrupted_run_goes_on(
    tmp_path: Path, faces: SyntheticFaces, items: list
) -> None:
    assert write_faces(faces, tmp_path / "faces", per_file=4) == 3
    stored = StoredFaces(tmp_path / "faces")
    assert len(stored) == len(faces)
    for index, item in enumerate(items):
        found = stored[index]
        torch.testing.assert_close(found.pop("mask"), item["mask"], atol=0.5 / 255 + 1e-6, rtol=0)
        assert same(found, {name: value for name, value in item.items() if name != "mask"})
    second = tmp_path / "faces" / "faces-000001.npz"
    before = second.read_bytes()
    second.unlink()
    with pytest.raises(MienError, match="missing"):
        StoredFaces(tmp_path / "faces")
    assert write_faces(faces, tmp_path / "faces", per_file=4) == 1
    assert second.read_bytes() == before
    with pytest.raises(MienError, match="other synthetic faces"):
        write_faces(SyntheticFaces(3, 3, seed=6), tmp_path / "faces", per_file=4)
    with pytest.raises(MienError, match="cannot be read"):
        StoredFaces(tmp_path)
