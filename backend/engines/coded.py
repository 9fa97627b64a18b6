# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces whose codes networks gave, as evidence for the solve: what is left to find is where the head stands.

Seen are the landmarks of the head itself, posed by the codes under the crop's weak perspective; the solve finds the
turn and the place under which the same landmarks fall there before the full frame's camera. Expression and jaw are held
where the networks put them. Both sides leave out what changes the landmarks alike and has no part in the placing: the
jaw's turns sideways and the eyelid shapes. The lids' unknowns, which here move nothing, say whether irises are hidden.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from backend.faces.crops import apply_transforms, ndc_transforms
from backend.networks.codes import EXPRESSION
from backend.reprojection.basis import LandmarkBasis, landmark_basis
from backend.reprojection.cameras import WeakPerspective
from backend.reprojection.placing import to_array
from backend.reprojection.problem import Observation, Prior, State, posed_landmarks
from backend.reprojection.roles import Roles
from blender_addon.contract.head import JOINT_NAMES, HeadDescription

from .interface import Codes, padded
from .on_flame import COMPONENTS, LANDMARKS

POINTS = 68
FACE = np.arange(17, POINTS)
"""Landmarks by which engines are judged: without the outline, which slides over the cheeks as the head turns."""
EYE_CORNERS = (36, 45)
POINT_SIGMA = 0.01
"""Of a landmark, in crop NDC."""
DEPTH_SIGMA = 2 * POINT_SIGMA
"""Of its relative depth: the networks were trained by what pictures show, and depth is what goes with it."""
HELD = 1e-3
"""Standard deviation of what the networks have said and the solve leaves alone."""
UNSEEN = 1e6
"""Standard deviation of irises, which tell the gaze and not the head's place."""
LEAST_SCALE = 0.5
"""Smallest scale of a crop's camera that shows a head: at this one it would be 10 pixels wide."""
_EYES = (JOINT_NAMES.index("eye.L"), JOINT_NAMES.index("eye.R"))


class CodedFaces:
    """Evidence of codes; see `backend.reprojection.evidence.Evidence`. The priors are those of one person's basis.

    Args:
        head: FLAME 2020.
        device: Where the solve runs.
    """

    def __init__(self, head: HeadDescription, device: torch.device | str = "cpu") -> None:
        self.head = head
        components = min(head.identity.shape[2], COMPONENTS)
        self.basis = _with_eyes(head, _narrowed(landmark_basis(head, LANDMARKS, components, device)))
        # In double precision, so that rounding does not tell how many faces are asked about at once.
        exact = landmark_basis(head, LANDMARKS, components, "cpu", torch.float64)
        self._exact = _with_eyes(head, _narrowed(exact))

    def landmarks(self, codes: Codes, transforms: np.ndarray) -> np.ndarray:
        """The head's own landmarks as the engine sees them.

        Args:
            codes: Of B faces.
            transforms: (B,3,3) full-frame pixels to the crop's.

        Returns:
            (B,70,3) full-frame pixels, depth in the scale of x: iBUG-68, then the irises of eyes at rest.
        """
        state = self._state(codes)
        points, depth = WeakPerspective().project(posed_landmarks(self._exact, state), state.camera)
        ndc = ndc_transforms(transforms)
        flat = apply_transforms(np.linalg.inv(ndc), to_array(points))
        return np.concatenate([flat, (to_array(depth) / ndc[:, :1, 0])[..., None]], axis=-1)

    def scores(self, codes: Codes, closure: np.ndarray) -> np.ndarray:
        """(B,53) what `prior` takes: expression, how far the lids are closed (B,2), opening of the jaw."""
        return np.concatenate([codes.expression[:, :EXPRESSION], closure, codes.jaw[:, :1]], axis=1).astype(np.float64)

    def observe(self, basis: LandmarkBasis, seen: np.ndarray, rotation: torch.Tensor, scale: np.ndarray) -> Observation:
        """What is believed of landmarks: all alike, for they are the head's own."""
        points = basis.mean.new_tensor(seen)
        sigma = points.new_full(points.shape[:2], POINT_SIGMA)
        sigma[:, POINTS:] = UNSEEN
        return Observation(points[..., :2], points[..., 2], sigma, sigma * (DEPTH_SIGMA / POINT_SIGMA))

    def prior(self, basis: LandmarkBasis, scores: np.ndarray) -> Prior:
        """What the networks said, held; see `scores`."""
        mean = basis.mean.new_tensor(scores)
        return Prior(mean, torch.full_like(mean, HELD), mean, mean)

    def _state(self, codes: Codes) -> State:
        identity = padded(codes.identity, self.basis.identity_size)
        coefficients = np.concatenate([identity, codes.expression, np.zeros((len(codes), 2))], axis=1)
        rotation = Rotation.from_rotvec(codes.head_rotation).as_matrix()
        camera = codes.camera.astype(np.float64)
        camera[:, 0] = np.maximum(camera[:, 0], LEAST_SCALE)
        return State(*map(self._exact.mean.new_tensor, (coefficients, codes.jaw[:, 0], rotation, camera)))


