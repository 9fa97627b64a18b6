# SPDX-License-Identifier: GPL-3.0-or-later
"""DECA (Feng et al. 2021) and EMOCA (Danecek et al. 2022): ResNets that tell FLAME 2020's coefficients from a crop."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from backend.networks.codes import COARSE, DETAIL, IDENTITY, ExpressionBranch, split_coarse, with_expression
from backend.networks.face_encoder import FaceEncoder
from backend.networks.loading import ReadyNetwork
from backend.progress import Progress, no_progress
from backend.weights.parts import Part
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.options import BoxSource
from blender_addon.contract.projection import CROP_SIZE

from .crops import deca_style
from .files import ingredients, required, running
from .interface import Codes, as_records, codes_type
from .on_flame import check_head

CROP = (3, CROP_SIZE, CROP_SIZE)


class Deca:
    """DECA or EMOCA; EMOCA is DECA with another encoder for the expression, and what else its file says.

    Args:
        name: Which of them.
        head: FLAME 2020.
        weights: Name of the weights; empty for the newest.
        boxes: Whose landmarks crops lie around.
        device: Where the networks run.
        progress: Told of networks that are made faster, at first use.

    Raises:
        MienError: MISSING_FILE, WRONG_HEAD, BAD_HEAD.
    """

    sees_lids = False

    def __init__(
        self,
        name: Literal["deca", "emoca"],
        head: HeadDescription,
        weights: str,
        boxes: BoxSource,
        device: torch.device,
        progress: Progress = no_progress,
    ) -> None:
        self.name: Literal["deca", "emoca"] = name
        part = required(name, weights)
        check_head(head, {"deca": "DECA", "emoca": "EMOCA"}[name], IDENTITY)
        self.head, self.style = head, deca_style(boxes)
        self.ingredients = ingredients(part, "landmark_embedding")
        self.dtype = codes_type(IDENTITY, detail=True)
        self.branch = _branch(part)
        self.key = f"{name} {part.sha256} {part.name} {self.branch}"

        def encoder(prefix: str, outputs: int) -> ReadyNetwork:
            return running(part, prefix, partial(FaceEncoder, outputs), device, CROP, progress=progress)

        self._coarse, self._detail = encoder("E_flame.", COARSE), encoder("E_detail.", DETAIL)
        self._expression = encoder("E_expression.", self.branch.outputs) if self.branch is not None else None

    def estimate(self, crops: Tensor) -> Codes:
        """Codes of crops (B,3,224,224); EMOCA's expression, and what else its encoder gives, in place of DECA's."""
        with torch.inference_mode():
            code = split_coarse(self._coarse(crops))
            if self._expression is not None and self.branch is not None:
                code = with_expression(code, self._expression(crops), self.branch)
            detail = self._detail(crops)

        def array(tensor: Tensor) -> np.ndarray:
            return tensor.float().cpu().numpy()

        return Codes(
            identity=array(code.identity),
            expression=array(code.expression),
            head_rotation=array(code.head_rotation),
            jaw=array(code.jaw),
            eyelids=np.zeros((len(crops), 2), np.float32),
            camera=array(code.camera),
            detail=array(detail),
        )

    def read(self, crops: Tensor) -> np.ndarray:
        """`estimate` as records."""
        return as_records(self.estimate(crops), self.dtype)


def _branch(part: Part) -> ExpressionBranch | None:
    """What EMOCA's expression encoder gives, as was decided when its file was converted; None of DECA."""
    if part.kind != "emoca":
        return None
    return ExpressionBranch(*(part.settings.get(name, "false") == "true" for name in ("head_rotation", "jaw")))
