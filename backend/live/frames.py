# SPDX-License-Identifier: GPL-3.0-or-later
"""What drives a head at one moment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class LiveFrame:
    """One person at one moment; the arrays are those of one frame of a take."""

    expression: np.ndarray
    """(E,) coefficients."""
    eyelids: np.ndarray
    """(2,) left, right; 0 open, 1 closed."""
    head_rotation: np.ndarray
    """(3,) axis-angle radians, head space."""
    neck: np.ndarray
    """(3,)"""
    jaw: np.ndarray
    """(3,)"""
    eyes: np.ndarray
    """(6,) left, right."""
    translation: np.ndarray
    """(3,) metres, camera space."""
