# SPDX-License-Identifier: GPL-3.0-or-later
"""What is computed on a GPU is what the CPU computes. Needs numpy, scipy, torch and pytest only."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.chain.solving import learn_head
from backend.engines.fit.fit import LandmarkFit
from backend.heads import load_head
from backend.heads.model import HeadModel
from backend.rendering.raster import rasterize
from backend.solve.camera import Focal
from backend.solve.frames import FrameSolver
from backend.solve.shot import Shot, Views, solve_shot
from blender_addon.contract.projection import focal_pixels
from tests.synthetic import CLIP, fitted_vertices, make_person, make_truth, solve

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")

VERTICES = 2e-5
"""Metres: single precision, on another device in another order."""


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def model(head):
    return HeadModel(head)


@pytest.fixture(scope="module")
def engines(head):
    return {device: LandmarkFit(head, device) for device in ("cpu", "cuda")}


def random_pose(head, count: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(count, *shape, generator=generator)

    return {
        "identity": normal(head.identity.shape[2]),
        "expression": 0.5 * normal(head.expression.shape[2]),
        "head_rotation": 0.3 * normal(3),
        "neck": 0.1 * normal(3),
        "jaw": 0.1 * normal(3),
        "eyes": 0.2 * normal(6),
        "eyelids": normal(2).abs(),
    }


def test_posed_vertices(head, model):
    pose = random_pose(head, 5)
    there = HeadModel(head, "cuda")(**{name: value.cuda() for name, value in pose.items()}).vertices
    assert there.is_cuda
    np.testing.assert_allclose(there.cpu(), model(**pose).vertices, atol=2e-6)


def test_the_fit_of_a_photo(head, model, engines):
    for seed in range(4):
        truth = make_truth(head, model, seed, noise=0.01)
        (here, place), (there, other) = (solve(engines[device], truth) for device in ("cpu", "cuda"))
        np.testing.assert_allclose(fitted_vertices(model, there), fitted_vertices(model, here), atol=VERTICES)
        np.testing.assert_allclose(other, place, atol=1e-4)


def somebody(head, model, origin: str):
    """A person, their focal length, and views of them."""
    person = make_person(head, model, 3, 40)
    focal = Focal(focal_pixels(person.focal_mm, *CLIP), origin)
    return person, focal, Views(person.landmarks[:8], person.scores[:8], CLIP, focal)


def test_the_shot_and_its_frames(head, model, engines):
    person, focal, seen = somebody(head, model, "given")
    shots = {device: solve_shot(engine, [seen]) for device, engine in engines.items()}
    np.testing.assert_allclose(shots["cuda"].identity, shots["cpu"].identity, atol=5e-3)
    shot = Shot(shots["cpu"].identity, (focal,), CLIP, (np.zeros(1),))
    solved = [FrameSolver(engine, shot).solve(person.landmarks, person.scores) for engine in engines.values()]
    mine, theirs = (fitted_vertices(model, solution.params) for solution in solved)
    np.testing.assert_allclose(theirs, mine, atol=VERTICES)


def test_the_head_of_a_person(head, model, engines):
    *_, seen = somebody(head, model, "assumed")
    shots = {device: learn_head(engine, [seen]) for device, engine in engines.items()}
    np.testing.assert_allclose(shots["cuda"].identity, shots["cpu"].identity, atol=5e-3)


def test_what_each_pixel_sees(head, model):
    vertices = model(**random_pose(head, 2)).vertices * torch.tensor([4.0, -4.0, -4.0])
    faces = torch.as_tensor(head.faces)
    here, there = rasterize(vertices, faces, (256, 256)), rasterize(vertices.cuda(), faces.cuda(), (256, 256))
    differs = (there.pix_to_face.cpu() != here.pix_to_face).float().mean()
    assert here.mask.float().mean() > 0.1 and differs < 1e-3
    same = there.pix_to_face.cpu() == here.pix_to_face
    np.testing.assert_allclose(there.zbuf.cpu()[same], here.zbuf[same], atol=1e-4)
