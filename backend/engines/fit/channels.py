# SPDX-License-Identifier: GPL-3.0-or-later
"""What blendshape scores say of a head's expression channels, in coordinates that are independent of each other.

A head with ARKit's units is scored directly. Of other heads, whose channels are principal components, the units are
carried onto their vertices from the open head, and each is told in channels by least squares: scores s then mean
coefficients A s, and what is not known of the scores makes them stray together, with the covariance
s^2 A A^T + t^2 I. Its axes are the coordinates in which the fit works.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.faces import topology
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription

UNIT_SIGMA = 0.15
"""How far a unit may stray from the network's score; this keeps a smile from leaking into the identity."""
UNSCORED_UNITS = ("tongueOut",)
"""ARKit units that the network does not score; they stay at zero."""
OWN_SIGMA = 0.25
"""How far a channel that is no unit may stray by itself, in its standard deviations: what units cannot tell."""
MOST = 6.0
"""Standard deviations that such a channel may reach about what the scores say."""
RIDGE = 1e-3
"""Of the least squares, as a part of the mean curvature: components that hardly move anything stay near zero."""


@dataclass(frozen=True)
class Channels:
    """The expression of a head as the fit sees it. K coordinates, E channels of the head, U units.

    Attributes:
        units: U names of scored units.
        by_unit: (K,U) coordinates that go with each unit at 1; None where the coordinates are the units.
        sigma: (K,) or one for all.
        low, high: bounds, alike.
        turn: (E,K) orthonormal, coordinates to channels; None where they are the same.
    """

    units: tuple[str, ...]
    by_unit: np.ndarray | None
    sigma: np.ndarray | float
    low: np.ndarray | float
    high: np.ndarray | float
    turn: np.ndarray | None

    def expected(self, scores: np.ndarray) -> np.ndarray:
        """(B,K) coordinates of scores (B,U)."""
        return scores if self.by_unit is None else scores @ self.by_unit.T


def known_units() -> set[str]:
    """Names of the units that are scored, or known to be zero."""
    return {*topology.BLENDSHAPE_NAMES, *UNSCORED_UNITS}


def expression_channels(head: HeadDescription) -> Channels:
    """How the scores tell of a head's channels.

    Raises:
        MienError: BAD_HEAD where the head has neither ARKit's units nor the shape of a head.
    """
    if set(head.expression_names) <= known_units():
        return Channels(head.expression_names, None, UNIT_SIGMA, 0.0, 1.0, None)
    return _carried_channels(head)


def _carried_channels(head: HeadDescription) -> Channels:
    from backend.heads import load_head
    from backend.heads.correspondence import correspondence

    source = load_head("open")
    if source.faces.shape == head.faces.shape and np.array_equal(source.faces, head.faces):
        raise MienError(ErrorCode.BAD_HEAD, f"The head {head.id} has unknown channels.", "Choose the open head.")
    moves = correspondence(source, head).carried(source, source.expression)
    units = told_in_channels(head, moves)
    covariance = UNIT_SIGMA**2 * units @ units.T + OWN_SIGMA**2 * np.eye(len(units))
    variance, turn = np.linalg.eigh(covariance)
    sigma = np.sqrt(variance)
    reach = np.abs(turn.T @ units).sum(axis=1) + MOST * sigma
    return Channels(source.expression_names, turn.T @ units, sigma, -reach, reach, turn)


def told_in_channels(head: HeadDescription, moves: np.ndarray) -> np.ndarray:
    """(E,U) channels under which a head's vertices come nearest to moves (V,3,U), ridge least squares."""
    basis = head.expression.astype(np.float64).reshape(-1, head.expression.shape[2])
    gram = basis.T @ basis
    ridge = RIDGE * np.trace(gram) / len(gram)
    return np.linalg.solve(gram + ridge * np.eye(len(gram)), basis.T @ moves.reshape(-1, moves.shape[2]))
