# SPDX-License-Identifier: GPL-3.0-or-later
"""Every stage of training, small enough for a CPU: the open head, MobileNets, a few synthetic pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache

import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from backend.heads import load_head
from backend.networks.emotion_backbones import backbone
from training.model.face import FaceModel
from training.model.layout import CodeLayout
from training.model.making import face_model
from training.stages import deca_coarse, deca_detail, emoca_coarse, emoca_detail
from training.stages.deca_coarse import DecaCoarseSettings, DecaCoarseStage, begin_in_view
from training.stages.deca_detail import DecaDetailSettings, DecaDetailStage
from training.stages.emoca_coarse import EmocaCoarseSettings, EmocaCoarseStage
from training.stages.emoca_detail import EmocaDetailSettings, EmocaDetailStage
from training.stages.emotion_mlp import EmotionMLPSettings, EmotionMLPStage
from training.stages.emotion_network import EmotionNetworkSettings, EmotionNetworkStage
from training.stages.stage import Batch, OptimiserSettings, Stage
from training.synthetic.dataset import SyntheticFaces
from training.trainer.configuration import StageName

PEOPLE, PICTURES = 2, 2
BACKBONE = "mobilenet_small"
CODES = ("identity", "expression", "jaw")
"""What the network on head parameters sees."""
OPTIMISER = OptimiserSettings(learning_rate=2e-4)


class Patterns(nn.Module):
    """Pictures -> two maps of features, as VGG-19's but of few places."""

    def __init__(self) -> None:
        super().__init__()
        self.shallow = nn.Sequential(nn.Conv2d(3, 8, 16, 16), nn.BatchNorm2d(8), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(8, 16, 2, 2), nn.ReLU())

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        shallow = self.shallow(pictures)
        return shallow, self.deep(shallow)


@lru_cache
def rings(pictures: int = PICTURES) -> Batch:
    """`PEOPLE` rings as rows; not to be changed."""
    faces = SyntheticFaces(PEOPLE, pictures, seed=7)
    batch = default_collate([faces[index] for index in range(len(faces))])
    return batch | {"codes": torch.cat([batch[name] for name in CODES], 1)}


@cache
def open_model() -> FaceModel:
    """Of the open head; made once, as it takes seconds."""
    return face_model(load_head())


def layout() -> CodeLayout:
    """Of the open head."""
    return CodeLayout.of(load_head())


def _emotion_network() -> Stage:
    return EmotionNetworkStage(EmotionNetworkSettings(BACKBONE), OPTIMISER)


def _emotion_mlp() -> Stage:
    inputs = sum(rings()[name].shape[1] for name in CODES)
    return EmotionMLPStage(EmotionMLPSettings(inputs, hidden=64), OPTIMISER)


def _emoca_coarse() -> Stage:
    settings = EmocaCoarseSettings("network", BACKBONE, jaw=True)
    stage = EmocaCoarseStage(settings, OPTIMISER, open_model(), layout(), backbone(BACKBONE))
    begin_in_view(stage.deca.E_flame.layers[2], layout())
    return stage


def _deca_coarse() -> Stage:
    return DecaCoarseStage(DecaCoarseSettings(BACKBONE), OPTIMISER, open_model(), layout(), backbone(BACKBONE))


def _deca_detail() -> Stage:
    stage = DecaDetailStage(DecaDetailSettings("network", BACKBONE), OPTIMISER, open_model(), layout(), Patterns())
    begin_in_view(stage.deca.E_flame.layers[2], layout())
    return stage


def _emoca_detail() -> Stage:
    settings = EmocaDetailSettings("truth", BACKBONE, jaw=True)
    return EmocaDetailStage(settings, OPTIMISER, open_model(), layout(), Patterns())


SMALL: Mapping[StageName, tuple[Callable[[], Stage], tuple[str, ...]]] = {
    "emotion-network": (_emotion_network, ("backbone.", "linear.")),
    "emotion-mlp": (_emotion_mlp, ("mlp.",)),
    "emoca-coarse": (_emoca_coarse, ("deca.E_expression.",)),
    "deca-coarse": (_deca_coarse, ("deca.E_flame.",)),
    "deca-detail": (_deca_detail, ("deca.E_detail.", "deca.D_detail.")),
    "emoca-detail": (_emoca_detail, ("deca.E_detail.", "deca.D_detail.")),
}
"""How each stage is made, and the parts of it that learn."""

PAPER_WEIGHTS: Mapping[StageName, Mapping[str, float]] = {
    "emoca-coarse": emoca_coarse.PAPER_WEIGHTS, "deca-coarse": deca_coarse.PAPER_WEIGHTS,
    "deca-detail": deca_detail.PAPER_WEIGHTS, "emoca-detail": emoca_detail.PAPER_WEIGHTS,
}  # fmt: skip
"""Of the stages whose configurations write them out."""


def small_stage(name: StageName, seed: int = 0) -> Stage:
    """A stage with random weights, in training."""
    torch.manual_seed(seed)
    return SMALL[name][0]().train()
