# SPDX-License-Identifier: GPL-3.0-or-later
"""A face that moves by linear units and the turn of its jaw, and the motion that explains where its vertices went."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .jaw_turn import matrices, turned, turned_back, turned_on
from .quadratic import Quadratic

MILLIMETRES = 1e3
STEPS = 4
"""Linearisations about the jaw's turn; the last changes nothing that could be seen."""
AT_ONCE = 256
"""Frames that are solved together; bounds the memory."""


@dataclass(frozen=True, eq=False)
class Rig:
    """N vertices of a face in the space of the neck, K units and a jaw that turns about some axes. Metres.

    Attributes:
        rest: (N,3) the person at rest.
        units: (N,3,K) offsets of whole units, before the jaw turns.
        jaw_weights: (N,) skinning weights of the jaw.
        jaw_correctives: (9,N,3) offsets for the jaw's R - I, row-major.
        pivot: (3,) the jaw's joint at rest.
        pivot_units: (3,K) how units move it.
        axes: (D,3) about which the jaw may turn.
        weights: (N,) how much each vertex counts; they sum to 1, so that errors are mean squares in mm^2.
    """

    rest: np.ndarray
    units: np.ndarray
    jaw_weights: np.ndarray
    jaw_correctives: np.ndarray
    pivot: np.ndarray
    pivot_units: np.ndarray
    axes: np.ndarray
    weights: np.ndarray

    def posed(self, values: np.ndarray, jaw: np.ndarray) -> np.ndarray:
        """(T,N,3) vertices of units (T,K) and turns of the jaw (T,3)."""
        pivot = self._pivot(values)
        rest = self.rest + self._moved(values) + self._corrected(jaw)
        return turned(jaw, rest - pivot, self.jaw_weights) + pivot

    def before_jaw(self, vertices: np.ndarray, jaw: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
        """(T,N,3) rest and units of vertices (T,N,3) under turns of the jaw (T,3), whose pivot follows units (T,K)."""
        pivot = self.pivot if values is None else self._pivot(values)
        return turned_back(jaw, vertices - pivot, self.jaw_weights) + pivot - self._corrected(jaw)

    def _moved(self, values: np.ndarray) -> np.ndarray:
        return (values @ self.units.reshape(-1, self.units.shape[2]).T).reshape(len(values), -1, 3)

    def _corrected(self, jaw: np.ndarray) -> np.ndarray:
        feature = (matrices(jaw) - np.eye(3)).reshape(len(jaw), 9)
        return np.tensordot(feature, self.jaw_correctives, 1)

    def _pivot(self, values: np.ndarray) -> np.ndarray:
        return (self.pivot + values @ self.pivot_units.T)[:, None]

    def _columns(self, values: np.ndarray, jaw: np.ndarray) -> np.ndarray:
        """(T,D,N,3) what a small further turn about each axis does, before the jaw turns."""
        turn = matrices(jaw)
        arms = (self.rest + self._moved(values) + self._corrected(jaw) - self._pivot(values)) @ np.swapaxes(turn, 1, 2)
        columns = []
        for axis in self.axes:
            swing = self.jaw_weights[:, None] * np.cross(axis, arms)
            change = np.cross(axis, turn, axisb=1, axisc=1).reshape(len(jaw), 9)
            columns.append(
                turned_back(jaw, swing, self.jaw_weights) + np.tensordot(change, self.jaw_correctives, 1)
            )
        return np.stack(columns, axis=1)


@dataclass(frozen=True, eq=False)
class Wishes:
    """What is wanted of units and jaw besides where the vertices are.

    Attributes:
        ridge: (K,) mm^2, on the square of each unit.
        sparsity: (K,) mm^2, on its absolute value, for units that are not negative.
        lower, upper: (K,) bounds of the units, infinite for none.
        jaw_ridge: mm^2 per square radian that the jaw leaves where it started.
        jaw_bounds: Of the turn about the first axis, radians.
        held: Index of a unit that may not be larger than the jaw's turn over `held_turn`, or None.
        held_turn: Radians.
    """

    ridge: np.ndarray
    sparsity: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    jaw_ridge: float
    jaw_bounds: tuple[float, float] = (-np.inf, np.inf)
    held: int | None = None
    held_turn: float = field(default=1.0)

    @property
    def bounded(self) -> bool:
        """Whether anything is bounded."""
        return bool(np.isfinite([*self.lower, *self.upper, *self.jaw_bounds]).any()) or self.held is not None


@dataclass(frozen=True, eq=False)
class Motion:
    """Units (T,K) and turns of the jaw (T,3), axis-angle radians."""

    values: np.ndarray
    jaw: np.ndarray


def explain(
    rig: Rig, vertices: np.ndarray, jaw: np.ndarray, wishes: Wishes, given: np.ndarray | None = None
) -> Motion:
    """The motion of a rig that brings its vertices nearest to given ones, each frame by itself.

    Gauss-Newton about the jaw's turn; with the jaw's turn undone the units are linear and their normal matrix is the
    same in all frames.

    Args:
        rig: The face.
        vertices: (T,N,3) metres, in the space of the neck.
        jaw: (T,3) from where to start.
        wishes: Priors and bounds, of what is found.
        given: (T,K) units that are known; what is found comes on top of them.
    """
    given = np.zeros((len(vertices), rig.units.shape[2])) if given is None else given
    parts = [slice(first, first + AT_ONCE) for first in range(0, len(vertices), AT_ONCE)]
    done = [_explain(rig, vertices[part], jaw[part], wishes, given[part]) for part in parts]
    return Motion(np.concatenate([one.values for one in done]), np.concatenate([one.jaw for one in done]))


def _explain(rig: Rig, vertices: np.ndarray, begin: np.ndarray, wishes: Wishes, given: np.ndarray) -> Motion:
    frames, count, turns = len(vertices), rig.units.shape[2], len(rig.axes)
    root = np.sqrt(np.repeat(rig.weights, 3)) * MILLIMETRES
    units = rig.units.reshape(-1, count) * root[:, None]
    shared = units.T @ units + np.diag(wishes.ridge)
    jaw, values = _onto_axes(begin, rig.axes), np.zeros((frames, count))
    way = np.zeros((frames, turns))  # from where the jaw started
    known = rig._moved(given)
    for step in range(STEPS):
        missing = (rig.before_jaw(vertices, jaw, values + given) - rig.rest - known).reshape(frames, -1) * root
        columns = rig._columns(values + given, jaw).reshape(frames, turns, -1) * root
        corner = columns @ np.swapaxes(columns, 1, 2) + wishes.jaw_ridge * np.eye(turns)
        own = (columns @ missing[..., None])[..., 0] - wishes.jaw_ridge * way
        right = np.concatenate((missing @ units - wishes.sparsity, own), axis=1)
        border = (columns.reshape(frames * turns, -1) @ units).reshape(frames, turns, count)  # one large product
        problem = Quadratic(shared, border, corner, right)
        if wishes.bounded:
            lower, upper = _bounds(wishes, rig.axes, jaw, frames)
            start = problem.minimum() if not step else np.concatenate((values, np.zeros((frames, turns))), axis=1)
            found = problem.bounded_minimum(lower, upper, start)
        else:
            found = problem.minimum()
        values, further = found[:, :count], found[:, count:]
        jaw, way = turned_on(jaw, further @ rig.axes), way + further
    if wishes.held is not None:
        most = np.maximum(jaw @ rig.axes[0] / wishes.held_turn, 0)
        values[:, wishes.held] = np.minimum(values[:, wishes.held], most)
    return Motion(values + given, jaw)


def _onto_axes(jaw: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """(T,3) turns without what is about none of the axes."""
    return jaw @ axes.T @ axes


def _bounds(wishes: Wishes, axes: np.ndarray, jaw: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """(T,K+D) bounds of the units and of the step of the jaw."""
    free = np.full((frames, len(axes)), np.inf)
    lower = np.concatenate((np.tile(wishes.lower, (frames, 1)), -free), axis=1)
    upper = np.concatenate((np.tile(wishes.upper, (frames, 1)), free), axis=1)
    first, turn = len(wishes.lower), jaw @ axes[0]
    lower[:, first], upper[:, first] = wishes.jaw_bounds[0] - turn, wishes.jaw_bounds[1] - turn
    if wishes.held is not None:
        held = np.clip(turn / wishes.held_turn, 0, wishes.upper[wishes.held])
        upper[:, wishes.held] = held
    return lower, upper
