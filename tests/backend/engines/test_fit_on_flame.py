# SPDX-License-Identifier: GPL-3.0-or-later
"""The landmark fit on a head in FLAME's layout, whose channels are no ARKit units."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.chain.result import licences
from backend.engines.fit.channels import expression_channels
from backend.engines.fit.fit import EMBEDDING, LandmarkFit
from backend.faces import topology
from backend.heads import load_head
from backend.heads.carried import with_carried
from backend.heads.correspondence import correspondence
from backend.heads.flame import load_flame
from backend.heads.model import HeadModel
from blender_addon.contract.errors import ErrorCode, MienError
from tests.face_flame import face_flame, write_model
from tests.published_flame import emoca_flame
from tests.synthetic import SIZE, Truth, fitted_vertices, make_truth, similarity_aligned, solve, surface_error


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("MIEN_HOME", str(folder))
        yield with_carried(load_flame(write_model(folder / "generic_model.pkl"), "flame2023_open"))


@pytest.fixture(scope="module")
def engine(head):
    return LandmarkFit(head)


@pytest.fixture(scope="module")
def model(head):
    return HeadModel(head)


def truth_of(head, model, seed: int, noise: float = 0.0) -> Truth:
    units = load_head("open").expression_names
    return make_truth(head, model, seed, noise, units, face_flame().expression_of_open[:, : len(units)])


def test_noisy_landmarks_of_one_view_give_the_surface_back(head, engine, model):
    """As well as on the open head."""
    errors = []
    for seed in range(12):
        truth = truth_of(head, model, seed, noise=0.01)
        errors.append(surface_error(head, model, solve(engine, truth)[0], truth))
    print(f"{np.median(errors) * 1e3:.2f} mm")
    assert np.median(errors) <= 1.3e-3


def test_expressions_do_not_become_part_of_the_identity(head, engine, model):
    """Shapes of expressions at the average identity: what was shown against what was found."""
    units, turned = load_head("open").expression_names, face_flame().expression_of_open
    basis = head.expression.astype(np.float64)
    agreement = []
    for seed in range(6):
        truth = truth_of(head, model, seed, noise=0.005)
        shown = basis @ (turned[:, : len(units)] @ truth.expression)
        found = basis @ solve(engine, truth)[0].expression[0]
        agreement.append(float((shown * found).sum() / np.linalg.norm(shown) / np.linalg.norm(found)))
    print([round(value, 3) for value in agreement])
    assert np.median(agreement) > 0.9


def test_mirrored_landmarks_give_the_mirrored_face(head, engine, model):
    """The mesh has no mirror symmetry, so places are compared: of the landmarks, in head space, by a similarity."""
    truth = truth_of(head, model, 3, noise=0.003)
    mirrored = truth.landmarks[topology.MIRROR_478].copy()
    mirrored[:, 0] = SIZE - mirrored[:, 0]
    scores = truth.scores[topology.MIRROR_BLENDSHAPES]
    plain = solve(engine, truth)[0]
    swapped = solve(engine, Truth(**{**truth.__dict__, "landmarks": mirrored, "scores": scores}))[0]
    points = []
    for params in (plain, swapped):
        vertices = torch.from_numpy(fitted_vertices(model, params))
        points.append(model.landmarks(vertices, EMBEDDING)[0].double().numpy())
    back = (points[1] * [-1, 1, 1])[topology.MIRROR_478]
    off = np.linalg.norm(similarity_aligned(back, points[0]) - points[0], axis=1) * 1e3
    print(f"{off.mean():.2f} mm mean, {np.quantile(off, 0.95):.2f} mm at the 95th percentile")
    assert off.mean() < 0.5 and np.quantile(off, 0.95) < 1.0
    assert np.abs(plain.head_rotation[0] * [1, -1, -1] - swapped.head_rotation[0]).max() < 0.02
    assert np.abs(plain.eyelids[0] - swapped.eyelids[0, ::-1]).max() < 0.05


def test_scores_mean_the_open_heads_units(head):
    """Each unit in the head's channels moves its vertices as the unit itself was carried there."""
    source, channels = load_head("open"), expression_channels(head)
    moves = correspondence(source, head).carried(source, source.expression).astype(np.float64)
    told = head.expression.astype(np.float64) @ (channels.turn @ channels.by_unit)
    for column, name in enumerate(channels.units):
        wanted, found = moves[..., column], told[..., column]
        if np.linalg.norm(wanted) > 1e-6 and name != "tongueOut":
            # The ridge takes a part of the smallest.
            assert np.linalg.norm(found - wanted) < 0.15 * np.linalg.norm(wanted), name
    assert np.abs(channels.turn.T @ channels.turn - np.eye(len(channels.turn))).max() < 1e-9


def test_the_open_release_may_be_used_commercially(head):
    names, use = licences(head)
    assert use == "yes" and "CC-BY-4.0 (head flame2023_open)" in names


def test_a_head_that_is_no_face_is_refused():
    with pytest.raises(MienError) as caught:
        LandmarkFit(emoca_flame()[0])
    assert caught.value.code is ErrorCode.BAD_HEAD
