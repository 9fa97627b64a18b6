# SPDX-License-Identifier: GPL-3.0-or-later
"""The emotion networks that users brought, as readers of crops or of codes, and what takes say of emotions."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from backend.engines.crops import deca_style
from backend.engines.deca import CROP
from backend.engines.files import Ingredient, build, running
from backend.engines.interface import Codes
from backend.networks.codes import DETAIL, EXPRESSION, IDENTITY, ROTATION
from backend.networks.emotion import OUTPUTS, EmotionMLP, EmotionNetwork, readout
from backend.progress import Progress, no_progress
from backend.weights.parts import Part
from blender_addon.contract.options import BoxSource

_RECORD = np.dtype([("outputs", "<f4", (OUTPUTS,))])


class EmotionOfCrops:
    """The emotion network on crops as DECA's, which is how EMOCA was trained with it.

    Args:
        part: Of the store.
        boxes: Whose landmarks crops lie around.
        device: Where it runs.
        progress: Told when it is made faster, at first use.
    """

    dtype = _RECORD

    def __init__(self, part: Part, boxes: BoxSource, device: torch.device, progress: Progress = no_progress) -> None:
        self.ingredient, self.style = Ingredient.of(part), deca_style(boxes)
        self.key = f"emotion {part.sha256}"
        make = partial(EmotionNetwork, backbone=part.settings.get("backbone", "resnet50"))
        self._network = running(part, "", make, device, CROP, progress=progress)

    def read(self, crops: Tensor) -> np.ndarray:
        """Raw outputs of crops (B,3,224,224) as records."""
        records = np.empty(len(crops), self.dtype)
        records["outputs"] = self._network(crops).float().cpu().numpy()
        return records


class EmotionOfCodes:
    """The emotion network on DECA's or EMOCA's codes, each frame's own.

    Args:
        part: Of the store.
    """

    def __init__(self, part: Part) -> None:
        self.ingredient = Ingredient.of(part)
        self._inputs = int(part.tensors("model.0.weight")[""].shape[1])
        self._network = build(part, "", partial(EmotionMLP, self._inputs))

    def outputs(self, codes: Codes) -> np.ndarray:
        """Raw outputs (B,10)."""
        plain = IDENTITY + EXPRESSION + ROTATION
        parts = [codes.identity[:, :IDENTITY], codes.expression[:, :EXPRESSION]]
        if self._inputs in (plain + ROTATION, plain + ROTATION + DETAIL):
            parts.append(codes.head_rotation)
        parts.append(codes.jaw)
        if self._inputs >= plain + DETAIL:
            parts.append(codes.detail)
        with torch.inference_mode():
            return self._network(torch.from_numpy(np.concatenate(parts, axis=1))).numpy()


def emotion_arrays(outputs: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of a take from raw outputs (T,10), each frame by itself: nothing is smoothed."""
    said = readout(torch.from_numpy(np.ascontiguousarray(outputs, np.float32)))
    return {
        "emotion_probability": said.log_probabilities.exp().numpy(),
        "emotion_valence": said.valence[:, 0].numpy(),
        "emotion_arousal": said.arousal[:, 0].numpy(),
    }
