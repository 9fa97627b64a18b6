# SPDX-License-Identifier: GPL-3.0-or-later
"""Joint regressor and the skinning weights of root, neck, jaw and eyes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .identity import IdentityBasis
from .topology import HeadTopology

JOINT_GROUPS = ("joint-neck", "joint-head", "joint-mouth")
"""The base mesh's joint cubes for root, neck and jaw."""

_NECK_BONES = {"neck01": 0.0, "neck02": 0.33, "neck03": 0.67}
_TRUNK = ("spine", "clavicle", "shoulder", "breast", "upperarm", "root")

_RIDGE = 1e-4
_SUPPORT = 0.085
"""Vertices within this distance (metres) of a joint may take part in its regression."""


def neck_weights(topology: HeadTopology, rig: dict[str, list[list[float]]]) -> NDArray[np.float64]:
    """(V,) weight of the neck joint: 1 on the head, fading down the neck; the rest belongs to the root.

    Args:
        topology: the head.
        rig: the base mesh's rig: bone -> (vertex, weight) pairs.
    """
    part, total = np.zeros(topology.matrix.shape[1]), np.zeros(topology.matrix.shape[1])
    for bone, pairs in rig.items():
        share = 0.0 if bone.startswith(_TRUNK) else _NECK_BONES.get(bone, 1.0)
        for vertex, weight in pairs:
            total[int(vertex)] += weight
            part[int(vertex)] += weight * share
    share = np.where(total > 0, part / np.where(total > 0, total, 1.0), 1.0)
    # Vertices beyond the base mesh's (the neck's end) extrapolate.
    plain = np.clip(topology.matrix @ share, 0.0, 1.0)
    weights = np.concatenate([plain, np.ones(len(topology.template) - len(plain))])
    weights[topology.vertices_of("teeth", "gums", "tongue", "lashes")] = 1.0
    return 0.5 * (weights + weights[topology.mirror])


def skinning_weights(
    topology: HeadTopology, neck: NDArray[np.float64], jaw: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(V,5) weights of root, neck, jaw, left and right eye; rows sum to 1."""
    jaw = 0.5 * (jaw + jaw[topology.mirror])
    weights = np.stack([(1 - jaw) * (1 - neck), (1 - jaw) * neck, jaw, np.zeros_like(jaw), np.zeros_like(jaw)], axis=1)
    for column, eye in ((3, topology.eye_vertices[0]), (4, topology.eye_vertices[1])):
        weights[eye] = 0.0
        weights[eye, column] = 1.0
    return weights / weights.sum(axis=1, keepdims=True)


def joint_regressor(
    topology: HeadTopology, joints: NDArray[np.float64], basis: IdentityBasis
) -> NDArray[np.float64]:
    """(5,V) regressor; rows sum to 1 and are mirror-symmetric (the eyes: mirror images of each other).

    Args:
        topology: the head.
        joints: (3,3) root, neck and jaw on the template.
        basis: identity components with the motion of the three joints under them.
    """
    regressor = np.zeros((5, len(topology.template)))
    skin = topology.vertices_of("skin", "neck_cap")
    for k in range(3):
        distance = np.linalg.norm(topology.template[skin] - joints[k], axis=1)
        support = skin[distance < max(_SUPPORT, np.sort(distance)[600])]
        # Closed under mirroring, so that the row can be symmetric.
        support = np.union1d(support, topology.mirror[support])
        regressor[k, support] = _ridge_row(topology, support, joints[k], basis.components[support], basis.joints[k])
    for k, (eye, fit) in enumerate(zip(topology.eye_vertices, topology.eyes, strict=True)):
        regressor[3 + k, eye] = _centre_row(fit.mesh.vertices)
    return regressor


def _ridge_row(
    topology: HeadTopology,
    support: NDArray[np.int64],
    joint: NDArray[np.float64],
    components: NDArray[np.float64],
    motion: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Signed weights that reproduce a joint on the template (exactly) and under the identity components (ridge)."""
    count = len(support)
    position = {int(v): k for k, v in enumerate(support)}
    twin = np.array([position[int(topology.mirror[v])] for v in support])
    rows = components.transpose(1, 2, 0).reshape(-1, count)
    rows, wanted = 0.5 * (rows + rows[:, twin]), motion.reshape(-1)
    centred = topology.template[support] - joint
    # Unknowns are deviations from the mean of the support; sums to 1 and the template are constraints (KKT).
    constraints = np.concatenate([np.ones((1, count)), 0.5 * (centred + centred[twin]).T[1:]])
    start = np.full(count, 1.0 / count)
    scale = np.trace(rows.T @ rows) / count
    hessian = rows.T @ rows + _RIDGE * scale * np.eye(count)
    size = len(constraints)
    system = np.block([[hessian, constraints.T], [constraints, np.zeros((size, size))]])
    right = np.concatenate([rows.T @ (wanted - rows @ start), np.array([1.0, 0.0, 0.0]) - constraints @ start])
    row = start + np.linalg.solve(system, right)[:count]
    return 0.5 * (row + row[twin])


def _centre_row(unit_eye: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least-norm weights with sum 1 whose weighted mean of the eyeball's vertices is its centre, exactly."""
    constraints = np.concatenate([np.ones((1, len(unit_eye))), unit_eye.T])
    return constraints.T @ np.linalg.solve(constraints @ constraints.T, np.array([1.0, 0.0, 0.0, 0.0]))
