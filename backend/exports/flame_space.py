# SPDX-License-Identifier: GPL-3.0-or-later
"""How other programs place a FLAME head in front of a camera, and how takes do."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.projection import HEAD_TO_CAMERA

IDENTITY, EXPRESSION = 300, 100
"""Coefficients of a whole FLAME model."""
_SAME = 1e-6


def root_joints(head: HeadDescription, identity: np.ndarray, expression: np.ndarray) -> np.ndarray:
    """(T, 3) float64 metres: where the root joint rests, which in FLAME follows identity and expression.

    Args:
        head: The head.
        identity: (S,) coefficients.
        expression: (T, E) coefficients.
    """
    import torch  # here: exports do without

    from backend.heads.model import HeadModel

    some = np.flatnonzero(head.joint_regressor.any(axis=0))
    model = HeadModel(head).subset(some if len(some) else np.array([0]))
    with torch.inference_mode():
        posed = model(torch.from_numpy(identity[None]).float(), torch.from_numpy(expression).float())
    return posed.joints[:, 0].double().numpy()


def before_camera(
    rotation: np.ndarray, place: np.ndarray, root: np.ndarray, turn: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A head in a world with a camera somewhere, as a take's head before a camera at rest.

    A vertex q lies at `R (q - root) + root + place` in the world, and at `turn @ world + shift` before the camera,
    in OpenCV's axes.

    Args:
        rotation: (T, 3) axis-angle of R.
        place: (T, 3) metres.
        root: (T, 3) metres, the root joint at rest.
        turn: (3, 3) or (T, 3, 3).
        shift: (3,) or (T, 3) metres.

    Returns:
        The take's `head_rotation` (T, 3) and `translation` (T, 3).
    """
    turn = np.broadcast_to(turn, (len(rotation), 3, 3))
    whole = Rotation.from_matrix(HEAD_TO_CAMERA @ turn) * Rotation.from_rotvec(rotation)
    translation = np.einsum("tij,tj->ti", turn, root + place) + shift - root @ HEAD_TO_CAMERA
    return whole.as_rotvec(), translation


def widened(values: np.ndarray, width: int) -> np.ndarray:
    """Coefficients (..., K) with zeros up to `width`."""
    room = max(width - values.shape[-1], 0)
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, room)])


def narrowed(values: np.ndarray, width: int, what: str, source: object) -> np.ndarray:
    """Coefficients (..., K) for a head that has `width` of them: padded with zeros, or without zeros at the end.

    Raises:
        MienError: BAD_IMPORT where the head lacks coefficients that are not zero.
    """
    if (values[..., width:] != 0).any():
        message = f"{source} has {values.shape[-1]} {what} coefficients, and the head has {width}."
        remedy = "Give the whole FLAME model with --head, in the version that the file was made with."
        raise MienError(ErrorCode.BAD_IMPORT, message, remedy)
    return widened(values[..., :width], width).astype(np.float32)


def one_shape(rows: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The shape of a person from (T, K) coefficients of every frame, and a sentence where it varies."""
    spread = float(np.ptp(rows, axis=0).max())
    if spread <= _SAME * max(1.0, float(np.abs(rows).max())):
        return rows[0], []
    return rows.mean(axis=0), [f"The shape varies by up to {spread:.2g} from frame to frame; the take has its mean."]


def are_rotations(matrices: np.ndarray) -> bool:
    """Whether all of (..., 3, 3) turn and neither scale nor mirror."""
    upright = np.allclose(matrices @ np.swapaxes(matrices, -1, -2), np.eye(3), atol=1e-3)
    return bool(upright and (np.linalg.det(matrices) > 0).all())


def rotations_from_6d(values: np.ndarray) -> np.ndarray:
    """(..., 6) to axis-angle (..., 3): the first two rows of the matrix, made upright (Zhou et al. 2019).

    Raises:
        ValueError: Two rows that are parallel or zero.
    """
    first, second = values[..., :3], values[..., 3:]
    if (np.linalg.norm(np.cross(first, second), axis=-1) < _SAME).any():
        raise ValueError("no rotation")
    one = first / np.linalg.norm(first, axis=-1, keepdims=True)
    rest = second - (one * second).sum(-1, keepdims=True) * one
    two = rest / np.linalg.norm(rest, axis=-1, keepdims=True)
    matrices = np.stack((one, two, np.cross(one, two)), axis=-2)
    return Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_rotvec().reshape(*values.shape[:-1], 3)
