# SPDX-License-Identifier: GPL-3.0-or-later
"""ARKit's units in the channels of a head that has others: emotions on the user's FLAME.

The open head's units and blinks are carried onto the head, and each becomes the expression coefficients that are
nearest to what it does to the face. Both are linear, so a mix of units is the mix of their coefficients. The picture is
made from these coefficients: they are its truth, whatever of a unit the head's own space cannot show.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from backend.retarget.arkit import ArkitSolver, arkit_solver
from backend.retarget.refitting import EXPRESSION_RIDGE
from backend.retarget.rig import MILLIMETRES
from blender_addon.contract.head import HeadDescription
from training.model.layout import CodeLayout
from training.synthetic.scene import Moment


@dataclass(frozen=True, eq=False)
class OwnChannels:
    """ARKit's units as coefficients of a head.

    Attributes:
        coefficients: (K, E) of each of the open head's channels, then of the two blinks. Those behind the layout's
            width, which encoders do not give, are 0.
        missed: (K,) share of each unit's motion of the face that the coefficients do not show, 0 to 1.
    """

    coefficients: np.ndarray
    missed: np.ndarray

    def of(self, moment: Moment) -> Moment:
        """A moment of the open head on this one: lids close by its expression, its own eyelid shapes stay at rest."""
        units = np.concatenate((moment.expression, moment.eyelids))
        expression = (units @ self.coefficients).astype(np.float32)
        return replace(moment, expression=expression, eyelids=np.zeros_like(moment.eyelids))


def own_channels(head: HeadDescription) -> OwnChannels:
    """ARKit's units on a head, which is registered for that the first time.

    Raises:
        MienError: BAD_HEAD for a head that is no face; what the registration raises.
    """
    solver = arkit_solver(head)
    width = CodeLayout.of(head).expression
    root = np.sqrt(solver.weights[:, None, None]) * MILLIMETRES
    shown = (head.expression[..., :width] * root).reshape(-1, width).astype(np.float64)
    wanted = (solver.units * root).reshape(-1, solver.units.shape[2])
    normal = shown.T @ shown + EXPRESSION_RIDGE * np.eye(width)
    coefficients = np.zeros((wanted.shape[1], head.expression.shape[2]))
    coefficients[:, :width] = np.linalg.solve(normal, shown.T @ wanted).T
    return OwnChannels(coefficients, _missed(solver, wanted, shown @ coefficients[:, :width].T))


def _missed(solver: ArkitSolver, wanted: np.ndarray, found: np.ndarray) -> np.ndarray:
    """(K,) root mean squares of what is missing over those of what is wanted; 0 for units that move nothing."""
    whole = np.linalg.norm(wanted, axis=0)
    return np.linalg.norm(wanted - found, axis=0) / np.where(whole > 0, whole, 1)
