# SPDX-License-Identifier: GPL-3.0-or-later
"""The landmark fit: 478 landmarks and 52 blendshape scores to a head; to the open one without any licensed file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from backend.engines.params import FaceParams
from backend.faces.crops import crop_transforms, ndc_transforms
from backend.reprojection.basis import LandmarkBasis, landmark_basis
from backend.reprojection.cameras import Perspective, WeakPerspective
from backend.reprojection.levenberg import minimise
from backend.reprojection.outcome import IRIS_CENTRES, face_params, iris_gaze, pinhole_gaze
from backend.reprojection.placing import in_crop, to_array
from backend.reprojection.problem import Observation, Prior, Problem, State, posed_landmarks
from backend.reprojection.start import align, turned_into_view, view_rays, weak_to_perspective
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.projection import HEAD_TO_CAMERA

from .channels import expression_channels
from .detection import SeenHead
from .evidence import observe, score_prior

EMBEDDING = "mediapipe478"
IDENTITY_SIZE = 100
"""Identity components that landmarks can tell; the rest stay at their mean."""
WEAK_STEPS = 8
PERSPECTIVE_STEPS = 8


class LandmarkFit:
    """Fits one head to landmarks: normal priors from the blendshape scores, Huber's loss, visibility.

    Args:
        head: a head with a `mediapipe478` embedding, with ARKit units or in FLAME's mesh.
        device: where the batched solve runs.

    Raises:
        MienError: BAD_HEAD where the head lacks the embedding or cannot be registered.
    """

    name = "fit"
    licence = "GPL-3.0-or-later"

    def __init__(self, head: HeadDescription, device: torch.device | str = "cpu"):
        if EMBEDDING not in head.landmarks:
            message = f"The landmark fit cannot use the head {head.id}: it does not look like a head."
            raise MienError(ErrorCode.BAD_HEAD, message, "Choose the open head, or FLAME's model as it is published.")
        self.head = head
        self.channels = expression_channels(head)
        self.basis = landmark_basis(head, EMBEDDING, IDENTITY_SIZE, device)
        if self.channels.turn is not None:
            self.basis = self.basis.turned(self._tensor(self.channels.turn))

    def estimate(self, landmarks: np.ndarray, blendshapes: np.ndarray) -> FaceParams:
        """Fit B faces under weak perspective.

        Args:
            landmarks: (B,478,3) full-frame pixels, depth in the scale of x.
            blendshapes: (B,52) scores in MediaPipe's order.
        """
        transforms = crop_transforms(landmarks)
        seen = in_crop(landmarks, transforms)
        rotation, camera = align(to_array(self.basis.mean), seen, to_array(self.basis.root_joint[:, 0]))
        prior = score_prior(self.channels, self.basis, blendshapes)
        start = State(prior.mean[:, :-1], prior.mean[:, -1], self._tensor(rotation), self._tensor(camera))
        observation = observe(seen, self.basis, start.rotation, camera[:, 0])
        problem = Problem(self.basis, WeakPerspective(), observation, prior)
        state = minimise(problem, start, WEAK_STEPS)
        camera = to_array(state.camera)
        iris = np.concatenate([seen[:, IRIS_CENTRES, :2] / camera[:, :1, None], -np.ones((len(seen), 2, 1))], axis=-1)
        shift = np.concatenate([camera[:, 1:], np.zeros((len(seen), 1))], axis=1) @ HEAD_TO_CAMERA
        ahead = np.broadcast_to([0.0, 0.0, 1.0], iris.shape)
        gaze = iris_gaze(self.basis, state, iris - shift[:, None], ahead)
        return face_params(self.head, self.basis, state, transforms, camera, gaze)

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
        translation = weak_to_perspective(params.crop_camera, matrix, to_array(self.basis.mean.mean(dim=0)))
        weak, rays = self._state(params, translation), view_rays(matrix)
        start = replace(weak, rotation=self._tensor(turned_into_view(to_array(weak.rotation), rays)))
        camera = Perspective(self._tensor(matrix), self._tensor(rays * params.crop_camera[:, :1]))
        prior = score_prior(self.channels, self.basis, blendshapes)
        observation = observe(seen, self.basis, weak.rotation, params.crop_camera[:, 0])
        problem = Problem(self.basis, camera, observation, prior)
        state = minimise(problem, start, PERSPECTIVE_STEPS)
        gaze = pinhole_gaze(self.basis, state, landmarks, camera_matrix)
        return face_params(self.head, self.basis, state, transforms, params.crop_camera, gaze), to_array(state.camera)

    def seen_head(self) -> SeenHead:
        """Evidence that allows for what the detector gets wrong of a person in all views."""
        return SeenHead(self.head, self.channels, self.basis)

    def observe(
        self, basis: LandmarkBasis, seen: np.ndarray, rotation: torch.Tensor, scale: np.ndarray
    ) -> Observation:
        """What is believed of landmarks; see `Evidence`."""
        return observe(seen, basis, rotation, scale)

    def prior(self, basis: LandmarkBasis, scores: np.ndarray) -> Prior:
        """What is believed of coefficients after 52 blendshape scores (B,52); see `Evidence`."""
        return score_prior(self.channels, basis, scores)

    def posed_landmarks(self, params: FaceParams) -> np.ndarray:
        """(B,478,3) landmarks of fitted faces, metres, head space; the irises as they are with the eyes at rest."""
        return to_array(posed_landmarks(self.basis, self._state(params, np.zeros((len(params), 3)))))

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(array, dtype=self.basis.mean.dtype, device=self.basis.mean.device)

    def _state(self, params: FaceParams, camera: np.ndarray) -> State:
        identity = params.identity[:, : self.basis.identity_size]
        turn = self.channels.turn
        expression = params.expression if turn is None else params.expression @ turn
        coefficients = np.concatenate([identity, expression, params.eyelids[:, : self.basis.eyelid_size]], axis=1)
        rotation = Rotation.from_rotvec(params.head_rotation).as_matrix()
        return State(*map(self._tensor, (coefficients, params.jaw[:, 0], rotation, camera)))
