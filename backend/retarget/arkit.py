# SPDX-License-Identifier: GPL-3.0-or-later
"""ARKit's weights of a take on any head: what the open head's units, carried onto that head, explain of its vertices.

The head's own jaw turns and its own expression moves the vertices; the pose of head and neck is left out. Of these
vertices each frame is explained by the 49 units, two blinks and a turn of the jaw about x, which is `jawOpen`: weights
that are not negative, at most 1 and few (an L1 penalty), by least squares over the face, lips and lids first. What the
jaw turns otherwise is thereby `jawLeft` and `jawRight`. The gaze units are those of the eyes' turns, and what they do
to the lids is explained before the rest; the tongue is not seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from backend.heads import load_head
from backend.progress import Progress, no_progress
from blender_addon.contract.arkit import BLINKS, CHANNELS, JAW, JAW_OPEN, MOUTH_CLOSE, SOLVED, has_arkit
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.smoothing import has_raw, unsmoothed, with_raw_arkit
from blender_addon.contract.take import Take

from .alignment import turn_onto
from .gaze import NAMES, gaze_units
from .head_rig import head_rig
from .pairing import Counterparts, counterparts, face_weights
from .resting import Resting, looked_at, resting_at, resting_of
from .rig import AT_ONCE, Motion, Rig, Wishes, explain

SPARSITY = 0.0005
"""mm^2, on the sum of the weights. A unit that moves the whole face by 1 mm on the average loses this much of its
weight, one that moves little (a dimple) more."""
RIDGE = 0.0005
"""mm^2, on the sum of the squared weights."""
JAW_RIDGE = 10.0
"""mm^2 per square radian that vertices turn `jawOpen` away from the head's own jaw."""
MOST_JAW = 1.2 * JAW_OPEN
_SIDEWAYS = np.eye(3)[:1]
TONGUE = "tongueOut"


@dataclass(frozen=True, eq=False)
class ArkitSolver:
    """ARKit's units on a head.

    Attributes:
        head: The head.
        names: (K,) of the units: the open head's channels, then the blinks.
        units: (V,3,K) metres on the head's vertices. Its last two, the blinks, also are what eyelids do to a head that
            has none of its own.
        weights: (V,) how much each vertex counts.
    """

    head: HeadDescription
    names: tuple[str, ...]
    units: np.ndarray
    weights: np.ndarray

    def weights_of(self, take: Take, neutral: int | None = None) -> np.ndarray:
        """(T,52) float32 weights of a take, each frame by itself but for the resting face that they count from.

        Args:
            take: A take on the head.
            neutral: Index of a frame that shows the resting face; by default it is found in the take.
        """
        own, looks = self._own_rig(take.identity), self._looks(take.eyes)
        arkit = replace(own, units=self.units[self.weights > 0], pivot_units=np.zeros((3, len(self.names))))
        rest = self._resting(arkit, own, take, looks, neutral)
        person, weights = rest.on(arkit), []
        for first in range(0, len(take), AT_ONCE):
            rows = slice(first, first + AT_ONCE)
            motion = self._explained(person, self._vertices(own, take, rows), take.jaw[rows], looks[rows])
            weights.append(self._in_order(motion, rest))
        return np.concatenate(weights)

    def _own_rig(self, identity: np.ndarray) -> Rig:
        own = head_rig(self.head, identity.astype(np.float64), self.weights, _SIDEWAYS)
        if self.head.eyelids.shape[2]:
            return own
        lids = self.units[self.weights > 0][..., -2:]
        return replace(own, units=np.concatenate((own.units[..., :-2], lids), axis=2))

    def _vertices(self, own: Rig, take: Take, rows: slice | np.ndarray) -> np.ndarray:
        """(T,N,3) of some frames, in the space of the neck. FLAME's jaw joint, which follows the expression by up to a
        millimetre, is held: that would pass for the jaw's own motion."""
        width = self.head.expression.shape[2] - take.expression.shape[1]
        expression = np.pad(take.expression[rows], ((0, 0), (0, width)))
        values = np.concatenate((expression, take.eyelids[rows]), axis=1).astype(np.float64)
        jaw = take.jaw[rows].astype(np.float64)
        return replace(own, pivot_units=np.zeros_like(own.pivot_units)).posed(values, jaw)

    def _resting(self, rig: Rig, own: Rig, take: Take, looks: np.ndarray, neutral: int | None) -> Resting:
        chosen = looked_at(take.valid) if neutral is None else np.array([neutral])
        if not len(chosen):
            return Resting(np.zeros_like(rig.rest), 0.0)
        some = self._vertices(own, take, chosen)
        motion = self._explained(rig, some, take.jaw[chosen], looks[chosen])
        if neutral is None:
            return resting_of(rig, self.names, some, motion)
        return resting_at(rig, some, motion, looks[chosen])

    def _looks(self, eyes: np.ndarray) -> np.ndarray:
        """(T,K) units of the gaze, at their places among all."""
        units = np.zeros((len(eyes), len(self.names)))
        units[:, [self.names.index(name) for name in NAMES]] = gaze_units(eyes)
        return units

    def _explained(self, rig: Rig, vertices: np.ndarray, jaw: np.ndarray, looks: np.ndarray) -> Motion:
        upper = np.array([0.0 if name in (*NAMES, TONGUE) else 1.0 for name in self.names])
        wishes = Wishes(
            ridge=np.full(len(self.names), RIDGE),
            sparsity=np.full(len(self.names), SPARSITY),
            lower=np.zeros(len(self.names)),
            upper=upper,
            jaw_ridge=JAW_RIDGE,
            jaw_bounds=(0.0, MOST_JAW),
            held=self.names.index(MOUTH_CLOSE),
            held_turn=JAW_OPEN,
        )
        return explain(rig, vertices, jaw.astype(np.float64), wishes, looks)

    def _in_order(self, motion: Motion, rest: Resting) -> np.ndarray:
        values = dict(zip(self.names, motion.values.T, strict=True))
        values[JAW] = np.maximum(motion.jaw[:, 0] - rest.jaw, 0) / JAW_OPEN
        values[MOUTH_CLOSE] = np.minimum(values[MOUTH_CLOSE], values[JAW])
        return np.clip(np.stack([values[name] for name in CHANNELS], axis=1), 0, 1).astype(np.float32)


