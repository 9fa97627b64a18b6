# SPDX-License-Identifier: GPL-3.0-or-later
"""From detected landmarks and blendshape scores to observations and priors of the fit."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch

from backend.faces import topology
from backend.faces.crops import BOX_SCALE
from backend.reprojection.basis import LandmarkBasis
from backend.reprojection.problem import Observation, Prior
from blender_addon.contract.arkit import JAW_OPEN

from .channels import UNSCORED_UNITS, Channels

POINT_SIGMA = 0.012
"""Standard deviation of a landmark as a fraction of the face box."""
DEPTH_SIGMA = POINT_SIGMA / 0.15
"""The same of its relative depth, which the detector only guesses."""
IDENTITY_SIGMA = 0.8
"""Below 1, since errors of neighbouring landmarks go together and so count for less than they seem to."""
EYELID_SIGMA = 0.2
JAW_SIGMA = 0.08
JAW_LIMIT = np.radians(35.0)
DEPTH_BIAS_FILE = Path(__file__).with_name("depth_bias.npy")
UNSEEN = 1e4
"""Factor on the standard deviation of a landmark on the far side of the head."""
BOX_SIDE = 2 / BOX_SCALE
"""Side of the landmark box in crop NDC, by construction of the crop."""


def landmark_weights() -> np.ndarray:
    """(478,) how much each landmark counts: lids and lips carry the expression, the outline slides."""
    weights = np.ones(478)
    weights[list(topology.FACE_OVAL)] = 0.5
    weights[list(topology.BROWS)] = 1.5
    weights[list(topology.LIPS)] = 2.0
    weights[list(topology.LIDS)] = 2.5
    weights[list(topology.IRISES)] = 0.0
    return weights


@cache
def depth_bias() -> np.ndarray:
    """(478,) metres along the head's z by which the detector places landmarks nearer than they are.

    The detector's depth is that of its own canonical face. The bias is the mean over renders of random open heads;
    `scripts/embed_landmarks.py` measures it.
    """
    return np.load(DEPTH_BIAS_FILE, allow_pickle=False).astype(np.float64)


def observe(
    seen: np.ndarray,
    basis: LandmarkBasis,
    rotation: torch.Tensor,
    scale: np.ndarray,
    depth_sigma: float = DEPTH_SIGMA,
) -> Observation:
    """Observations of B faces.

    Args:
        seen: (B,478,3) landmarks in crop NDC, depth in the scale of x.
        rotation: (B,3,3) a first guess of the head rotation, from which visibility follows.
        scale: (B,) a first guess of the crop NDC per metre.
        depth_sigma: of depths, as a fraction of the face box.
    """
    like = basis.mean
    sigma = POINT_SIGMA * BOX_SIDE / np.sqrt(np.maximum(landmark_weights(), UNSEEN**-2.0))
    facing = (basis.normals @ rotation[:, 2, :, None])[..., 0]
    visible = ((facing + 0.15) / 0.45).clamp(UNSEEN**-2.0, 1)
    sigma = like.new_tensor(sigma) / visible.sqrt()
    depths = sigma * (depth_sigma / POINT_SIGMA)
    away = rotation[:, 2, 2, None] * like.new_tensor(scale)[:, None] * like.new_tensor(depth_bias())
    return Observation(like.new_tensor(seen[..., :2]), like.new_tensor(seen[..., 2]) + away, sigma, depths)


def score_prior(channels: Channels, basis: LandmarkBasis, blendshapes: np.ndarray) -> Prior:
    """Priors of a head from the 52 blendshape scores (B,52)."""
    score = dict(zip(topology.BLENDSHAPE_NAMES, blendshapes.T.astype(np.float64), strict=True))
    score |= {name: np.zeros(len(blendshapes)) for name in UNSCORED_UNITS}
    units = channels.expected(np.stack([score[name] for name in channels.units], axis=1))
    lids = np.stack([score["eyeBlinkLeft"], score["eyeBlinkRight"]], axis=1)[:, : basis.eyelid_size]
    jaw = score["jawOpen"][:, None] * JAW_OPEN
    count = len(blendshapes)
    blocks = [
        (np.zeros((count, basis.identity_size)), IDENTITY_SIGMA, -4.0, 4.0),
        (units, channels.sigma, channels.low, channels.high),
        (lids, EYELID_SIGMA, 0.0, 1.0),
        (jaw, JAW_SIGMA, 0.0, JAW_LIMIT),
    ]

    def joined(values: list[np.ndarray]) -> torch.Tensor:
        return basis.mean.new_tensor(np.concatenate(values, axis=1))

    return Prior(
        mean=joined([mean for mean, *_ in blocks]),
        sigma=joined([np.zeros_like(mean) + sigma for mean, sigma, *_ in blocks]),
        low=joined([np.full_like(mean, low) for mean, _, low, _ in blocks]),
        high=joined([np.full_like(mean, high) for mean, _, _, high in blocks]),
    )
