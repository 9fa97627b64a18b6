# SPDX-License-Identifier: GPL-3.0-or-later
"""From a configuration to a stage that is ready to be trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from torch import nn

from backend.networks.codes import DETAIL
from backend.networks.detail_decoder import DetailDecoder
from backend.networks.emotion_backbones import Backbone, backbone_state
from blender_addon.contract.errors import ErrorCode, MienError
from training.losses.lip_reading import load_lip_features
from training.model.emotion import frozen_emotion
from training.model.encoder import clone_expression, face_encoder
from training.model.face import FaceModel
from training.model.judges import face_recognition, vgg19
from training.model.layout import CodeLayout
from training.model.making import face_model, training_head
from training.model.starting import begin, weights
from training.stages.deca_coarse import DecaCoarseSettings, DecaCoarseStage
from training.stages.deca_detail import DecaDetailSettings, DecaDetailStage
from training.stages.emoca_coarse import EmocaCoarseSettings, EmocaCoarseStage
from training.stages.emoca_detail import EmocaDetailSettings, EmocaDetailStage
from training.stages.emoca_v2 import LIP_READING
from training.stages.emotion_mlp import EmotionMLPSettings, EmotionMLPStage
from training.stages.emotion_network import EmotionNetworkSettings, EmotionNetworkStage
from training.stages.stage import Stage
from training.trainer.configuration import Configuration, StageName
from training.trainer.filling import filled, wrong

Places = Mapping[str, tuple[nn.Module, str]]
"""Parts of a stage that can begin from files, by their names in `start`: the module, and its prefix in checkpoints."""


def make_stage(configuration: Configuration) -> Stage:
    """The stage with its parts at their start.

    Raises:
        MienError: USAGE for settings that the stage does not have; MISSING_FILE, BAD_WEIGHTS for what it begins from.
    """
    return MAKERS[configuration.stage](configuration)


def start(configuration: Configuration, places: Places, also: tuple[str, ...] = ()) -> None:
    """Load the parts that the configuration names a start for.

    Args:
        configuration: of the run.
        places: the stage's parts.
        also: names of starts that are used elsewhere.

    Raises:
        MienError: USAGE for a start of a part that the stage does not have; MISSING_FILE, BAD_WEIGHTS.
    """
    for name, source in configuration.start.items():
        if name in also:
            continue
        if name not in places:
            raise wrong(f"start.{name}", "is not a part of this stage", f"There are: {', '.join([*places, *also])}.")
        module, prefix = places[name]
        begin(module, weights(source), prefix, source)


def _emotion_network(configuration: Configuration) -> Stage:
    settings = filled(EmotionNetworkSettings, configuration.model, "model")
    stage = EmotionNetworkStage(settings, configuration.optimiser)
    start(configuration, {"faces": (stage.backbone, "")}, also=("backbone",))
    if source := configuration.start.get("backbone"):
        begin(stage.backbone, backbone_state(settings.backbone, weights(source)), "", source)
    return stage


def _emoca_coarse(configuration: Configuration) -> Stage:
    settings = filled(EmocaCoarseSettings, configuration.model, "model")
    felt = configuration.start.get("emotion")
    emotion = None if felt is None else frozen_emotion(felt)
    lips = load_lip_features() if settings.weights.get(LIP_READING) else None
    model, layout = _head(configuration)
    with _wanting("Set start.emotion, or weights.emotion to 0."):
        stage = EmocaCoarseStage(settings, configuration.optimiser, model, layout, emotion, lips)
    places = {"expression": (stage.deca.E_expression, "E_expression.")}
    if settings.coarse == "network":
        _require_start(configuration, "coarse")
        places["coarse"] = (stage.deca.E_flame, "E_flame.")
    start(configuration, places, also=("emotion",))
    if settings.coarse == "network" and "expression" not in configuration.start:
        clone_expression(stage.deca.E_flame, stage.deca.E_expression, layout, stage.branch)
    _carry_detail(configuration, stage, settings.backbone, layout)
    return stage


def _emotion_mlp(configuration: Configuration) -> Stage:
    settings = filled(EmotionMLPSettings, configuration.model, "model")
    stage = EmotionMLPStage(settings, configuration.optimiser, configuration.seed)
    start(configuration, {"mlp": (stage.mlp, "mlp.")})
    return stage


def _deca_coarse(configuration: Configuration) -> Stage:
    settings = filled(DecaCoarseSettings, configuration.model, "model")
    known = configuration.start.get("face_recognition")
    faces = None if known is None else face_recognition(known)
    model, layout = _head(configuration)
    with _wanting("Set start.face_recognition, or weights.identity to 0."):
        stage = DecaCoarseStage(settings, configuration.optimiser, model, layout, faces)
    encoder = stage.deca.E_flame
    places = {"coarse": (encoder, "E_flame."), "backbone": (encoder.encoder, "")}
    start(configuration, places, also=("face_recognition",))
    _carry_detail(configuration, stage, settings.backbone, layout)
    return stage


def _deca_detail(configuration: Configuration) -> Stage:
    return _detail(configuration, filled(DecaDetailSettings, configuration.model, "model"), DecaDetailStage)


def _emoca_detail(configuration: Configuration) -> Stage:
    return _detail(configuration, filled(EmocaDetailSettings, configuration.model, "model"), EmocaDetailStage)


def _detail(configuration: Configuration, settings: DecaDetailSettings, kind: type[DecaDetailStage]) -> Stage:
    seen = configuration.start.get("vgg19")
    vgg = None if seen is None else vgg19(seen)
    model, layout = _head(configuration)
    with _wanting("Set start.vgg19, or weights.mrf to 0."):
        stage = kind(settings, configuration.optimiser, model, layout, vgg)
    frozen = {"coarse": "E_flame", "expression": "E_expression"}
    there = {name: network for name, network in frozen.items() if hasattr(stage.deca, network)}
    for name in there:
        _require_start(configuration, name)
    learning = {"detail_encoder": "E_detail", "detail_decoder": "D_detail"}
    places = {name: (getattr(stage.deca, network), f"{network}.") for name, network in (there | learning).items()}
    start(configuration, places, also=("vgg19",))
    return stage


def _head(configuration: Configuration) -> tuple[FaceModel, CodeLayout]:
    head = training_head(configuration.head)
    return face_model(head, configuration.albedo), CodeLayout.of(head)


def _require_start(configuration: Configuration, name: str) -> None:
    """Refuse a frozen part that would begin at random, and stay so."""
    if name not in configuration.start:
        raise wrong(f"start.{name}", "is missing", "It is not trained in this stage: name what it is taken from.")


@contextmanager
def _wanting(remedy: str) -> Iterator[None]:
    """Tell what a stage lacks as a mistake in its settings."""
    try:
        yield
    except ValueError as error:
        raise MienError(ErrorCode.USAGE, f"The stage cannot be made: {error}.", remedy) from error


def _carry_detail(configuration: Configuration, stage: Stage, backbone: Backbone, layout: CodeLayout) -> None:
    """Keep the detail networks of the file that the coarse encoder comes from, where it has them, as they are.

    'mien models add' takes DECA and EMOCA whole, so a checkpoint of a coarse stage is of use at once.
    """
    source = configuration.start.get("coarse")
    tensors = {} if source is None else weights(source)
    if source is None or not any(name.startswith("D_detail.") for name in tensors):
        return
    stage.deca.E_detail, stage.deca.D_detail = face_encoder(backbone, DETAIL), DetailDecoder(layout.detail)
    for name in ("E_detail", "D_detail"):
        begin(getattr(stage.deca, name), tensors, f"{name}.", source)
    stage.freeze(stage.deca.E_detail, stage.deca.D_detail)


MAKERS: dict[StageName, Callable[[Configuration], Stage]] = {
    "emotion-network": _emotion_network,
    "emotion-mlp": _emotion_mlp,
    "emoca-coarse": _emoca_coarse,
    "deca-coarse": _deca_coarse,
    "deca-detail": _deca_detail,
    "emoca-detail": _emoca_detail,
}
"""How each stage is made."""
