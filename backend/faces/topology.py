# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts about MediaPipe's 478 face landmarks and 52 blendshape scores.

Left and right are the person's own: the person's right eye is on the left of an unmirrored photo.
Points 0..467 are the face mesh, 468..472 the right iris (centre first), 473..477 the left iris.

`topology.npz` holds the mirror permutation (found by matching the landmarks of photos with those of the mirrored
photos; it maps the mesh's edges onto themselves, but for three quads split along the other diagonal) and the triangles.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

LANDMARK_COUNT = 478

BLENDSHAPE_NAMES: tuple[str, ...] = (
    "_neutral",
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight",
    "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
    "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight",
    "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker",
    "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft",
    "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight",
)  # fmt: skip
"""The 52 scores in MediaPipe's order; the names are ARKit's, but ARKit has tongueOut in place of _neutral."""


def _mirrored_name(name: str) -> str:
    if name.endswith("Left"):
        return name.removesuffix("Left") + "Right"
    if name.endswith("Right"):
        return name.removesuffix("Right") + "Left"
    return name


def _frozen(values: object, dtype: type = np.int64) -> np.ndarray:
    array = np.asarray(values, dtype=dtype)
    array.setflags(write=False)
    return array


def _load() -> tuple[np.ndarray, np.ndarray]:
    with np.load(Path(__file__).with_name("topology.npz"), allow_pickle=False) as stored:
        return _frozen(stored["mirror"]), _frozen(stored["triangles"])


MIRROR_BLENDSHAPES = _frozen([BLENDSHAPE_NAMES.index(_mirrored_name(name)) for name in BLENDSHAPE_NAMES])
"""(52,) permutation: `scores[MIRROR_BLENDSHAPES]` are the scores of the mirrored face."""

MIRROR_478, TRIANGLES_468 = _load()
"""(478,) permutation that swaps left and right, an involution; (852,3) triangles of the mesh, counter-clockwise on
screen for a face towards the camera. The eyes and the mouth are open."""

# Chains run from the person's right to the left along x, or down the face, unless said otherwise.
LIPS_OUTER = _frozen([61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146])
"""Closed loop: right corner, upper lip, left corner, lower lip."""
LIPS_INNER = _frozen([78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95])
"""Closed loop like `LIPS_OUTER`."""
LOWER_LIP_INNER = _frozen([95, 88, 178, 87, 14, 317, 402, 318, 324])
"""The part of `LIPS_INNER` below the mouth, without the corners."""
LIPS = _frozen([*LIPS_OUTER, *LIPS_INNER])
RIGHT_LID_UPPER = _frozen([33, 246, 161, 160, 159, 158, 157, 173, 133])
"""Outer corner to inner corner, both included."""
RIGHT_LID_LOWER = _frozen([33, 7, 163, 144, 145, 153, 154, 155, 133])
LEFT_LID_UPPER = _frozen(MIRROR_478[RIGHT_LID_UPPER])
LEFT_LID_LOWER = _frozen(MIRROR_478[RIGHT_LID_LOWER])
RIGHT_LIDS = _frozen([*RIGHT_LID_UPPER, *RIGHT_LID_LOWER[1:-1]])
LEFT_LIDS = _frozen(MIRROR_478[RIGHT_LIDS])
LIDS = _frozen([*RIGHT_LIDS, *LEFT_LIDS])
RIGHT_BROW = _frozen([70, 63, 105, 66, 107, 46, 53, 52, 65, 55])
"""Upper edge outer to inner, then lower edge outer to inner."""
LEFT_BROW = _frozen(MIRROR_478[RIGHT_BROW])
BROWS = _frozen([*RIGHT_BROW, *LEFT_BROW])
FACE_OVAL = _frozen(
    [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
     152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109]
)  # fmt: skip
"""Closed loop from the forehead's middle over the person's left."""
NOSE_BRIDGE = _frozen([168, 6, 197, 195, 5, 4])
NOSE_BASE = _frozen([64, 98, 97, 2, 326, 327, 294])
NOSE = _frozen([168, 6, 197, 195, 5, 4, 1, 19, 94, 2, 98, 97, 326, 327,
                294, 278, 344, 440, 275, 45, 220, 115, 48, 64])  # fmt: skip
RIGHT_IRIS_CENTRE = 468
LEFT_IRIS_CENTRE = 473
RIGHT_IRIS = _frozen([468, 469, 470, 471, 472])
"""Centre, then the ring: towards the nose, top, outwards, bottom."""
LEFT_IRIS = _frozen(MIRROR_478[RIGHT_IRIS])
IRISES = _frozen([*RIGHT_IRIS, *LEFT_IRIS])
RIGHT_EYE_OUTER = 33
RIGHT_EYE_INNER = 133
LEFT_EYE_INNER = 362
LEFT_EYE_OUTER = 263
OUTER_EYE_CORNERS = (RIGHT_EYE_OUTER, LEFT_EYE_OUTER)
"""Their distance is the unit of every landmark error in Mien."""
MOUTH_CORNERS = (61, 291)

IBUG68_FROM_478 = _frozen(
    [127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356,  # jaw line
     70, 63, 105, 66, 107, 336, 296, 334, 293, 300,  # brows
     168, 197, 5, 4, 98, 97, 2, 326, 327,  # nose bridge, nose base
     33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,  # right eye, left eye
     61, 39, 37, 0, 267, 269, 291, 321, 314, 17, 84, 91,  # outer lips
     78, 81, 13, 311, 308, 402, 14, 178]  # inner lips
)  # fmt: skip
"""(68,) landmark nearest to each point of the iBUG 300-W markup, in its order."""


def outer_eye_distance(landmarks: np.ndarray) -> np.ndarray:
    """Distance of the outer eye corners in the image plane.

    Args:
        landmarks: (...,478,>=2) in any unit.

    Returns:
        (...) in the same unit.
    """
    points = np.asarray(landmarks)[..., :2]
    return np.linalg.norm(points[..., LEFT_EYE_OUTER, :] - points[..., RIGHT_EYE_OUTER, :], axis=-1)


def mirror_landmarks(landmarks: np.ndarray, width: float) -> np.ndarray:
    """Landmarks of the mirrored picture.

    Args:
        landmarks: (...,478,2 or 3) pixels.
        width: Width of the picture in pixels.

    Returns:
        The same shape: x becomes width - x, and left and right points change places.
    """
    mirrored = np.asarray(landmarks)[..., MIRROR_478, :].copy()
    mirrored[..., 0] = width - mirrored[..., 0]
    return mirrored
