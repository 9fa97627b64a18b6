# SPDX-License-Identifier: GPL-3.0-or-later
"""The person and the motion of a take on one head, fitted anew on another by where the vertices go."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from backend.progress import Progress, no_progress
from blender_addon.contract.arkit import JAW_OPEN, MOUTH_CLOSE, has_arkit
from blender_addon.contract.head import JOINT_NAMES, HeadDescription
from blender_addon.contract.projection import HEAD_TO_CAMERA
from blender_addon.contract.take import Take

from .alignment import Alignment, align
from .arkit import MOST_JAW, TONGUE
from .head_rig import head_rig, joints, neutral
from .pairing import Counterparts
from .rig import AT_ONCE, Rig, Wishes, explain

EXPRESSION_RIDGE = 1e-3
"""mm^2 against the square of a coefficient whose standard deviation is 1."""
UNIT_RIDGE, UNIT_SPARSITY = 5e-4, 2e-4
LID_RIDGE = 1e-4
JAW_RIDGE = 10.0
"""mm^2 per square radian that vertices turn the jaw away from what the first head's jaw does."""
SKULL = 0.1
"""How much the skin of the whole head counts for the identity, beside the face."""
_ROOT, _NECK = JOINT_NAMES.index("root"), JOINT_NAMES.index("neck")


