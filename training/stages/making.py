# SPDX-License-Identifier: GPL-3.0-or-later
"""From a configuration to a stage that is ready to be trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from blender_addon.contract.errors import ErrorCode, MienError
from training.model.emotion import frozen_emotion
from training.model.encoder import clone_expression
from training.model.layout import CodeLayout
from training.model.making import face_model, training_head
from training.model.starting import begin, weights
from training.stages.emoca_coarse import EmocaCoarseSettings, EmocaCoarseStage
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
    start(configuration, {"backbone": (stage.backbone, "backbone."), "faces": (stage.backbone, "")})
    return stage


def _emoca_coarse(configuration: Configuration) -> Stage:
    settings = filled(EmocaCoarseSettings, configuration.model, "model")
    head = training_head(configuration.head)
    layout = CodeLayout.of(head)
    felt = configuration.start.get("emotion")
    emotion = None if felt is None else frozen_emotion(felt)
    try:
        stage = EmocaCoarseStage(settings, configuration.optimiser, face_model(head, configuration.albedo), layout, emotion)
    except ValueError as error:
        message = f"The stage cannot be made: {error}."
        raise MienError(ErrorCode.USAGE, message, "Set start.emotion, or weights.emotion to 0.") from error
    places = {"expression": (stage.deca.E_expression, "E_expression.")}
    if settings.coarse == "network":
        places["coarse"] = (stage.deca.E_flame, "E_flame.")
    start(configuration, places, also=("emotion",))
    if settings.coarse == "network" and "expression" not in configuration.start:
        clone_expression(stage.deca.E_flame, stage.deca.E_expression, layout, stage.branch)
    return stage


MAKERS: dict[StageName, Callable[[Configuration], Stage]] = {
    "emotion-network": _emotion_network,
    "emoca-coarse": _emoca_coarse,
}
"""How each stage is made."""
