# SPDX-License-Identifier: GPL-3.0-or-later
"""The landmark problem against the head model itself and against automatic differentiation."""

from __future__ import annotations

import pytest
import torch
from scipy.spatial.transform import Rotation

from backend.heads.lbs import rodrigues
from backend.heads.model import HeadModel
from backend.reprojection.basis import landmark_basis
from backend.reprojection.cameras import Perspective, WeakPerspective
from backend.reprojection.problem import (
    Observation,
    Prior,
    Problem,
    State,
    posed_eyes,
    posed_landmarks,
)
from tests.fake_heads import small_head

FACES = 3


@pytest.fixture(scope="module", params=[True, False], ids=["joints follow expression", "joints from identity"])
def head(request):
    return small_head(follow=request.param)


@pytest.fixture(scope="module")
def basis(head):
    return landmark_basis(head, "mediapipe478", 6, dtype=torch.float64)


def random_state(basis, seed=0) -> State:
    random = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    coefficients = normal(FACES, basis.basis.shape[-1])
    coefficients[:, basis.identity_size :] = coefficients[:, basis.identity_size :].abs() * 0.3
    return State(coefficients, normal(FACES).abs() * 0.2, rodrigues(normal(FACES, 3) * 0.4), normal(FACES, 3))


def test_the_basis_is_the_head_model_at_its_landmarks(head, basis):
    state = random_state(basis)
    model = HeadModel(head).double()
    expression = state.coefficients[:, basis.expression_slice]
    axis = torch.from_numpy(Rotation.from_matrix(state.rotation.numpy()).as_rotvec())
    jaw = torch.zeros(FACES, 3, dtype=torch.float64)
    jaw[:, 0] = state.jaw
    out = model(
        identity=state.coefficients[:, : basis.identity_size],
        expression=expression,
        head_rotation=axis,
        jaw=jaw,
        eyelids=state.coefficients[:, basis.eyelid_slice],
    )
    expected = model.landmarks(out.vertices, "mediapipe478")
    assert torch.allclose(posed_landmarks(basis, state), expected, atol=2e-6)
    eyes, _ = posed_eyes(basis, state, [0, 1])
    assert torch.allclose(eyes, out.joints[:, 3:5], atol=2e-6)


@pytest.mark.parametrize("kind", ["weak", "perspective"])
def test_the_jacobian_is_exact(basis, kind):
    state = random_state(basis, seed=1)
    if kind == "weak":
        camera = WeakPerspective()
        placed = torch.tensor([[8.0, 0.01, -0.02]] * FACES, dtype=torch.float64)
    else:
        matrix = torch.tensor([[9.0, 0, 0.2], [0, 9.0, -0.1], [0, 0, 1.0]], dtype=torch.float64)
        axis = torch.tensor([2.0, -1.0, 9.5], dtype=torch.float64)
        camera = Perspective(matrix.expand(FACES, 3, 3), axis.expand(FACES, 3))
        placed = torch.tensor([[0.02, -0.05, 0.9]] * FACES, dtype=torch.float64)
    state = State(state.coefficients, state.jaw, state.rotation, placed)
    count = len(basis.mean)
    random = torch.Generator().manual_seed(2)
    sigma = 0.02 + 0.1 * torch.rand(FACES, count, generator=random, dtype=torch.float64)
    seen = Observation(torch.zeros(FACES, count, 2).double(), torch.zeros(FACES, count).double(), sigma, 5 * sigma)
    width = basis.basis.shape[-1] + 1
    one = torch.ones(FACES, width, dtype=torch.float64)
    problem = Problem(basis, camera, seen, Prior(0 * one, one, -9 * one, 9 * one))

    _, _, jacobian = problem.linearised(state)
    step = torch.zeros(FACES, width + 6, dtype=torch.float64)

    def residuals(step):
        return problem.residuals(state.moved(step))[0]

    for direction in torch.randn(6, *step.shape, generator=random, dtype=torch.float64):
        _, expected = torch.func.jvp(residuals, (step,), (direction,))
        assert torch.allclose((jacobian @ direction[:, None, :, None])[..., 0], expected, rtol=1e-6, atol=1e-6)


def test_the_basis_of_a_person_is_the_whole_basis_at_that_identity(head, basis):
    state = random_state(basis)
    one = basis.of_person(state.coefficients[0, : basis.identity_size])
    own = State(state.coefficients[:1, basis.identity_size :], *(part[:1] for part in state.tensors()[1:]))
    assert one.basis.shape[-1] == own.coefficients.shape[1]
    assert torch.allclose(posed_landmarks(one, own), posed_landmarks(basis, state)[:1])
    for mine, theirs in zip(posed_eyes(one, own, [1, 2]), posed_eyes(basis, state, [1, 2]), strict=True):
        assert torch.allclose(mine, theirs[:1])
