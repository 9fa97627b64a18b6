# SPDX-License-Identifier: GPL-3.0-or-later
"""EMOCA's coarse stage: at the truth nothing is wrong, gradients go where they should, checkpoints hold ours alone."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import default_collate

from backend.heads import load_head
from backend.networks.emotion_backbones import backbone
from blender_addon.contract.errors import ErrorCode, MienError
from training.model.layout import CodeLayout, true_code
from training.model.making import face_model
from training.stages.emoca_coarse import PAPER_WEIGHTS, EmocaCoarseSettings, EmocaCoarseStage
from training.stages.making import make_stage
from training.stages.stage import Batch, OptimiserSettings, laid_out
from training.synthetic.dataset import SyntheticFaces
from training.trainer.configuration import Configuration, DataSettings


@pytest.fixture(scope="module")
def batch() -> Batch:
    faces = SyntheticFaces(2, 1)
    return laid_out(default_collate([faces[0], faces[1]]))


@pytest.fixture(scope="module")
def stage() -> EmocaCoarseStage:
    head = load_head()
    torch.manual_seed(0)
    settings = EmocaCoarseSettings(coarse="truth", backbone="mobilenet_small")
    emotion = backbone("mobilenet_small")
    return EmocaCoarseStage(settings, OptimiserSettings(1e-3), face_model(head), CodeLayout.of(head), emotion)


def test_the_true_code_gives_the_pictures_landmarks_and_nearly_its_colours(
    stage: EmocaCoarseStage, batch: Batch
) -> None:
    code = true_code(batch, stage.layout)
    face = stage.model.face(code)
    terms = stage._terms(batch, code, face, stage.model.render(face, code))
    for name in ("landmarks", "eye_closure", "lip_closure", "mouth_corners"):
        assert terms[name] < 1e-5, name
    assert terms["photometric"] < 0.03
    neutral = code._replace(expression=torch.zeros_like(code.expression), eyelids=torch.zeros_like(code.eyelids))
    flat = stage.model.face(neutral)
    worse = stage._terms(batch, neutral, flat, stage.model.render(flat, neutral))
    for name in ("landmarks", "eye_closure", "lip_closure", "mouth_corners", "photometric"):
        assert worse[name] > terms[name], name


def test_only_the_expression_encoder_learns(stage: EmocaCoarseStage, batch: Batch) -> None:
    stage.train()
    stage.total(stage.terms(batch)).backward()
    for name, parameter in stage.named_parameters():
        learns = name.startswith("deca.E_expression.")
        assert parameter.requires_grad == learns
        assert (parameter.grad is not None and bool(parameter.grad.any())) == learns, name
    assert not stage.emotion.training and stage.deca.E_expression.training


def test_checkpoints_hold_encoders_and_no_file_of_somebody_else(stage: EmocaCoarseStage) -> None:
    assert {name.split(".")[1] for name in stage.state_dict()} == {"E_expression"}
    state = {name: torch.zeros_like(value) for name, value in stage.state_dict().items()}
    known = {name: value.clone() for name, value in stage.state_dict().items()}
    stage.load_state_dict(state)
    assert not any(value.any() for value in stage.state_dict().values())
    stage.load_state_dict(known)
    with pytest.raises(RuntimeError, match="Missing key"):
        stage.load_state_dict({})


def test_the_total_is_the_weighted_sum_and_needs_its_terms(stage: EmocaCoarseStage) -> None:
    terms = {name: torch.tensor(float(number)) for number, name in enumerate(PAPER_WEIGHTS, start=1)}
    expected = sum(weight * terms[name] for name, weight in PAPER_WEIGHTS.items())
    torch.testing.assert_close(stage.total(terms), torch.as_tensor(expected))
    terms.pop("emotion")
    with pytest.raises(MienError, match="model.weights.emotion") as error:
        stage.total(terms)
    assert error.value.code is ErrorCode.USAGE


def test_an_emotion_term_without_a_network_is_refused() -> None:
    head = load_head()
    with pytest.raises(ValueError, match="emotion network"):
        EmocaCoarseStage(
            EmocaCoarseSettings(backbone="mobilenet_small"), OptimiserSettings(), face_model(head),
            CodeLayout.of(head), None,
        )  # fmt: skip


def test_pictures_show_photo_render_and_both(stage: EmocaCoarseStage, batch: Batch) -> None:
    rows = stage.pictures(batch)
    assert list(rows) == ["photo", "render", "over_photo"]
    for pictures in rows.values():
        assert pictures.shape == (2, 3, 224, 224) and 0 <= pictures.min() and pictures.max() <= 1


def test_a_frozen_encoder_does_not_begin_at_random() -> None:
    model = {"backbone": "mobilenet_small", "weights": {"photometric": 1.0}}
    with pytest.raises(MienError, match="'start.coarse' is missing") as error:
        make_stage(Configuration("emoca-coarse", DataSettings({}, {}), model=model))
    assert error.value.code is ErrorCode.USAGE
