# SPDX-License-Identifier: GPL-3.0-or-later
"""MICA (Zielonka et al. 2022): one identity a person in true size, from who they are, for any engine on FLAME 2020."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from backend.faces.engine_crops import ALIGNED_SIZE, arcface_crops, five_points
from backend.faces.topology import IBUG68_FROM_478
from backend.networks.arcface import EMBEDDING, ArcFace
from backend.networks.mica import IDENTITY, MappingNetwork
from backend.progress import Progress, no_progress

from .files import Ingredient, build, required, running


class MicaIdentity:
    """MICA's networks.

    MICA was published with the five points of a detector of its own, which may not be used commercially either. They
    are taken from MediaPipe's landmarks: the middles between the corners of each eye, which other than the irises do
    not move with the gaze, the tip of the nose and the corners of the mouth.

    Args:
        device: Where they run.
        progress: Told of networks that are made faster, at first use.

    Raises:
        MienError: MISSING_FILE, BAD_HEAD.
    """

    def __init__(self, device: torch.device, progress: Progress = no_progress) -> None:
        part = required("mica")
        self.ingredient = Ingredient.of(part)
        self._device = device
        shape = (3, ALIGNED_SIZE, ALIGNED_SIZE)
        self._arcface = running(part, "arcface.", ArcFace, device, shape, progress=progress)
        self._regressor = build(part, "regressor.", MappingNetwork)

    def embed(self, frame: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Embeddings (B,512) of unit length of faces with landmarks (B,478,>=2) in a frame (H,W,3) uint8."""
        points = five_points(landmarks[:, list(IBUG68_FROM_478), :2]) - 0.5  # its pixels have centres at whole numbers
        crops = arcface_crops(frame, points).to(self._device)
        return functional.normalize(self._arcface(crops).float()).cpu().numpy()

    def identity(self, embeddings: np.ndarray) -> np.ndarray:
        """(300,) the identity of one person from embeddings (K,512) of several frames: that of their mean direction."""
        mean = torch.from_numpy(embeddings.reshape(-1, EMBEDDING)).mean(dim=0, keepdim=True)
        with torch.inference_mode():
            return self._regressor(functional.normalize(mean))[0].numpy().reshape(IDENTITY)
