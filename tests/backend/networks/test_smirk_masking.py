# SPDX-License-Identifier: GPL-3.0-or-later
"""What the translator is shown, against SMIRK's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.heads.model import HeadModel
from backend.networks.smirk_masking import (
    masked,
    sample_surface,
    surface_pixels,
    transferred,
    triangle_weights,
)
from backend.rendering.camera import project_weak
from backend.rendering.shading import directional_shading, vertex_normals
from tests.fake_heads import named_rng, normalised
from tests.published_flame import smirk_flame

SIZE = 224


@pytest.fixture(scope="module")
def known(parity: Path) -> dict[str, np.ndarray]:
    return dict(np.load(parity / "smirk" / "projection_and_masking.npz"))


@pytest.fixture(scope="module")
def scene(parity: Path) -> tuple[Tensor, Tensor, Tensor, dict[str, np.ndarray], HeadModel]:
    """Vertices, projected vertices and faces of the recipe's three samples."""
    given = dict(np.load(parity / "smirk" / "flame_forward.npz"))
    names = ("shape_params", "expression_params", "pose_params", "jaw_params", "eyelid_params")
    identity, expression, turn, jaw, eyelids = (torch.from_numpy(given[f"in.{name}"]) for name in names)
    model = HeadModel(smirk_flame()[0], eyelid_space="posed")
    vertices = model(identity, expression, turn, jaw=jaw, eyelids=eyelids).vertices
    return vertices, project_weak(vertices, torch.from_numpy(given["cam"])), model.faces, given, model


def close(value: Tensor, expected: np.ndarray, limit: float) -> None:
    np.testing.assert_allclose(value.numpy(), expected, atol=limit * np.abs(expected).max(), rtol=0)


def test_projection_normals_and_light(known, scene) -> None:
    vertices, projected, faces, given, model = scene
    subset = given["vertex_subset"]
    close(projected[:, subset], known["transformed_vertices"], 1e-5)
    landmarks = project_weak(model.landmarks(vertices, "mediapipe105"), torch.from_numpy(given["cam"]))
    close(landmarks[..., :2], known["landmarks_mp_2d"], 1e-5)
    normals = vertex_normals(vertices, faces)[:, subset]
    close(normals, known["vertex_normals"], 1e-4)
    close(directional_shading(normals).expand(-1, -1, 3), known["direction_light"], 1e-4)


def test_samples_and_masking(known, scene) -> None:
    _, projected, faces, _, _ = scene
    weights = triangle_weights(projected, vertex_normals(projected, faces), faces)
    close(weights[:, :500], known["face_weight_first500"], 1e-4)
    chosen = torch.from_numpy(named_rng("mask.faces").integers(0, len(faces), (3, 501)))
    barycentric = normalised(named_rng("mask.bary").uniform(0, 1, (3, 501, 3))).astype(np.float32)
    points = surface_pixels(projected, faces, chosen, torch.from_numpy(barycentric), SIZE)
    different = points.numpy() - known["points"]
    assert np.abs(different).max() <= 1
    assert (different != 0).mean() <= 0.002
    points = torch.from_numpy(known["points"].astype(np.int64))
    uniform = np.random.Generator(np.random.PCG64(0)).uniform(0, 1, (2, 3, SIZE, SIZE)).astype(np.float32)
    images = torch.from_numpy(uniform)[[0, 1, 0]]
    kept = transferred(images, points, points)
    np.testing.assert_allclose(kept.sum((2, 3)).numpy(), known["transferred_sum"], rtol=1e-5)
    assert (kept != 0).sum((1, 2, 3)).tolist() == known["transferred_count"].tolist()
    outside, rendered = torch.ones(3, 1, SIZE, SIZE), torch.zeros(3, 1, SIZE, SIZE)
    outside[:, :, 60:180, 50:170] = 0
    rendered[:, :, 40:100, 100:200] = 1
    close(masked(images, outside, rendered, kept, radius=10).mean(3), known["masked_row_means"], 1e-5)


def test_triangles_are_sampled_by_their_weight_and_evenly() -> None:
    generator = torch.Generator().manual_seed(0)
    chosen, barycentric = sample_surface(torch.tensor([[1.0, 0, 3]]), 4000, generator)
    share = torch.bincount(chosen[0], minlength=3) / 4000
    torch.testing.assert_close(share, torch.tensor([0.25, 0, 0.75]), atol=0.03, rtol=0)
    assert barycentric.min() >= 0
    torch.testing.assert_close(barycentric.sum(-1), torch.ones(1, 4000))
    torch.testing.assert_close(barycentric.mean((0, 1)), torch.full((3,), 1 / 3), atol=0.02, rtol=0)
