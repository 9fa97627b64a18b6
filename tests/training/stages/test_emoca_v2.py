# SPDX-License-Identifier: GPL-3.0-or-later
"""The coarse stage with EMOCA v2's terms, on synthetic faces of the open head."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils.data import default_collate

from backend.networks.lip_reading import LipReading
from tests.seeded_networks import seeded
from training.losses import mediapipe
from training.losses.lip_reading import LipFeatures, lip_reading_loss
from training.model.layout import CodeLayout, true_code
from training.model.making import face_model, training_head
from training.stages.emoca_coarse import EmocaCoarseSettings, EmocaCoarseStage
from training.stages.emoca_v2 import mediapipe_points, mediapipe_terms
from training.stages.stage import Batch, OptimiserSettings
from training.synthetic.dataset import SyntheticFaces

WEIGHTS = {
    "mediapipe_landmarks": 32.0, "mediapipe_eyes": 36.0, "mediapipe_lips": 36.0, "mediapipe_corners": 36.0,
    "lip_reading": 20.0, "photometric": 2.0, "expression": 1e-4,
}  # fmt: skip


@pytest.fixture(scope="module")
def batch() -> Batch:
    faces = SyntheticFaces(2, 1, seed=5, head=training_head("open"))
    return default_collate([faces[number] for number in range(2)])


@pytest.fixture(scope="module")
def lips() -> LipFeatures:
    return LipFeatures(seeded(LipReading()))


@pytest.fixture(scope="module")
def stage(lips: LipFeatures) -> EmocaCoarseStage:
    torch.manual_seed(0)
    head = training_head("open")
    settings = EmocaCoarseSettings("truth", "mobilenet_small", jaw=True, mask="photo", weights=WEIGHTS)
    layout = CodeLayout.of(head)
    return EmocaCoarseStage(settings, OptimiserSettings(5e-5), face_model(head), layout, None, lips)


def test_the_true_code_has_the_true_landmarks(stage: EmocaCoarseStage, batch: Batch) -> None:
    code = true_code(batch, stage.layout)
    found = mediapipe_points(stage.model, stage.model.face(code), code)
    assert found.shape == (2, 105, 2)
    terms = mediapipe_terms(found, batch["mediapipe"])
    assert all(value < 1e-4 for value in terms.values()), terms


def test_terms_are_the_losses_by_their_names(stage: EmocaCoarseStage, batch: Batch) -> None:
    stage.eval()
    with torch.no_grad():
        terms = stage.terms(batch)
        code, face, render = stage.rendered(batch)
        found, truth = mediapipe_points(stage.model, face, code), batch["mediapipe"]
        known = {
            "mediapipe_landmarks": mediapipe.landmark_loss(found, truth),
            "mediapipe_eyes": mediapipe.eye_closure_loss(found, truth),
            "mediapipe_lips": mediapipe.lip_closure_loss(found, truth),
            "mediapipe_corners": mediapipe.mouth_corner_loss(found, truth),
        }
        shown = (render.image * render.mask).clamp(0, 1)
        places = face.landmarks, batch["image"], batch["landmarks"]
        known["lip_reading"] = lip_reading_loss(stage.lips, shown, *places)
    for name, value in known.items():
        assert value > 0
        torch.testing.assert_close(terms[name], value)
    assert "emotion" not in terms
    weighed = sum(weight * terms[name] for name, weight in WEIGHTS.items())
    torch.testing.assert_close(stage.total(terms), weighed)


def test_only_the_expression_encoder_learns(stage: EmocaCoarseStage, batch: Batch) -> None:
    before = {name: value.clone() for name, value in stage.lips.state_dict().items()}
    stage.train()
    assert not stage.lips.network.training
    (optimiser,) = [stage.configure_optimizers()]
    moved = stage.deca.E_expression.layers[2].weight.detach().clone()
    for name in (*WEIGHTS, None):
        optimiser.zero_grad()
        terms = stage.terms(batch)
        (stage.total(terms) if name is None else terms[name]).backward()
        gradient = stage.deca.E_expression.layers[2].weight.grad
        assert gradient.isfinite().all() and gradient.abs().max() > 0, name
    optimiser.step()
    assert not torch.equal(stage.deca.E_expression.layers[2].weight, moved)
    assert all(torch.equal(value, before[name]) for name, value in stage.lips.state_dict().items())
    assert not any(name.startswith("lips.") for name in stage.state_dict())


def test_faces_that_were_not_found_count_nothing(stage: EmocaCoarseStage, batch: Batch) -> None:
    def hidden(values: Tensor, rows: slice) -> Tensor:
        values = values.clone()
        values[rows] = 0
        return values

    stage.eval()
    with torch.no_grad():
        half = batch | {name: hidden(batch[name], slice(1, 2)) for name in ("mediapipe", "landmarks")}
        terms, alone = stage.terms(half), stage.terms({name: values[:1] for name, values in batch.items()})
        for name in ("mediapipe_landmarks", "mediapipe_eyes", "lip_reading"):
            torch.testing.assert_close(terms[name], alone[name], rtol=1e-4, atol=1e-7)
    none = batch | {name: hidden(batch[name], slice(0, 2)) for name in ("mediapipe", "landmarks")}
    terms = stage.terms(none)
    for name in ("mediapipe_landmarks", "mediapipe_corners", "lip_reading"):
        assert terms[name] == 0
        terms[name].backward(retain_graph=True)


def test_pictures_have_their_channels_last_and_the_lip_readers_clips_do_not(stage: EmocaCoarseStage) -> None:
    before = {name: value.clone() for name, value in stage.named_parameters()}
    assert stage.lay_out() is stage
    assert stage.deca.E_expression.encoder.conv_stem.weight.is_contiguous(memory_format=torch.channels_last)
    assert stage.lips.network.frontend3D[0].weight.is_contiguous()
    assert all(torch.equal(value, before[name]) for name, value in stage.named_parameters())


def test_a_weight_without_its_network_is_refused(stage: EmocaCoarseStage) -> None:
    settings = EmocaCoarseSettings("truth", "mobilenet_small", weights={"lip_reading": 20.0})
    with pytest.raises(ValueError, match="needs a lip reader"):
        EmocaCoarseStage(settings, OptimiserSettings(), stage.model, stage.layout, None)


def test_without_a_weight_nothing_of_it_is_worked_out(stage: EmocaCoarseStage, batch: Batch) -> None:
    settings = EmocaCoarseSettings("truth", "mobilenet_small", weights={"photometric": 2.0})
    plain = EmocaCoarseStage(settings, OptimiserSettings(), stage.model, stage.layout, None).eval()
    rest = {name: values for name, values in batch.items() if name != "mediapipe"}
    with torch.no_grad():
        terms = plain.terms(rest)
    assert not set(WEIGHTS) & set(terms) - {"photometric", "expression"}
