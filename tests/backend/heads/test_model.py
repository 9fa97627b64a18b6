# SPDX-License-Identifier: GPL-3.0-or-later
from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.heads.lbs import rodrigues
from backend.heads.model import HeadModel
from tests.fake_heads import small_head


def random_parameters(batch: int, seed: int = 1, identity: int = 7, expression: int = 5) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    widths = {"identity": identity, "expression": expression, "head_rotation": 3, "neck": 3, "jaw": 3, "eyes": 6}
    parameters = {name: 0.4 * torch.randn(batch, width, generator=rng) for name, width in widths.items()}
    return parameters | {"eyelids": torch.rand(batch, 2, generator=rng)}


def test_no_parameters_give_the_template() -> None:
    head = small_head()
    output = HeadModel(head)()
    np.testing.assert_allclose(output.vertices[0].numpy(), head.template, atol=1e-7)
    np.testing.assert_allclose(output.joints[0].numpy(), head.joint_regressor @ head.template, atol=1e-7)


def test_zeros_and_left_out_arguments_are_the_same() -> None:
    model = HeadModel(small_head())
    zeros = {name: torch.zeros_like(value) for name, value in random_parameters(2).items()}
    torch.testing.assert_close(model(**zeros).vertices, model().vertices.expand(2, -1, -1), atol=1e-7, rtol=0)


def test_head_rotation_turns_the_posed_head_about_the_root() -> None:
    model = HeadModel(small_head())
    parameters = random_parameters(3)
    turned = model(**parameters)
    still = model(**(parameters | {"head_rotation": torch.zeros(3, 3)}))
    root = still.joints[:, :1]
    expected = (still.vertices - root) @ rodrigues(parameters["head_rotation"]).transpose(1, 2) + root
    torch.testing.assert_close(turned.vertices, expected, atol=1e-6, rtol=0)


def test_a_batch_equals_its_rows_alone() -> None:
    model, parameters = HeadModel(small_head()), random_parameters(4)
    together = model(**parameters)
    for row in range(4):
        alone = model(**{name: value[row : row + 1] for name, value in parameters.items()})
        torch.testing.assert_close(alone.vertices[0], together.vertices[row], atol=1e-6, rtol=0)
        torch.testing.assert_close(alone.joints[0], together.joints[row], atol=1e-6, rtol=0)


def test_one_identity_serves_a_whole_batch() -> None:
    model, parameters = HeadModel(small_head()), random_parameters(3)
    one = parameters["identity"][:1]
    shared = model(**(parameters | {"identity": one}))
    repeated = model(**(parameters | {"identity": one.expand(3, -1)}))
    torch.testing.assert_close(shared.vertices, repeated.vertices)


def test_short_coefficients_are_padded_with_zeros() -> None:
    model = HeadModel(small_head())
    short, padded = torch.randn(1, 3), torch.zeros(1, 7)
    padded[:, :3] = short
    torch.testing.assert_close(model(identity=short).vertices, model(identity=padded).vertices)


def test_expression_moves_the_joints_only_when_the_head_says_so() -> None:
    expression = torch.ones(1, 5)
    for follow in (True, False):
        model = HeadModel(small_head(follow=follow))
        moved = model(expression=expression).joints - model().joints
        assert (moved.abs().max() > 1e-4) == follow


def test_closure_moves_nothing_on_a_head_without_eyelid_shapes() -> None:
    head = small_head()
    model = HeadModel(replace(head, eyelids=head.eyelids[..., :0]))
    parameters = random_parameters(2)
    without = {name: value for name, value in parameters.items() if name != "eyelids"}
    torch.testing.assert_close(model(**parameters).vertices, model(**without).vertices, atol=0, rtol=0)


def test_eyelids_close_with_the_head_or_along_fixed_axes() -> None:
    head = small_head()
    turn, eyelids = torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    offsets = torch.from_numpy(head.eyelids[..., 0])
    for space, expected in (("rest", offsets @ rodrigues(turn)[0].T), ("posed", offsets)):
        model = HeadModel(head, eyelid_space=space)
        moved = model(head_rotation=turn, eyelids=eyelids).vertices - model(head_rotation=turn).vertices
        torch.testing.assert_close(moved[0], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("space", ["rest", "posed"])
@pytest.mark.parametrize("follow", [True, False])
def test_a_subset_equals_the_rows_of_the_whole_head(space: str, follow: bool) -> None:
    model, parameters = HeadModel(small_head(follow=follow), eyelid_space=space), random_parameters(2)
    part = model.subset(np.array([31, 2, 5, 5, 17]))
    assert part.vertex_ids.tolist() == [2, 5, 17, 31]
    whole, small = model(**parameters), part(**parameters)
    torch.testing.assert_close(small.vertices, whole.vertices[:, part.vertex_ids], atol=1e-7, rtol=0)
    torch.testing.assert_close(small.joints, whole.joints)


def test_landmarks_of_the_whole_head_and_of_its_landmark_part_agree() -> None:
    head = small_head()
    model, parameters = HeadModel(head), random_parameters(2)
    part = model.at_landmarks("ibug68")
    assert len(part.vertex_ids) <= 12
    expected = model.landmarks(model(**parameters).vertices, "ibug68")
    torch.testing.assert_close(part.landmarks(part(**parameters).vertices, "ibug68"), expected, atol=1e-7, rtol=0)
    corner = head.faces[head.landmarks["ibug68"].faces[1]]
    by_hand = head.landmarks["ibug68"].barycentric[1] @ head.template[corner]
    np.testing.assert_allclose(model.landmarks(model().vertices, "ibug68")[0, 1].numpy(), by_hand, atol=1e-7)


def test_the_faces_of_a_subset_join_the_same_vertices() -> None:
    model = HeadModel(small_head())
    part = model.at_landmarks("mediapipe478")
    whole = {tuple(face) for face in model.faces.tolist()}
    assert len(part.faces) >= 1
    assert {tuple(face) for face in part.vertex_ids[part.faces].tolist()} <= whole


def test_unknown_landmarks_and_misfits_are_refused() -> None:
    model = HeadModel(small_head())
    with pytest.raises(KeyError, match="nose"):
        model.landmarks(model().vertices, "nose")
    with pytest.raises(ValueError, match="identity has 8 columns"):
        model(identity=torch.zeros(1, 8))
    with pytest.raises(ValueError, match="batch sizes"):
        model(identity=torch.zeros(2, 7), jaw=torch.zeros(3, 3))
    with pytest.raises(ValueError, match="sorted unique"):
        HeadModel(small_head(), vertices=np.array([3, 1]))


def test_gradients_are_right_for_every_parameter() -> None:
    model = HeadModel(small_head(vertices=12)).double()
    parameters = {name: value.double().requires_grad_() for name, value in random_parameters(2).items()}
    names = list(parameters)

    def vertices(*values: torch.Tensor) -> torch.Tensor:
        return model(**dict(zip(names, values, strict=True))).vertices

    assert torch.autograd.gradcheck(vertices, tuple(parameters.values()), atol=1e-6)


def test_constants_stay_out_of_the_state_dict() -> None:
    assert not HeadModel(small_head()).state_dict()
