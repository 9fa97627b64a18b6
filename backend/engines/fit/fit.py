# SPDX-License-Identifier: GPL-3.0-or-later
"""The landmark fit: 478 landmarks and 52 blendshape scores to a head with ARKit units, without any licensed file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from backend.engines.params import FaceParams
from backend.faces import topology
from backend.faces.crops import apply_transforms, crop_transforms, ndc_transforms
from backend.reprojection.basis import landmark_basis
from backend.reprojection.cameras import Perspective, WeakPerspective
from backend.reprojection.gaze import eye_rotations
from backend.reprojection.levenberg import minimise
from backend.reprojection.problem import Problem, State, posed_eyes, posed_landmarks
from backend.reprojection.start import align, turned_into_view, view_rays, weak_to_perspective
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.projection import HEAD_TO_CAMERA

from .evidence import known_units, observe, score_prior

EMBEDDING = "mediapipe478"
IDENTITY_SIZE = 100
"""Identity components that landmarks can tell; the rest stay at their mean."""
WEAK_STEPS = 8
PERSPECTIVE_STEPS = 8
BLINK = 0.6
"""Closure of an eyelid beyond which the iris is hidden."""
IRIS_CENTRES = [topology.LEFT_IRIS_CENTRE, topology.RIGHT_IRIS_CENTRE]


class LandmarkFit:
    """Fits one head to landmarks: normal priors from the blendshape scores, Huber's loss, visibility.

    Args:
        head: a head with ARKit units and a `mediapipe478` embedding.
        device: where the batched solve runs.

    Raises:
        MienError: BAD_HEAD where the head lacks the embedding or the units.
    """

    name = "fit"
    licence = "GPL-3.0-or-later"

    def __init__(self, head: HeadDescription, device: torch.device | str = "cpu"):
        lacking = [] if EMBEDDING in head.landmarks else [f"the landmark embedding {EMBEDDING}"]
        lacking += [] if set(head.expression_names) <= known_units() else ["ARKit units"]
        if lacking:
            raise MienError(
                ErrorCode.BAD_HEAD,
                f"The landmark fit cannot use the head {head.id}: it lacks {' and '.join(lacking)}.",
                "Choose the open head.",
            )
        self.head = head
        self.basis = landmark_basis(head, EMBEDDING, IDENTITY_SIZE, device)

    def estimate(self, landmarks: np.ndarray, blendshapes: np.ndarray) -> FaceParams:
        """Fit B faces under weak perspective.

        Args:
            landmarks: (B,478,3) full-frame pixels, depth in the scale of x.
            blendshapes: (B,52) scores in MediaPipe's order.
        """
        transforms = crop_transforms(landmarks)
        seen = in_crop(landmarks, transforms)
        rotation, camera = align(_array(self.basis.mean), seen, _array(self.basis.root_joint[:, 0]))
        prior = score_prior(self.head, self.basis, blendshapes)
        start = State(prior.mean[:, :-1], prior.mean[:, -1], self._tensor(rotation), self._tensor(camera))
        observation = observe(seen, self.basis, start.rotation, camera[:, 0])
        problem = Problem(self.basis, WeakPerspective(), observation, prior)
        state = minimise(problem, start, WEAK_STEPS)
        camera = _array(state.camera)
        iris = np.concatenate([seen[:, IRIS_CENTRES, :2] / camera[:, :1, None], -np.ones((len(seen), 2, 1))], axis=-1)
        shift = np.concatenate([camera[:, 1:], np.zeros((len(seen), 1))], axis=1) @ HEAD_TO_CAMERA
        ahead = np.broadcast_to([0.0, 0.0, 1.0], iris.shape)
        return self._params(state, transforms, camera, self._gaze(state, iris - shift[:, None], ahead))

    def refine(
        self, params: FaceParams, landmarks: np.ndarray, blendshapes: np.ndarray, camera_matrix: np.ndarray
    ) -> tuple[FaceParams, np.ndarray]:
        """Fit again under a full-frame pinhole camera.

        Args:
            params: B faces as `estimate` returned them.
            camera_matrix: (3,3) K, pixels.

        Returns:
            The parameters, with the crop camera left as it was, and translations (B,3), metres in camera space.
        """
        transforms = params.crop_transform
        seen = in_crop(landmarks, transforms)
        matrix = ndc_transforms(transforms) @ camera_matrix
        translation = weak_to_perspective(params.crop_camera, matrix, _array(self.basis.mean.mean(dim=0)))
        weak, rays = self._state(params, translation), view_rays(matrix)
        start = replace(weak, rotation=self._tensor(turned_into_view(_array(weak.rotation), rays)))
        camera = Perspective(self._tensor(matrix), self._tensor(rays * params.crop_camera[:, :1]))
        prior = score_prior(self.head, self.basis, blendshapes)
        observation = observe(seen, self.basis, weak.rotation, params.crop_camera[:, 0])
        problem = Problem(self.basis, camera, observation, prior)
        state = minimise(problem, start, PERSPECTIVE_STEPS)
        pixels = np.concatenate([landmarks[:, IRIS_CENTRES, :2], np.ones((len(landmarks), 2, 1))], axis=-1)
        rays = pixels @ np.linalg.inv(camera_matrix).T
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        translation = _array(state.camera)
        gaze = self._gaze(state, np.zeros_like(rays) - translation[:, None], rays)
        return self._params(state, transforms, params.crop_camera, gaze), translation

    def posed_landmarks(self, params: FaceParams) -> np.ndarray:
        """(B,478,3) landmarks of fitted faces, metres, head space; the irises as they are with the eyes at rest."""
        return _array(posed_landmarks(self.basis, self._state(params, np.zeros((len(params), 3)))))

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(array, dtype=self.basis.mean.dtype, device=self.basis.mean.device)

    def _state(self, params: FaceParams, camera: np.ndarray) -> State:
        identity = params.identity[:, : self.basis.identity_size]
        coefficients = np.concatenate([identity, params.expression, params.eyelids], axis=1)
        rotation = Rotation.from_rotvec(params.head_rotation).as_matrix()
        return State(*map(self._tensor, (coefficients, params.jaw[:, 0], rotation, camera)))

    def _gaze(self, state: State, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """(B,6) eye rotations from iris rays given in camera space less the head's translation."""
        eye_joints, rest_iris = (_array(part) for part in posed_eyes(self.basis, state, IRIS_CENTRES))
        head_to_camera = HEAD_TO_CAMERA @ _array(state.rotation)
        closure = _array(state.coefficients)[:, self.basis.eyelid_slice]
        seen = np.ones((len(closure), 2), bool)
        seen[:, : closure.shape[1]] = closure < BLINK
        return eye_rotations(origins, directions, eye_joints @ HEAD_TO_CAMERA, rest_iris, head_to_camera, seen)

    def _params(self, state: State, transforms: np.ndarray, crop_camera: np.ndarray, eyes: np.ndarray) -> FaceParams:
        count, basis = len(transforms), self.basis
        coefficients = _array(state.coefficients)
        identity = np.zeros((count, self.head.identity.shape[-1]))
        identity[:, : basis.identity_size] = coefficients[:, : basis.identity_size]
        jaw = np.zeros((count, 3))
        jaw[:, 0] = _array(state.jaw)
        eyelids = np.zeros((count, 2))
        eyelids[:, : basis.eyelid_size] = coefficients[:, basis.eyelid_slice]
        return FaceParams(
            identity=identity,
            expression=coefficients[:, basis.expression_slice],
            eyelids=eyelids,
            head_rotation=Rotation.from_matrix(_array(state.rotation)).as_rotvec(),
            neck=np.zeros((count, 3)),
            jaw=jaw,
            eyes=eyes,
            crop_camera=crop_camera,
            crop_transform=transforms,
        )


def in_crop(landmarks: np.ndarray, transforms: np.ndarray) -> np.ndarray:
    """(B,N,3) landmarks in full-frame pixels to crop NDC, depth in the scale of x."""
    ndc = ndc_transforms(transforms)
    points = apply_transforms(ndc, landmarks[..., :2].astype(np.float64))
    return np.concatenate([points, landmarks[..., 2:] * ndc[:, 0, 0, None, None]], axis=-1)


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()