def arkit_solver(
    head: HeadDescription, from_open: Counterparts | None = None, progress: Progress = no_progress
) -> ArkitSolver:
    """ARKit's units on a head.

    Args:
        head: The head.
        from_open: The place on the open head of each of its vertices; by default that of `counterparts`.
        progress: Told of the registration, where it is not known yet.

    Raises:
        MienError: BAD_HEAD for a head that is no face; what the registration raises.
    """
    opened = load_head("open")
    pairs = from_open or counterparts(opened, head, progress)
    weights = face_weights(head, pairs)
    turn = turn_onto(pairs.carried(opened, opened.template.astype(np.float64)), head.template, weights)
    units = np.concatenate((opened.expression, opened.eyelids), axis=2).astype(np.float64)
    carried = np.einsum("ij,vjk->vik", turn, pairs.carried(opened, units))
    return ArkitSolver(head, (*opened.expression_names, *BLINKS), carried, weights)


def with_arkit(
    take: Take,
    head: HeadDescription,
    neutral: int | None = None,
    *,
    solver: ArkitSolver | None = None,
    progress: Progress = no_progress,
) -> Take:
    """A take with ARKit's weights and, where it has unsmoothed values, theirs; smoothed as the take is.

    A take whose channels are ARKit's is returned as it is: nothing needs to be solved.

    Args:
        take: The take.
        head: Its head.
        neutral: See `ArkitSolver.weights_of`.
        solver: That of the head, by default `arkit_solver(head)`.
        progress: Told of the registration, where it is not known yet.

    Raises:
        MienError: WRONG_HEAD; what `arkit_solver` raises.
    """
    take.require_head(head)
    if has_arkit(take.meta.channels):
        return take
    solver = solver or arkit_solver(head, progress=progress)
    if not has_raw(take):
        return replace(take, extra={**take.extra, SOLVED: solver.weights_of(take, neutral)})
    return with_raw_arkit(take, solver.weights_of(unsmoothed(take), neutral))
