# SPDX-License-Identifier: GPL-3.0-or-later
"""The sums of DECA's stages: which weights count, what is exchanged, and where gradients go."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from backend.heads import load_head
from tests.small_stages import BACKBONE, OPTIMISER, layout, open_model, rings, small_stage
from training.losses.landmarks import WEIGHTS, landmark_loss
from training.losses.regularisers import code_loss
from training.model.layout import CodeLayout, true_code
from training.rendering.mirror import mirrored_texels
from training.rendering.uv import UVSpace
from training.rendering.wrinkled import wrinkled
from training.stages import deca_coarse, deca_detail, emoca_detail
from training.stages.deca_coarse import DecaCoarseSettings, DecaCoarseStage
from training.stages.deca_detail import DecaDetailSettings, DecaDetailStage
from training.stages.stage import Batch
from training.trainer.configuration import read_configuration


def pretraining(exchanged: bool) -> DecaCoarseStage:
    """Without any term that needs a render."""
    settings = DecaCoarseSettings(BACKBONE, exchanged, {"landmarks": 1.0, "shape": 1e-4})
    torch.manual_seed(0)
    return DecaCoarseStage(settings, OPTIMISER, open_model(), layout(), None).eval()


def true_detail(**weights: float) -> DecaDetailStage:
    torch.manual_seed(0)
    settings = DecaDetailSettings("truth", BACKBONE, True, weights)
    return DecaDetailStage(settings, OPTIMISER, open_model(), layout(), None).eval()


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("deca_coarse", deca_coarse.PAPER_WEIGHTS),
        ("deca_detail", deca_detail.PAPER_WEIGHTS),
        ("emoca_detail", emoca_detail.PAPER_WEIGHTS),
    ],
)
def test_the_papers_configurations_have_the_papers_weights(name: str, weights: dict[str, float]) -> None:
    assert read_configuration(name)[0].model["weights"] == weights


def test_a_stage_in_pretraining_makes_no_render() -> None:
    with torch.no_grad():
        terms = pretraining(False).terms(rings())
    assert set(terms) == {"landmarks", "eye_closure", "lip_closure", "shape", "expression", "albedo", "light"}


def test_landmarks_are_weighed_and_begin_near_the_face() -> None:
    stage, batch = pretraining(False), rings()
    with torch.no_grad():
        points = stage.model.face(stage.code(batch)).landmarks
        found = stage.terms(batch)["landmarks"]
    assert found == landmark_loss(points, batch["landmarks"], WEIGHTS)
    assert found != landmark_loss(points, batch["landmarks"])
    assert found < 0.3


def test_all_is_asked_for_again_with_the_shapes_of_other_pictures() -> None:
    batch = rings()
    with torch.no_grad():
        once, both = pretraining(False), pretraining(True)
        alone, together = once.terms(batch), both.terms(batch)
        code = once.code(batch)
        moved = code._replace(identity=code.identity[[1, 0, 3, 2]])
        again = landmark_loss(once.model.face(moved).landmarks, batch["landmarks"], WEIGHTS)
    torch.testing.assert_close(together["landmarks"], (alone["landmarks"] + again) / 2)
    torch.testing.assert_close(together["shape"], 2 * alone["shape"])
    assert alone["shape"] == code_loss(code.identity)


def test_the_identity_term_moves_neither_light_nor_albedo() -> None:
    stage = small_stage("deca-coarse").eval()
    assert isinstance(stage, DecaCoarseStage)
    batch = {name: values[:1] for name, values in rings().items()}
    code = true_code(batch, stage.layout)
    leaves = [part.clone().requires_grad_() for part in (code.identity, code.albedo, code.light)]
    code = code._replace(identity=leaves[0], albedo=leaves[1], light=leaves[2])
    render = stage.model.render(stage.model.face(code), code)
    loss = stage._identity(batch["image"], render.mask.detach(), code, render)
    shape, albedo, light = torch.autograd.grad(loss, leaves, allow_unused=True)
    assert shape.abs().sum() > 0
    assert albedo is None
    assert light is None


def test_gradients_of_detail_reach_its_encoder_and_decoder_alone() -> None:
    stage = small_stage("emoca-detail")
    stage.total(stage.terms(rings())).backward()
    with_gradient = {name for name, value in stage.named_parameters() if value.grad is not None}
    assert {name.split(".")[1] for name in with_gradient} == {"E_detail", "D_detail"}
    assert all(value.grad.abs().sum() > 0 for name, value in stage.named_parameters() if name.endswith("l1.0.weight"))


def test_the_photo_on_the_true_face_is_explained_by_its_albedo_and_light() -> None:
    """Without wrinkles, seen texels have about the colours of the synthetic photo, but for its camera's exposure and
    white balance."""
    stage, batch = true_detail(photometric=2.0), rings()
    code = stage.code(batch)
    surface = stage.surface(batch, code)
    assert 0.05 < surface.visible.mean() < 0.5
    flat = surface.albedo * stage.shading(surface, torch.zeros(len(code.jaw), 1, 256, 256))
    for row, other in enumerate((2, 3, 0, 1)):
        seen = surface.visible[row, 0] > 0.5
        own, strange = (_apart(flat[row][:, seen], surface.photo[of][:, seen]) for of in (row, other))
        assert own < 0.02 and own < 0.4 * strange


def _apart(found: Tensor, photo: Tensor) -> Tensor:
    """Median distance of colours (3, N), after the gain of each channel that fits best."""
    gain = (found * photo).sum(1, keepdim=True) / found.square().sum(1, keepdim=True)
    return (gain * found - photo).abs().median()


def test_detail_codes_are_exchanged_within_rings() -> None:
    stage, batch = true_detail(photometric=2.0), rings()
    seen: list[Tensor] = []
    stage.deca.D_detail.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        stage.terms(batch)
    (latents,) = seen
    assert latents.shape == (8, stage.layout.detail)
    code, detail = latents[:, :-128], latents[:, -128:]
    assert torch.equal(code[4:], code[:4])
    assert torch.equal(detail[4:], detail[[1, 0, 3, 2]])


def test_the_paper_s_detail_code_is_181_numbers() -> None:
    assert CodeLayout(100, 50, 50, 0).detail == 181


def test_eyes_and_teeth_have_no_wrinkles() -> None:
    head = load_head()
    mask, face = wrinkled(head).mask, UVSpace(head).mask
    assert 0.3 < (mask.sum() / face.sum()) < 0.9
    assert not (mask * (1 - face)).any()
    rows, columns = deca_detail._window("open", mask)
    assert mask[..., rows, columns].mean() > 0.4


def test_windows() -> None:
    mask = torch.zeros(1, 1, 256, 256)
    mask[..., 60:200, 30:220] = 1
    assert deca_detail._window("open", mask) == (slice(60, 200), slice(30, 220))
    assert deca_detail._window("flame2020", mask) == (slice(50, 206), slice(50, 206))


def test_the_other_side_of_the_open_head() -> None:
    """Mirrored twice a texel is near itself, and the places are those of the other side to about a texel's size."""
    head = load_head()
    space = UVSpace(head)
    other = mirrored_texels(head, space)
    places = space.carried(torch.from_numpy(head.template)[None].float())[0].flatten(1).T
    covered = space.covered.flatten() > 0
    away = (places[other] * torch.tensor([-1.0, 1.0, 1.0]) - places).norm(dim=1)[covered]
    assert away.median() < 0.001
    assert away.max() < 0.02
    assert (places[other[other]] - places).norm(dim=1)[covered].median() < 0.002
    assert torch.equal(other[~covered], torch.arange(len(other))[~covered])


def test_flame_is_mirrored_as_a_picture() -> None:
    head = replace(load_head(), id="flame2020")
    other = mirrored_texels(head, UVSpace(load_head()))
    maps = torch.arange(256.0 * 256).view(1, 1, 256, 256)
    assert torch.equal(maps.flatten(2)[..., other].view_as(maps), maps.flip(-1))


def test_pictures_for_people_are_in_range() -> None:
    batch: Batch = {name: values[:1] for name, values in rings().items()}
    for stage in (small_stage("deca-coarse").eval(), true_detail(photometric=2.0)):
        for name, row in stage.pictures(batch).items():
            assert row.shape[-2:] == (224, 224), name
            assert 0 <= row.min() <= row.max() <= 1, name