def shows_head(codes: Codes) -> np.ndarray:
    """(B,) bool: whether the crop's camera is one that shows a head at all."""
    return np.isfinite(codes.camera).all(axis=1) & (codes.camera[:, 0] > LEAST_SCALE)


def eyeball_radii(head: HeadDescription) -> np.ndarray:
    """(2,) metres: how far the vertices of each eyeball, left and right, lie from its joint; their median."""
    joints = head.joint_regressor.astype(np.float64) @ head.template
    radii = []
    for joint in _EYES:
        ball = head.skinning[:, joint] > 0.5
        radii.append(float(np.median(np.linalg.norm(head.template[ball] - joints[joint], axis=1))))
    return np.array(radii)


def _narrowed(basis: LandmarkBasis) -> LandmarkBasis:
    """With the expressions that networks tell, and lids that move nothing."""
    kept = basis.identity_size + EXPRESSION

    def linear(values: torch.Tensor, ahead: int = 0) -> torch.Tensor:
        return torch.cat([values[..., : ahead + kept], torch.zeros_like(values[..., :2])], dim=-1).contiguous()

    return replace(
        basis,
        basis=linear(basis.basis),
        jaw_basis=linear(basis.jaw_basis),
        jaw_joint=linear(basis.jaw_joint, 1),
        root_joint=linear(basis.root_joint, 1),
        eye_joints=linear(basis.eye_joints, 1),
        expression_size=EXPRESSION,
    )


def _with_eyes(head: HeadDescription, basis: LandmarkBasis) -> LandmarkBasis:
    """With two more landmarks: the irises of eyes at rest, in front of the eye joints by the eyeballs' radii."""
    ahead = np.zeros((2, 3))
    ahead[:, 2] = eyeball_radii(head)
    centres = basis.eye_joints[..., 0] + basis.mean.new_tensor(ahead)

    def more(values: torch.Tensor, irises: torch.Tensor | None = None, dim: int = 0) -> torch.Tensor:
        shape = list(values.shape)
        shape[dim] = 2
        return torch.cat([values, values.new_zeros(shape) if irises is None else irises], dim=dim)

    forward = basis.mean.new_tensor([[0.0, 0.0, 1.0]]).expand(2, 3)
    return replace(
        basis,
        mean=more(basis.mean, centres),
        basis=more(basis.basis, basis.eye_joints[..., 1:]),
        jaw_mean=more(basis.jaw_mean),
        jaw_basis=more(basis.jaw_basis),
        jaw_weight=more(basis.jaw_weight),
        correctives=more(basis.correctives, dim=1),
        jaw_correctives=more(basis.jaw_correctives, dim=1),
        normals=more(basis.normals, forward),
        roles=Roles(irises=(POINTS, POINTS + 1), eye_corners=EYE_CORNERS, compared=np.arange(POINTS)),
    )
