# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fit believes of landmarks and scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from backend.engines.fit.channels import expression_channels
from backend.engines.fit.evidence import observe, score_prior
from backend.engines.fit.fit import EMBEDDING, IDENTITY_SIZE, LandmarkFit
from backend.faces import topology
from backend.heads import load_head
from backend.reprojection.basis import landmark_basis
from blender_addon.contract.arkit import JAW_OPEN

LEFT_CHEEK = 454
RIGHT_CHEEK = topology.MIRROR_478[LEFT_CHEEK]


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def basis(head):
    return landmark_basis(head, EMBEDDING, IDENTITY_SIZE, dtype=torch.float64)


class Elsewhere(torch.Tensor):
    """A tensor that numpy cannot reach, like those on a GPU; so is what is made of it."""

    def numpy(self, **_: object) -> np.ndarray:
        raise TypeError("convert to the CPU first")

    def cpu(self) -> torch.Tensor:
        return self.as_subclass(torch.Tensor)


def test_heads_are_drawn_whatever_the_device(head):
    seen = LandmarkFit(head, "cpu").seen_head()
    identity = np.linspace(-1, 1, seen.basis.shape_size)
    here = seen.drawn(identity, np.zeros(seen.basis.habit_size))
    for name in ("_own", "basis"):
        basis = getattr(seen, name)
        setattr(seen, name, replace(basis, basis=basis.basis.as_subclass(Elsewhere)))
    seen._size = seen._size.as_subclass(Elsewhere)
    np.testing.assert_array_equal(seen.drawn(identity, np.zeros(seen.basis.habit_size)), here)


def observed(basis, yaw: float):
    rotation = Rotation.from_euler("y", yaw, degrees=True).as_matrix()[None]
    return observe(np.zeros((1, 478, 3)), basis, torch.from_numpy(rotation), np.array([8.0]))


def test_the_far_side_of_a_turned_head_does_not_count(basis):
    """A head turned to its own left shows its right cheek."""
    sigma = observed(basis, 60).sigma[0]
    assert sigma[LEFT_CHEEK] > 100 * sigma[RIGHT_CHEEK]
    mirrored = observed(basis, -60).sigma[0]
    assert mirrored[RIGHT_CHEEK] > 100 * mirrored[LEFT_CHEEK]


def test_irises_tell_of_the_gaze_and_not_of_the_head(basis):
    sigma = observed(basis, 0).sigma[0]
    iris = np.isin(np.arange(478), topology.IRISES)
    assert sigma[iris].min() > 100 * sigma[~iris].median()


def test_scores_become_the_units_of_their_names(head, basis):
    scores = np.zeros((1, 52))
    for name, value in (("eyeBlinkLeft", 0.9), ("eyeBlinkRight", 0.2), ("jawOpen", 0.5), ("mouthSmileLeft", 0.7)):
        scores[0, topology.BLENDSHAPE_NAMES.index(name)] = value
    mean = score_prior(expression_channels(head), basis, scores).mean[0]
    assert mean[basis.eyelid_slice].tolist() == pytest.approx([0.9, 0.2])
    assert mean[-1] == pytest.approx(0.5 * JAW_OPEN)
    units = mean[basis.expression_slice]
    assert units[head.expression_names.index("mouthSmileLeft")] == pytest.approx(0.7)
    assert units.sum() == pytest.approx(0.7)
