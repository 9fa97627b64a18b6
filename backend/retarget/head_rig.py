# SPDX-License-Identifier: GPL-3.0-or-later
"""A head's own units and jaw on some of its vertices, and its joints; in float64."""

from __future__ import annotations

import numpy as np

from blender_addon.contract.head import JOINT_NAMES, HeadDescription

from .rig import Rig

_JAW = JOINT_NAMES.index("jaw")
_JAW_FEATURES = slice(9 * (_JAW - 1), 9 * _JAW)


def neutral(head: HeadDescription, identity: np.ndarray) -> np.ndarray:
    """(V,3) metres: a person without expression. The identity (<=S,) may be narrower than the head's."""
    return head.template.astype(np.float64) + head.identity[..., : len(identity)].astype(np.float64) @ identity


def head_units(head: HeadDescription) -> np.ndarray:
    """(V,3,E+2) float64: expression channels and the two eyelids, which are zero on a head without."""
    lids = head.eyelids if head.eyelids.shape[2] else np.zeros((len(head.template), 3, 2))
    return np.concatenate((head.expression, lids), axis=2).astype(np.float64)


def joints(head: HeadDescription, identity: np.ndarray, expression: np.ndarray) -> np.ndarray:
    """(T,5,3) metres: where the joints rest, which in FLAME follows the expression (T,E) too."""
    regressor = head.joint_regressor.astype(np.float64)
    places = np.tile(regressor @ neutral(head, identity), (len(expression), 1, 1))
    if head.joints_follow_expression:
        basis = np.einsum("jv,vck->jck", regressor, head.expression.astype(np.float64), optimize=True)
        places += np.einsum("tk,jck->tjc", expression.astype(np.float64), basis, optimize=True)
    return places


def head_rig(head: HeadDescription, identity: np.ndarray, weights: np.ndarray, axes: np.ndarray) -> Rig:
    """The face of a person on a head.

    Args:
        head: The head.
        identity: (<=S,) coefficients.
        weights: (V,) how much each vertex counts; those that count nothing are left out.
        axes: (D,3) about which the jaw may turn.
    """
    kept = np.flatnonzero(weights > 0)
    units = head_units(head)
    regressor = head.joint_regressor[_JAW].astype(np.float64)
    follow = np.einsum("v,vck->ck", regressor, units, optimize=True)
    follow[:, -2:] = 0
    correctives = head.pose_correctives[_JAW_FEATURES].reshape(9, -1, 3)
    return Rig(
        rest=neutral(head, identity)[kept],
        units=units[kept],
        jaw_weights=head.skinning[kept, _JAW].astype(np.float64),
        jaw_correctives=correctives[:, kept].astype(np.float64),
        pivot=regressor @ neutral(head, identity),
        pivot_units=follow * head.joints_follow_expression,
        axes=axes,
        weights=weights[kept] / weights[kept].sum(),
    )
