# SPDX-License-Identifier: GPL-3.0-or-later
"""From detected landmarks to a landmark problem before a pinhole camera, and where its solution starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from backend.faces.crops import apply_transforms, crop_transforms, ndc_transforms

from .basis import LandmarkBasis
from .cameras import Perspective
from .evidence import Evidence
from .problem import Problem, State, joints, posed_landmarks
from .start import align, turned_into_view, view_rays, weak_to_perspective


@dataclass(frozen=True)
class Placed:
    """B faces before their cameras."""

    problem: Problem
    start: State
    crop_transform: np.ndarray
    """(B,3,3) full-frame pixels to crop pixels"""
    matrix: np.ndarray
    """(B,3,3) camera space to homogeneous crop NDC"""


def place(
    evidence: Evidence, basis: LandmarkBasis, landmarks: np.ndarray, scores: np.ndarray, camera_matrix: np.ndarray
) -> Placed:
    """Set up B faces from nothing but their own landmarks and scores: no frame starts from another.

    Args:
        basis: `evidence.basis`, or that of one person.
        landmarks: (B,478,3) full-frame pixels, depth in the scale of x.
        scores: (B,...) as `evidence.prior` takes them.
        camera_matrix: (3,3) or (B,3,3) K, pixels.
    """
    transforms = crop_transforms(landmarks)
    seen = in_crop(landmarks, transforms)
    matrix = ndc_transforms(transforms) @ camera_matrix
    prior = evidence.prior(basis, scores)
    still = basis.mean.new_zeros(len(seen), 3)
    upright = torch.eye(3, dtype=still.dtype, device=still.device).expand(len(seen), 3, 3)
    rest = State(prior.mean[:, :-1], prior.mean[:, -1], upright, still)
    model, root = to_array(posed_landmarks(basis, rest)), to_array(joints(basis.root_joint, rest))[:, None]
    rotation, weak = align(model, seen, root)
    middle = ((model.mean(axis=1, keepdims=True) - root) @ rotation.swapaxes(1, 2) + root)[:, 0]
    translation, rays = weak_to_perspective(weak, matrix, middle), view_rays(matrix)

    def tensor(array: np.ndarray) -> torch.Tensor:
        return still.new_tensor(array)

    start = State(rest.coefficients, rest.jaw, tensor(turned_into_view(rotation, rays)), tensor(translation))
    camera = Perspective(tensor(matrix), tensor(rays * weak[:, :1]))
    observation = evidence.observe(basis, seen, tensor(rotation), weak[:, 0])
    return Placed(Problem(basis, camera, observation, prior), start, transforms, matrix)


def in_crop(landmarks: np.ndarray, transforms: np.ndarray) -> np.ndarray:
    """(B,N,3) landmarks in full-frame pixels to crop NDC, depth in the scale of x."""
    ndc = ndc_transforms(transforms)
    points = apply_transforms(ndc, landmarks[..., :2].astype(np.float64))
    return np.concatenate([points, landmarks[..., 2:] * ndc[:, 0, 0, None, None]], axis=-1)


def to_array(tensor: torch.Tensor) -> np.ndarray:
    """A tensor as a numpy array in double precision."""
    return tensor.detach().cpu().double().numpy()
