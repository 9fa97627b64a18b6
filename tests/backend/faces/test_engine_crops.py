# SPDX-License-Identifier: GPL-3.0-or-later
"""Crops against those of the published engines, and against the library they use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.transform
import torch

from backend.faces import engine_crops
from backend.faces.engine_crops import (
    ARCFACE_TEMPLATE,
    DECA_DETECTION,
    DECA_LANDMARKS,
    SMIRK_LANDMARKS,
    SMIRK_NOSE,
    BoxRule,
    arcface_crops,
    five_points,
    frame_transforms,
    similarity,
    square_transforms,
    squares,
    take_crops,
    whole_frame_transform,
)
from blender_addon.contract.projection import weak_project

SIZE = 224


def waves() -> np.ndarray:
    """(360,480,3) uint8 RGB of the recipe."""
    x, y = np.meshgrid(np.arange(480.0), np.arange(360.0))
    red, green = 127 + 100 * np.sin(x / 17) * np.cos(y / 23), 127 + 100 * np.cos(x / 29 + y / 31)
    return np.stack((red, green, 255 * x / 479), -1).round().clip(0, 255).astype(np.uint8)


def points(seed: int = 16, low=(180, 90), high=(310, 240)) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).uniform(low, high, (1, 68, 2))


@pytest.mark.parametrize(("name", "rule"), [("kpt68", DECA_LANDMARKS), ("bbox", DECA_DETECTION)])
def test_deca(parity: Path, name: str, rule: BoxRule) -> None:
    known = np.load(parity / "emoca" / "crop.npz")
    np.testing.assert_array_equal(points()[0], known["kpt"])
    around = squares(points(), rule)
    assert around.face_size[0] == pytest.approx(float(known[f"{name}_old_size"]), abs=1e-9)
    np.testing.assert_allclose(around.centre[0], known[f"{name}_center"], atol=1e-9)
    assert around.size[0] == known[f"{name}_size"]
    transforms = square_transforms(around)
    np.testing.assert_allclose(transforms[0], known[f"{name}_tform"], atol=1e-6)
    crops = take_crops(torch.from_numpy(waves())[None], transforms)
    assert crops.shape == (1, 3, SIZE, SIZE)
    np.testing.assert_allclose(crops[0, :, ::4, ::4].numpy(), known[f"{name}_crop_sub4"], atol=1e-4)


def warped(frame: np.ndarray, transform: np.ndarray, order: int) -> np.ndarray:
    """(224,224,3) float64 in 0..255, by the published engines' library."""
    inverse = skimage.transform.ProjectiveTransform(transform).inverse
    return skimage.transform.warp(frame, inverse, output_shape=(SIZE, SIZE), order=order, preserve_range=True)


@pytest.mark.parametrize(("sampling", "order"), [("linear", 1), ("cubic", 3)])
@pytest.mark.parametrize("low", [(200, 100), (-60, -50), (420, 300)])
def test_sampling_is_scikit_images(sampling: engine_crops.Sampling, order: int, low: tuple[int, int]) -> None:
    """Inside, and over the frame's borders."""
    frame = np.maximum(waves(), 40)
    transforms = square_transforms(squares(points(1, low, np.add(low, 110)), SMIRK_LANDMARKS))
    found = take_crops(torch.from_numpy(frame)[None], transforms, sampling)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, warped(frame, transforms[0], order) / 255, atol=1e-4)


def test_smirk_cuts_to_whole_numbers() -> None:
    frame = np.random.default_rng(2).integers(0, 256, (360, 480, 3), np.uint8)
    transforms = square_transforms(squares(points(), SMIRK_LANDMARKS))
    found = take_crops(torch.from_numpy(frame)[None], transforms, whole_numbers=True)[0].permute(1, 2, 0).numpy()
    known = warped(frame, transforms[0], 1).astype(np.uint8)
    different = (found * 255).round().astype(np.int64) - known
    assert np.abs(different).max() <= 1
    assert (different != 0).mean() < 0.002
    flat = torch.full((1, 360, 480, 3), 100, dtype=torch.uint8)
    assert (take_crops(flat, transforms, whole_numbers=True) == 100 / 255).all()


