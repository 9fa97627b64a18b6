# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine says of a face, in the terms of the least squares."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

from blender_addon.contract.head import HeadDescription

from .basis import LandmarkBasis
from .problem import Observation, Prior


class Evidence(Protocol):
    """An engine as the solve sees it: a head, and what is believed of landmarks and coefficients."""

    head: HeadDescription
    basis: LandmarkBasis
    """with all the identity components that the landmarks can tell"""

    def observe(self, basis: LandmarkBasis, seen: np.ndarray, rotation: torch.Tensor, scale: np.ndarray) -> Observation:
        """Observations of B faces.

        Args:
            basis: of any person, or of one.
            seen: (B,N,3) landmarks in crop NDC, depth in the scale of x.
            rotation: (B,3,3) a first guess of the head rotation, from which visibility follows.
            scale: (B,) a first guess of the crop NDC per metre.
        """
        ...

    def prior(self, basis: LandmarkBasis, scores: np.ndarray) -> Prior:
        """Priors (B, C+1) on the coefficients of `basis` and on the jaw, from what the engine made of B frames.

        Args:
            scores: (B,...) the engine's own: for the landmark fit the 52 blendshape scores.
        """
        ...
