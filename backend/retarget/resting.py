# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's resting face, from which ARKit's weights count: found in a take, or one of its frames.

A head's mean expression is not that of a person at rest, and networks give resting faces a little of everything. What
a channel hardly ever falls below is taken to be rest, as far as resting faces have it at all
(`backend.solve.baseline`): a smile throughout a take stays a smile. What no channel can tell of the face, such as lips
lower than any unit brings them, is rest where half of the frames have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from backend.solve.baseline import MOST, REST
from blender_addon.contract.arkit import JAW_OPEN

from .rig import Motion, Rig

LEAST_FRAMES = 24
"""Frames with a face below which a take does not tell what is rest: the head's own mean expression is, then."""
MOST_LOOKED_AT = 240
"""Frames, evenly over the take, that the resting face is found from."""
MOST_JAW = 0.2
"""Of `jawOpen`, how much of it may be rest."""


@dataclass(frozen=True, eq=False)
class Resting:
    """A face at rest.

    Attributes:
        offsets: (N,3) metres from the head's own rest, before the jaw turns.
        jaw: Radians about x.
    """

    offsets: np.ndarray
    jaw: float

    def on(self, rig: Rig) -> Rig:
        """The rig of that person."""
        return replace(rig, rest=rig.rest + self.offsets)


def looked_at(valid: np.ndarray) -> np.ndarray:
    """Indices of the frames that the resting face is found from; none where there are too few."""
    good = np.flatnonzero(valid)
    if len(good) < LEAST_FRAMES:
        return good[:0]
    return good[np.unique(np.linspace(0, len(good) - 1, min(MOST_LOOKED_AT, len(good))).round().astype(int))]


def resting_of(rig: Rig, names: Sequence[str], vertices: np.ndarray, motion: Motion) -> Resting:
    """The resting face of some frames.

    Args:
        rig: The face with ARKit's units.
        names: Of the units.
        vertices: (T,N,3) in the space of the neck.
        motion: What explains them as far as it can.
    """
    most = [_most(unit) for unit in names]
    shown = np.minimum(np.quantile(motion.values, REST, axis=0), most)
    missing = rig.before_jaw(vertices, motion.jaw) - rig.rest - np.tensordot(motion.values, rig.units, (1, 2))
    jaw = float(np.clip(np.quantile(motion.jaw[:, 0], REST), 0, MOST_JAW * JAW_OPEN))
    return Resting(np.median(missing, axis=0) + rig.units @ shown, jaw)


def resting_at(rig: Rig, vertices: np.ndarray, motion: Motion, given: np.ndarray) -> Resting:
    """One frame as the resting face, whatever it shows.

    Args:
        rig: The face with ARKit's units.
        vertices: (1,N,3) in the space of the neck.
        motion: What explains it.
        given: (1,K) units that are known and do not count as rest.
    """
    offsets = rig.before_jaw(vertices, motion.jaw)[0] - rig.rest - rig.units @ given[0]
    return Resting(offsets, float(motion.jaw[0, 0]))


def _most(unit: str) -> float:
    """Of a unit, how much of it may be rest. The gaze is told by the eyes, not by the face."""
    if unit.startswith("eyeLook"):
        return 0.0
    return max((value for name, value in MOST.items() if unit.startswith(name)), default=0.0)
