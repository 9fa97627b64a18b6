# SPDX-License-Identifier: GPL-3.0-or-later
"""What every engine returns: head-model parameters of a batch of faces under a weak-perspective crop camera."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class FaceParams:
    """Parameters of B faces on one head model.

    Rotations are axis-angle in radians in head space (x to the person's left, y up, z out of the face);
    a zero `head_rotation` looks straight at the camera.
    """

    identity: np.ndarray
    """(B,S) identity coefficients in standard deviations."""
    expression: np.ndarray
    """(B,E) expression coefficients; 0..1 on heads with ARKit units."""
    eyelids: np.ndarray
    """(B,2) closure of the left and right eyelids, 0 open, 1 closed."""
    head_rotation: np.ndarray
    """(B,3) about the root joint."""
    neck: np.ndarray
    """(B,3)"""
    jaw: np.ndarray
    """(B,3)"""
    eyes: np.ndarray
    """(B,6) left, right."""
    crop_camera: np.ndarray
    """(B,3) s, tx, ty: crop NDC = s (x + tx, y + ty), y negated (DECA, section 3.1 of the paper)."""
    crop_transform: np.ndarray
    """(B,3,3) full-frame pixels to crop pixels."""

    def __len__(self) -> int:
        return len(self.identity)

    def __getitem__(self, faces: slice | np.ndarray) -> FaceParams:
        """The parameters of some of the faces; the batch axis stays."""
        return FaceParams(**{field.name: getattr(self, field.name)[faces] for field in fields(self)})
