# SPDX-License-Identifier: GPL-3.0-or-later
"""SMIRK (Retsinas et al. 2024): three small networks that tell FLAME 2020's coefficients and eyelids from a crop."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from backend.networks.smirk_encoder import IDENTITY, SmirkEncoder, SmirkOutput
from backend.progress import Progress, no_progress
from backend.weights.parts import PartKind
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.options import BoxSource

from .crops import smirk_style
from .deca import CROP
from .files import ingredients, required, running
from .interface import Codes, as_records, codes_type
from .on_flame import check_head


class Smirk:
    """SMIRK; see `Deca` for the arguments."""

    name: Literal["smirk"] = "smirk"
    sees_lids = True

    def __init__(
        self,
        head: HeadDescription,
        weights: str,
        boxes: BoxSource,
        device: torch.device,
        progress: Progress = no_progress,
    ) -> None:
        part = required("smirk", weights)
        check_head(head, "SMIRK", IDENTITY)
        self.head, self.style = head, smirk_style(boxes)
        self.dtype = codes_type(IDENTITY, detail=False)
        lids: tuple[PartKind, ...] = ("eyelids",) if head.eyelids.shape[2] else ()
        self.ingredients = ingredients(part, "landmark_embedding", *lids)
        self.key = f"smirk {part.sha256} {part.name}"
        self._encoder = running(part, "encoder.", SmirkEncoder, device, CROP, SmirkOutput, progress)

    def estimate(self, crops: Tensor) -> Codes:
        """Codes of crops (B,3,224,224)."""
        with torch.inference_mode():
            parts = self._encoder(crops)._asdict()
        arrays = {name: value.float().cpu().numpy() for name, value in parts.items()}
        return Codes(**arrays, detail=np.zeros((len(crops), 0), np.float32))

    def read(self, crops: Tensor) -> np.ndarray:
        """`estimate` as records."""
        return as_records(self.estimate(crops), self.dtype)