def test_several_crops_of_one_frame_and_one_of_each_of_several() -> None:
    frame = torch.from_numpy(waves())[None]
    transforms = np.concatenate([square_transforms(squares(points(seed), DECA_LANDMARKS)) for seed in (3, 4)])
    shared = take_crops(frame, transforms)
    assert torch.equal(shared, take_crops(torch.cat((frame, frame)), transforms))
    mixed = take_crops(torch.cat((frame, frame.flip(2))), transforms)
    assert torch.equal(mixed[0], shared[0]) and not torch.equal(mixed[1], shared[1])


def test_a_picture_that_is_a_crop_already() -> None:
    frame = torch.randint(0, 256, (1, SIZE, SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    same = take_crops(frame, whole_frame_transform(SIZE, SIZE))
    torch.testing.assert_close(same, frame.permute(0, 3, 1, 2) / 255)
    ends = whole_frame_transform(640, 360)[0] @ np.array([[0, 639], [0, 359], [1, 1]])
    np.testing.assert_allclose(ends[:2].T, [[0, 0], [223, 223]])


def test_a_camera_in_the_crop_leads_back_to_the_frame() -> None:
    """As the engines are trained: a landmark of the crop at pixel c is c / 224 * 2 - 1."""
    transforms = square_transforms(squares(points(), DECA_LANDMARKS))
    landmark = np.array([211.0, 120.0])
    ndc = (transforms[0] @ np.append(landmark, 1))[:2] / SIZE * 2 - 1
    head = np.array([[ndc[0], -ndc[1], 0]])
    found = weak_project(head, np.array([1.0, 0, 0]), frame_transforms(transforms)[0])
    np.testing.assert_allclose(found[0], landmark + 0.5, atol=1e-9)


@pytest.mark.parametrize("mirrored", [False, True])
def test_similarity_is_scikit_images(mirrored: bool) -> None:
    rng = np.random.default_rng(5)
    source = rng.uniform(0, 300, (5, 2)) * ([-1, 1] if mirrored else [1, 1])
    target = ARCFACE_TEMPLATE + rng.normal(0, 2, (5, 2))
    known = skimage.transform.SimilarityTransform.from_estimate(source, target)
    np.testing.assert_allclose(similarity(source, target), known.params, atol=1e-9)


def test_a_face_without_size() -> None:
    with pytest.raises(ValueError, match="no crop"):
        square_transforms(squares(np.ones((1, 68, 2)), DECA_LANDMARKS))


def test_similarity_of_one_point() -> None:
    with pytest.raises(ValueError, match="no size"):
        similarity(np.ones((5, 2)), ARCFACE_TEMPLATE)


def test_arcface_crops_are_upright_and_in_rgb() -> None:
    """A frame that is the template turned and enlarged comes back as the template."""
    angle, scale = 0.4, 2.5
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    marks = ARCFACE_TEMPLATE @ turn.T + [150, 20]
    frame = np.zeros((400, 480, 3), np.uint8)
    y, x = np.mgrid[:400, :480]
    for mark, colour in zip(marks, np.eye(3)[[0, 1, 2, 0, 1]], strict=True):
        near = np.hypot(x - mark[0], y - mark[1]) < 6
        frame[near] = 255 * colour
    crops = arcface_crops(frame, marks[None])
    assert crops.shape == (1, 3, 112, 112)
    assert crops.min() == -1 and crops.max() == 1
    for (x, y), channel in zip(ARCFACE_TEMPLATE.round().astype(int), (0, 1, 2, 0, 1), strict=True):
        assert crops[0, :, y, x].argmax() == channel and crops[0, channel, y, x] > 0.9


def test_five_points_of_68() -> None:
    landmarks = np.zeros((1, 68, 2))
    landmarks[0, :, 0] = np.arange(68)
    assert five_points(landmarks)[0, :, 0].tolist() == [37.5, 43.5, 30, 48, 54]
    assert five_points(landmarks, SMIRK_NOSE)[0, 2, 0] == 32