@dataclass(frozen=True, eq=False)
class Refit:
    """A person on two heads.

    Attributes:
        source, target: The heads.
        pairs: The place on the source of each vertex of the target.
        alignment: The person on the target.
        kept: (N,) vertices of the target that count.
        source_rig: The face on all vertices of the source; its weights say nothing.
        rig: The face on the kept vertices of the target.
        rest: (N,3) metres, the person without expression on the source, at the kept vertices, in the target's space.
    """

    source: HeadDescription
    target: HeadDescription
    pairs: Counterparts
    alignment: Alignment
    kept: np.ndarray
    source_rig: Rig
    rig: Rig
    rest: np.ndarray

    @staticmethod
    def of(
        take: Take,
        source: HeadDescription,
        target: HeadDescription,
        pairs: Counterparts,
        face: np.ndarray,
        skull: np.ndarray,
    ) -> Refit:
        """Find the person on the target.

        Args:
            take: A take on the source.
            source, target: The heads.
            pairs: The place on the source of each vertex of the target.
            face, skull: (V,) how much each vertex of the target counts for the motion, and in addition for the person.
        """
        identity = take.identity.astype(np.float64)
        wanted = pairs.carried(source, neutral(source, identity))
        alignment = align(target, wanted, (face + SKULL * skull) / (1 + SKULL))
        axes = np.eye(3)[:1] if has_arkit(target.expression_names) else np.eye(3)
        kept = np.flatnonzero(face > 0)
        return Refit(
            source,
            target,
            pairs,
            alignment,
            kept,
            head_rig(source, identity, np.ones(len(source.template)), axes),
            head_rig(target, alignment.identity, face, axes),
            alignment.onto(wanted[kept]),
        )

    def converted(self, take: Take, progress: Progress = no_progress) -> Take:
        """The take on the target, with nothing but its plain arrays; not smoothed.

        On a head without eyelid shapes the lids stay as they are, as numbers that its mesh does not show.
        """
        turn, blind = self.alignment.turn, not self.target.eyelids.shape[2]
        begin = take.jaw.astype(np.float64) @ turn
        values, jaw = [], []
        for first in range(0, len(take), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            progress("convert", first / len(take), f"frame {first + 1} of {len(take)}")
            progress.check_cancelled()
            vertices = self._wanted(take, part, lids=not blind) - self.rest + self.rig.rest
            motion = explain(self.rig, vertices, begin[part], self._wishes())
            values.append(motion.values)
            jaw.append(motion.jaw)
        found = np.concatenate(values)
        expression = found[:, :-2]
        place, shift = self._placed(take, expression)
        crop = take.crop_camera.astype(np.float64)
        crop[:, 1:] += shift[:, :2]
        arrays = {
            "identity": self.alignment.identity,
            "expression": expression,
            "eyelids": take.eyelids if blind else found[:, -2:],
            "head_rotation": (_rotation(take.head_rotation) * Rotation.from_matrix(turn)).as_rotvec(),
            "neck": take.neck @ turn,
            "jaw": np.concatenate(jaw),
            "eyes": (take.eyes.reshape(-1, 2, 3) @ turn).reshape(-1, 6),
            "translation": place,
            "crop_camera": crop,
        }
        meta = replace(
            take.meta,
            head_id=self.target.id,
            head_sha256=self.target.sha256,
            channels=self.target.expression_names,
            displacement=(),
        )
        return replace(take, meta=meta, extra={}, **{name: array.astype(np.float32) for name, array in arrays.items()})

    def distances(self, before: Take, after: Take) -> np.ndarray:
        """(T,N) metres between the surfaces of the two heads at the kept vertices, in the space of the neck."""
        found = []
        for first in range(0, len(after), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            wanted = self._wanted(before, part, lids=True)
            made = self.rig.posed(_values(after, part, self.target), after.jaw[part].astype(np.float64))
            found.append(np.linalg.norm(wanted - made, axis=2))
        return np.concatenate(found)

    def at_rest(self) -> np.ndarray:
        """(N,) metres between the two persons without expression."""
        return np.linalg.norm(self.rest - self.rig.rest, axis=1)

    def _wanted(self, take: Take, part: slice, lids: bool) -> np.ndarray:
        """(T,N,3) places of the kept vertices on the source, in the target's space."""
        values = _values(take, part, self.source)
        if not lids:
            values[:, -2:] = 0
        posed = self.source_rig.posed(values, take.jaw[part].astype(np.float64))
        carried = self.pairs.carried(self.source, posed.transpose(1, 2, 0))[self.kept]
        return self.alignment.onto(carried.transpose(2, 0, 1))

    def _wishes(self) -> Wishes:
        names, free = self.target.expression_names, not self.target.eyelids.shape[2]
        units, count = has_arkit(names), len(names) + 2
        ridge = np.full(count, UNIT_RIDGE if units else EXPRESSION_RIDGE)
        ridge[-2:] = 1.0 if free else LID_RIDGE
        lower, upper = np.full(count, 0.0 if units else -np.inf), np.full(count, 1.0 if units else np.inf)
        lower[-2:], upper[-2:] = 0, 0 if free else 1
        if not units:
            return Wishes(ridge, np.zeros(count), lower, upper, JAW_RIDGE)
        upper[names.index(TONGUE)] = 0
        return Wishes(
            ridge,
            np.full(count, UNIT_SPARSITY),
            lower,
            upper,
            JAW_RIDGE,
            (0.0, MOST_JAW),
            names.index(MOUTH_CLOSE),
            JAW_OPEN,
        )

    def _placed(self, take: Take, expression: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(T,3) translation for which everything that moves with the neck stays where it was before the camera, and
        (T,3) how far the first head's places lie from the target's, in head space.

        With X = L p + c for places p at rest, of either head, and p' = turn p + shift between them, L shift + c' - c
        is what the translation has to make good.
        """
        turn, identity = self.alignment.turn, take.identity.astype(np.float64)
        head, neck = _rotation(take.head_rotation), _rotation(take.neck)
        whole = (head * neck).as_matrix()
        before = joints(self.source, identity, take.expression)
        after = joints(self.target, self.alignment.identity, expression)
        constant = _constant(before, head.as_matrix(), whole)
        made = _constant(after, head.as_matrix() @ turn, whole @ turn)
        shift = whole @ self.alignment.shift + constant - made
        return take.translation + shift @ HEAD_TO_CAMERA, shift


def _values(take: Take, part: slice, head: HeadDescription) -> np.ndarray:
    """(T,E+2) expression and eyelids of some frames at the head's widths."""
    expression = take.expression[part].astype(np.float64)
    room = head.expression.shape[2] - expression.shape[1]
    return np.concatenate((np.pad(expression, ((0, 0), (0, room))), take.eyelids[part]), axis=1)


def _rotation(axis_angles: np.ndarray) -> Rotation:
    return Rotation.from_rotvec(axis_angles.astype(np.float64))


def _constant(places: np.ndarray, head: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """(T,3) c of X = L p + c: the neck turns about its joint, then the head about the root.

    Args:
        places: (T,5,3) joints at rest.
        head: (T,3,3) rotations about the root.
        whole: (T,3,3) L, head and neck together.
    """
    root, neck = places[:, _ROOT], places[:, _NECK]
    return np.einsum("tij,tj->ti", head, neck - root) + root - np.einsum("tij,tj->ti", whole, neck)
