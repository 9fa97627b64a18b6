# SPDX-License-Identifier: GPL-3.0-or-later
"""What a face at rest scores: the network sees raised brows or pursed lips in some faces that show neither."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.faces.topology import BLENDSHAPE_NAMES

REST = 0.1
"""Part of the frames below whose scores a resting face is taken to lie."""
MOST = {
    "brow": 0.6,
    "mouthPucker": 0.5,
    "eyeSquint": 0.4,
    "eyeLook": 0.35,
    "mouthShrug": 0.4,
    "mouthFunnel": 0.3,
    "mouthRoll": 0.3,
}
"""Channels, by the beginnings of their names, that resting faces score on, and by how much at most. The others do not:
a smile throughout a clip stays a smile."""


@dataclass(frozen=True)
class Baseline:
    """The scores of a person at rest, (52,)."""

    scores: np.ndarray

    @staticmethod
    def of(blendshapes: np.ndarray) -> Baseline:
        """From all frames (N,52) of a person; the same whatever order they come in."""
        most = [max((value for name, value in MOST.items() if full.startswith(name)), default=0.0) for full in _NAMES]
        return Baseline(np.minimum(np.quantile(blendshapes.astype(np.float64), REST, axis=0), most))

    def removed(self, blendshapes: np.ndarray) -> np.ndarray:
        """Scores (N,52) that are 0 at rest and 1 where they were."""
        return np.clip((blendshapes.astype(np.float64) - self.scores) / (1 - self.scores), 0, 1)


_NAMES = tuple(BLENDSHAPE_NAMES)
