# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from backend.heads.lbs import chain, pose_feature, rodrigues, skin

PARENTS = (-1, 0, 1, 1, 1)
finite = st.floats(-4.0, 4.0, allow_nan=False, width=32)


@given(arrays(np.float32, (3, 3), elements=finite))
def test_rodrigues_agrees_with_scipy(vectors: np.ndarray) -> None:
    expected = Rotation.from_rotvec(vectors.astype(np.float64)).as_matrix()
    np.testing.assert_allclose(rodrigues(torch.from_numpy(vectors)).numpy(), expected, atol=2e-6)


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-5, 9e-4, 1.1e-3, 1.0, 3.1])
def test_rodrigues_gradient_is_right_at_every_size(size: float) -> None:
    vector = size * torch.tensor([[0.6, -0.48, 0.64]], dtype=torch.float64)
    assert torch.autograd.gradcheck(rodrigues, (vector.requires_grad_(),), eps=1e-7, atol=1e-5)


def test_rodrigues_is_continuous_where_the_series_takes_over() -> None:
    direction = torch.tensor([0.6, -0.48, 0.64], dtype=torch.float64)
    below, above = (rodrigues(direction * s) for s in (1e-3 * (1 - 1e-9), 1e-3 * (1 + 1e-9)))
    torch.testing.assert_close(below, above, atol=1e-11, rtol=0)


def test_skin_agrees_with_smplx() -> None:
    reference = pytest.importorskip("smplx.lbs")
    rng = torch.Generator().manual_seed(3)
    vertices, weights = torch.randn(2, 30, 3, generator=rng), torch.rand(30, 5, generator=rng).softmax(1)
    joints, pose = torch.randn(2, 5, 3, generator=rng), 0.5 * torch.randn(2, 5, 3, generator=rng)
    posed, placed = skin(vertices, joints, rodrigues(pose), weights, PARENTS)
    rotations = reference.batch_rodrigues(pose.reshape(-1, 3)).view(2, 5, 3, 3)
    ref_joints, transforms = reference.batch_rigid_transform(rotations, joints, torch.tensor(PARENTS))
    homogeneous = torch.cat((vertices, torch.ones(2, 30, 1)), -1)
    expected = torch.einsum("vj,bjxy,bvy->bvx", weights, transforms, homogeneous)[..., :3]
    torch.testing.assert_close(posed, expected, atol=2e-6, rtol=0)
    torch.testing.assert_close(placed, ref_joints, atol=2e-6, rtol=0)


def test_unrotated_chain_leaves_the_joints_alone() -> None:
    joints = torch.randn(1, 5, 3)
    turned, placed = chain(rodrigues(torch.zeros(1, 5, 3)), joints, PARENTS)
    torch.testing.assert_close(placed, joints)
    torch.testing.assert_close(turned, torch.eye(3).expand(1, 5, 3, 3))


def test_pose_feature_is_row_major_and_leaves_out_the_root() -> None:
    rotations = rodrigues(torch.tensor([[[9.0, 0, 0], [0.1, 0.2, 0.3], [0, 0, 0], [0, 0, 0], [0, 0.4, 0]]]))
    feature = pose_feature(rotations)
    torch.testing.assert_close(feature[0, :9].view(3, 3), rotations[0, 1] - torch.eye(3))
    assert (feature[0, 9:27] == 0).all()
    torch.testing.assert_close(feature[0, 27:].view(3, 3), rotations[0, 4] - torch.eye(3))
