# SPDX-License-Identifier: GPL-3.0-or-later
"""How two heads lie in their own spaces: the rigid motion between them, and the identity that makes one the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from blender_addon.contract.head import HeadDescription

from .head_rig import neutral
from .jaw_turn import matrices
from .rig import MILLIMETRES

STEPS = 6
IDENTITY_RIDGE = 2e-3
"""mm^2 against a coefficient's square: as if 500 places of a head were known to 1 mm."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """A person on another head: a place p of that head is `turn @ p + shift` on the first. Metres.

    Attributes:
        identity: (S,) coefficients of the other head.
        turn: (3,3) rotation.
        shift: (3,)
    """

    identity: np.ndarray
    turn: np.ndarray
    shift: np.ndarray

    def onto(self, places: np.ndarray) -> np.ndarray:
        """Places (...,3) of the first head on the other."""
        return (places - self.shift) @ self.turn


def turn_onto(points: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(3,3) the rotation that brings points (N,3) nearest to target (N,3) after a shift (Kabsch 1976)."""
    share = weights / weights.sum()
    centred, goal = points - share @ points, target - share @ target
    u, _, vt = np.linalg.svd((goal * share[:, None]).T @ centred)
    return u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt


def align(head: HeadDescription, wanted: np.ndarray, weights: np.ndarray) -> Alignment:
    """The identity of a head and its place that are nearest to given vertices.

    Args:
        head: The other head.
        wanted: (V,3) where its vertices are on the first one, whose person shows no expression.
        weights: (V,) how much each counts; they sum to 1.
    """
    kept = np.flatnonzero(weights > 0)
    root = np.sqrt(np.repeat(weights[kept], 3))[:, None] * MILLIMETRES
    basis = head.identity[kept].reshape(3 * len(kept), -1).astype(np.float64) * root
    goal, size = wanted[kept].astype(np.float64), basis.shape[1]
    identity = np.zeros(size)
    turn = turn_onto(head.template[kept].astype(np.float64), goal, weights[kept])
    gram = basis.T @ basis
    for _ in range(STEPS):
        # In the other head's space: basis b + w x p + s = goal, turned there.
        points = neutral(head, identity)[kept]
        shift = weights[kept] @ (goal - points @ turn.T) / weights[kept].sum()
        missing = ((goal - shift) @ turn - points).reshape(-1, 1) * root
        moves = np.concatenate((np.cross(np.eye(3)[None], points[:, None]), np.tile(np.eye(3), (len(kept), 1, 1))), 1)
        rigid = moves.transpose(0, 2, 1).reshape(-1, 6) * root
        border = basis.T @ rigid
        system = np.block([[gram + IDENTITY_RIDGE * np.eye(size), border], [border.T, rigid.T @ rigid]])
        right = np.concatenate((basis.T @ missing[:, 0] - IDENTITY_RIDGE * identity, rigid.T @ missing[:, 0]))
        step = np.linalg.solve(system + 1e-12 * np.trace(system) * np.eye(len(system)), right)
        identity = identity + step[:size]
        turn = turn @ matrices(step[None, size : size + 3])[0]
    shift = weights[kept] @ (goal - neutral(head, identity)[kept] @ turn.T) / weights[kept].sum()
    return Alignment(identity, turn, shift)
