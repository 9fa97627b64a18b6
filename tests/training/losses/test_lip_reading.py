# SPDX-License-Identifier: GPL-3.0-or-later
"""The lip-reading loss with a seeded network: where it looks, what it is at the truth, and where its gradients go."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from backend.networks.lip_reading import LipReading
from backend.weights.parts import write_part
from blender_addon.contract.errors import ErrorCode, MienError
from tests.seeded_networks import seeded
from training.losses.lip_reading import (
    WEIGHTS,
    LipFeatures,
    LipMetric,
    lip_reading_loss,
    load_lip_features,
    mouth_crops,
)

SIZE = 224


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def mouth_at(x: float, y: float, batch: int = 1) -> Tensor:
    """Landmarks whose mouth lies around pixel (x, y), counted from the middle of the first; the others are anywhere."""
    points = 2 * random(batch, 68, 3, seed=3) - 1
    centre = (torch.tensor((x, y)) + 0.5) * 2 / SIZE - 1
    points[:, 48:, :2] += centre - points[:, 48:, :2].mean(1, keepdim=True)
    return points


@pytest.fixture(scope="module")
def features() -> LipFeatures:
    return LipFeatures(seeded(LipReading()))


def test_a_crop_between_pixels_is_a_piece_of_the_picture() -> None:
    images = random(2, 3, SIZE, SIZE)
    crops = mouth_crops(images, mouth_at(111.5, 150.5, 2))
    torch.testing.assert_close(crops, images[..., 103:199, 64:160], atol=2e-4, rtol=0)


def test_a_shifted_mouth_with_shifted_landmarks_is_the_same_crop() -> None:
    images = random(1, 3, SIZE, SIZE)
    shifted = images.roll((-13, 21), (2, 3))
    place = mouth_at(100.3, 120.8)
    moved = place.clone()
    moved[:, 48:, :2] += torch.tensor((21.0, -13.0)) * 2 / SIZE
    moved[:, :48] += 0.3  # only the mouth's points count
    torch.testing.assert_close(mouth_crops(shifted, moved), mouth_crops(images, place), atol=1e-3, rtol=0)


def test_outside_the_picture_it_is_black() -> None:
    crops = mouth_crops(torch.ones(1, 3, SIZE, SIZE), mouth_at(0, SIZE - 1))
    assert not crops[..., :40].any() and not crops[..., 56:, :].any()
    assert (crops[..., :44, 52:] - 1).abs().max() < 1e-3


@pytest.mark.parametrize("metric", WEIGHTS)
def test_the_same_picture_has_no_loss_and_another_has(features: LipFeatures, metric: LipMetric) -> None:
    photo, place = random(2, 3, SIZE, SIZE), mouth_at(110, 150, 2)
    assert lip_reading_loss(features, photo, place, photo, place, metric).item() == pytest.approx(0, abs=1e-6)
    other = lip_reading_loss(features, random(2, 3, SIZE, SIZE, seed=1), place, photo, place, metric)
    assert other > 1e-3


def test_what_is_far_from_the_mouth_does_not_count(features: LipFeatures) -> None:
    photo, place = random(1, 3, SIZE, SIZE), mouth_at(110, 150)
    masked = photo.clone()
    masked[..., :100, :] = 0
    assert lip_reading_loss(features, masked, place, photo, place) == 0


@pytest.mark.parametrize("metric", WEIGHTS)
def test_gradients_reach_the_render_alone(features: LipFeatures, metric: LipMetric) -> None:
    render, photo = (random(1, 3, SIZE, SIZE, seed=seed).requires_grad_() for seed in (0, 1))
    seen, found = (mouth_at(x, 150).requires_grad_() for x in (110, 112))
    lip_reading_loss(features, render, seen, photo, found, metric).backward()
    assert photo.grad is None and seen.grad is None and found.grad is None
    assert all(parameter.grad is None for parameter in features.parameters())
    assert render.grad.isfinite().all()
    assert render.grad[..., 106:194, 66:154].abs().max() > 0
    assert not render.grad[..., :100, :].any()


def test_descent_leads_towards_the_photo(features: LipFeatures) -> None:
    photo, place = random(1, 3, SIZE, SIZE), mouth_at(110, 150)
    render = (0.5 * photo + 0.5 * random(1, 3, SIZE, SIZE, seed=1)).requires_grad_()
    loss = lip_reading_loss(features, render, place, photo, place)
    (gradient,) = torch.autograd.grad(loss, render)
    better = render - 0.05 * loss * gradient / gradient.square().sum()
    assert lip_reading_loss(features, better, place, photo, place) < loss


def test_grey_is_what_counts(features: LipFeatures) -> None:
    """A change of colour that leaves the grey as it is changes nothing."""
    photo, place = 0.2 + 0.5 * random(1, 3, SIZE, SIZE), mouth_at(110, 150)
    tinted = photo + torch.tensor((0.587, -0.2989, 0.0)).view(1, 3, 1, 1) * 0.3
    torch.testing.assert_close(features(tinted, place), features(photo, place), atol=1e-3, rtol=1e-3)


def test_without_the_users_file_it_says_what_is_missing(mien_home: Path) -> None:
    with pytest.raises(MienError, match="lip reader of LRS3 was not added") as caught:
        load_lip_features()
    assert caught.value.code is ErrorCode.MISSING_FILE
    assert "mpc001" in caught.value.remedy and "models add" in caught.value.remedy


def test_the_users_file_is_the_one_that_runs(mien_home: Path) -> None:
    network = seeded(LipReading("prelu"))
    arrays = {name: value.numpy() for name, value in network.state_dict().items()}
    write_part("lip_reading", arrays, origin="model.pth", sha256="a" * 64, settings={"activation": "prelu"})
    loaded, images, place = load_lip_features(), random(1, 3, SIZE, SIZE), mouth_at(110, 150)
    assert not loaded.network.training and not any(value.requires_grad for value in loaded.parameters())
    with torch.inference_mode():
        assert torch.equal(loaded(images, place), LipFeatures(network)(images, place))
