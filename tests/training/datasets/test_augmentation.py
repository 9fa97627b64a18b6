# SPDX-License-Identifier: GPL-3.0-or-later
"""Augmentation: landmarks and mask follow the pixels, chances are reproducible, truth is not lost unasked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.datasets.test_rings_and_sampling import PEOPLE, Numbers
from training.datasets.augmentation import (
    _CHANGES,
    AUGMENTATIONS,
    MOVED_TRUTH,
    Augmentation,
    Augmented,
    augmented,
    drawn_move,
)
from training.datasets.choice import dataset
from training.datasets.faces import FACE_KEYS, set_epoch
from training.datasets.rings import Rings
from training.datasets.sampling import sampler

MOVE_ALONE = Augmentation(scale=(0.8, 1.2), turn=10, shift=0.1, jpeg=(100, 100), noise=0, blur=0, sharpen=0)


def dots(places: np.ndarray) -> dict[str, Tensor]:
    """A picture of soft white dots on black where the first landmarks are, which are also the mask."""
    y, x = np.mgrid[:224, :224] + 0.5
    far = (x[..., None] - places[:, 0]) ** 2 + (y[..., None] - places[:, 1]) ** 2
    picture = np.exp(-far / (2 * 2.0**2)).max(-1).astype(np.float32)
    marks = np.zeros((68, 3), np.float32)
    marks[: len(places), :2], marks[: len(places), 2] = places / 112 - 1, 1
    image = torch.from_numpy(picture).expand(3, -1, -1).clone()
    return {
        "image": image, "mask": image[:1].clone(), "landmarks": torch.from_numpy(marks),
        "mediapipe": torch.from_numpy(marks).repeat(8, 1)[:478], "label": torch.tensor(1),
    }  # fmt: skip


def middle(picture: Tensor, near: np.ndarray) -> np.ndarray:
    """Centre of mass of the dot around a place."""
    y, x = torch.meshgrid(torch.arange(224) + 0.5, torch.arange(224) + 0.5, indexing="ij")
    weight = picture * (((x - near[0]) ** 2 + (y - near[1]) ** 2) < 10**2)
    return np.array([(weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()])


@pytest.mark.parametrize("seed", range(8))
def test_landmarks_and_mask_follow_the_pixels(seed: int) -> None:
    places = np.array([[112.0, 60.0], [70.25, 150.0], [160.0, 140.75]])
    item = augmented(dots(places), MOVE_ALONE, np.random.default_rng(seed))
    for mark in item["landmarks"][:3]:
        assert mark[2] == 1
        place = (mark[:2].numpy() + 1) * 112
        for picture in (item["image"][1], item["mask"][0]):
            np.testing.assert_allclose(middle(picture, place), place, atol=0.15)
    assert torch.equal(item["mediapipe"][:3], item["landmarks"][:3])
    assert int(item["label"]) == 1


def test_what_leaves_the_picture_is_not_seen_any_more_and_what_was_hidden_stays_so() -> None:
    item = dots(np.array([[3.0, 112.0], [112.0, 112.0]]))
    far = Augmentation(scale=(1.2, 1.2), turn=0, shift=0)
    moved = augmented(item, far, np.random.default_rng(0))["landmarks"]
    assert moved[0, 0] < -1
    assert moved[:3, 2].tolist() == [0, 1, 0]


def test_moves_have_the_ranges_of_the_paper() -> None:
    random = np.random.default_rng(0)
    for name, scales, shift in (("emotion", (0.8, 1.2), 0.1), ("emoca", (0.9, 1.1), 0.05)):
        moves = np.stack([drawn_move(AUGMENTATIONS[name], random, 224) for _ in range(2000)])
        scale = np.hypot(moves[:, 0, 0], moves[:, 1, 0])
        angle = np.degrees(np.arctan2(moves[:, 1, 0], moves[:, 0, 0]))
        gone = moves[:, :, :2] @ np.full(2, 112.0) + moves[:, :, 2] - 112
        np.testing.assert_allclose([scale.min(), scale.max()], scales, atol=0.005)
        np.testing.assert_allclose([angle.min(), angle.max()], [-10, 10], atol=0.1)
        np.testing.assert_allclose([gone.min(), gone.max()], [-224 * shift, 224 * shift], atol=0.3)
        assert (np.linalg.det(moves[:, :, :2]) > 0).all()  # never mirrored


def test_every_change_happens_and_stays_close() -> None:
    random = np.random.default_rng(0)
    pixels = np.kron(random.integers(40, 216, (28, 28, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    unlike = []
    for change in _CHANGES:
        changed = change(pixels, AUGMENTATIONS["emotion"], np.random.default_rng(1))
        assert changed.shape == pixels.shape and changed.dtype == np.uint8
        unlike.append(np.abs(changed.astype(int) - pixels).mean())
    assert sorted(value > 0 for value in unlike) == [False, True, True, True, True]
    assert max(unlike) < 20


def test_truth_of_synthetic_faces_is_not_lost_unasked() -> None:
    settings = {"kind": "synthetic", "people": 1, "pictures": 2, "augmentation": "emotion"}
    plain = dataset({"kind": "synthetic", "people": 1, "pictures": 2})
    kept, moved = dataset(settings), dataset(settings | {"geometric": True})
    assert set(kept[0]) == set(plain[0])
    assert torch.equal(kept[0]["landmarks"], plain[0]["landmarks"])
    assert set(plain[0]) - set(moved[0]) == set(MOVED_TRUTH)
    assert not torch.equal(moved[0]["landmarks"], plain[0]["landmarks"])
    assert torch.equal(moved[0]["expression"], plain[0]["expression"])
    # Of a mix only what all datasets have is left, so that its pictures may be moved.
    mixed = dataset([settings | {"geometric": True}, settings])
    assert set(mixed[0]) == set(FACE_KEYS) or set(mixed[0]) == set(moved[0])


def test_chances_depend_on_seed_epoch_and_index_and_rings_are_augmented_one_by_one() -> None:
    class Dots(Numbers):
        def __getitem__(self, index: int) -> dict[str, Tensor]:
            return dots(np.array([[112.0, 112.0]])) | super().__getitem__(index)

    faces = Augmented(Dots(PEOPLE, PEOPLE), AUGMENTATIONS["emotion"], seed=1)
    first = faces[0]
    assert torch.equal(first["image"], faces[0]["image"])
    assert not torch.equal(first["image"], faces[1]["image"])
    set_epoch(faces, 1)
    assert not torch.equal(first["image"], faces[0]["image"])
    ring = Augmented(Rings(Dots(PEOPLE), 3), AUGMENTATIONS["emotion"])[0]
    assert ring["image"].shape == (3, 3, 224, 224)
    assert len({float(mark[0, 0]) for mark in ring["landmarks"]}) == 3
    assert len(list(sampler(faces, balanced=True))) == len(PEOPLE)
