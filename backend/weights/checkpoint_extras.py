# SPDX-License-Identifier: GPL-3.0-or-later
"""What an EMOCA checkpoint holds beside networks: FLAME's arrays, landmarks, UV layout, mask, fixed displacement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from backend.weights.found import DERIVED, Found
from backend.weights.parts import PartKind

MEDIAPIPE_105 = (
    276, 282, 283, 285, 293, 295, 296, 300, 334, 336, 46, 52, 53, 55, 63, 65, 66, 70, 105, 107, 249, 263, 362, 373, 374,
    380, 381, 382, 384, 385, 386, 387, 388, 390, 398, 466, 7, 33, 133, 144, 145, 153, 154, 155, 157, 158, 159, 160, 161,
    163, 173, 246, 168, 6, 197, 195, 5, 4, 129, 98, 97, 2, 326, 327, 358, 0, 13, 14, 17, 37, 39, 40, 61, 78, 80, 81, 82,
    84, 87, 88, 91, 95, 146, 178, 181, 185, 191, 267, 269, 270, 291, 308, 310, 311, 312, 314, 317, 318, 321, 324, 375,
    402, 405, 409, 415,
)  # fmt: skip
"""The landmarks of MediaPipe that the checkpoint embeds, in its order; its buffers do not say them."""
_VERTICES, _FACES, _TEXELS = 5023, 9976, 256
_IDENTITY, _EXPRESSION = 100, 50

_Rows = Mapping[str, tuple[str, tuple[int, ...]]]
_FLAME: _Rows = {
    "v_template": ("flame.v_template", (_VERTICES, 3)),
    "shapedirs": ("flame.shapedirs", (_VERTICES, 3, _IDENTITY + _EXPRESSION)),
    "posedirs": ("flame.posedirs", (36, 3 * _VERTICES)),
    "J_regressor": ("flame.J_regressor", (5, _VERTICES)),
    "weights": ("flame.lbs_weights", (_VERTICES, 5)),
    "f": ("flame.faces_tensor", (_FACES, 3)),
}
_LANDMARKS: _Rows = {
    "static_faces": ("flame.lmk_faces_idx", (51,)),
    "static_barycentric": ("flame.lmk_bary_coords", (51, 3)),
    "dynamic_faces": ("flame.dynamic_lmk_faces_idx", (79, 17)),
    "dynamic_barycentric": ("flame.dynamic_lmk_bary_coords", (79, 17, 3)),
    "full_faces": ("flame.full_lmk_faces_idx", (68,)),
    "full_barycentric": ("flame.full_lmk_bary_coords", (68, 3)),
}
_MEDIAPIPE: _Rows = {
    "faces": ("flame.lmk_faces_idx_mediapipe", (105,)),
    "barycentric": ("flame.lmk_bary_coords_mediapipe", (105, 3)),
}
_TEMPLATE: _Rows = {
    "uv": ("render.raw_uvcoords", (-1, 2)),
    "uv_faces": ("render.uvfaces", (_FACES, 3)),
    "faces": ("render.faces", (_FACES, 3)),
}
_INDICES = ("f", "faces", "uv_faces", "static_faces", "dynamic_faces", "full_faces", "indices")


def extras(tensors: Mapping[str, object]) -> list[Found]:
    """The parts that a checkpoint has beside networks; those of another shape or missing are left out.

    Args:
        tensors: The checkpoint's, by their names behind "deca.".
    """
    made: list[Found] = []

    def take(kind: PartKind, rows: _Rows, name: str = DERIVED, **settings: str) -> dict[str, np.ndarray] | None:
        arrays = _taken(tensors, rows)
        if arrays is not None:
            made.append(Found(kind, arrays, name, settings, first=False))
        return arrays

    take("flame2020", _FLAME, identities=str(_IDENTITY), expressions=str(_EXPRESSION))
    take("head_template", _TEMPLATE)
    take("landmark_embedding", _LANDMARKS)
    if (media := take("mediapipe_embedding", _MEDIAPIPE)) is not None:
        media["indices"] = np.array(MEDIAPIPE_105, np.int32)
    take("fixed_displacement", {"displacement": ("fixed_uv_dis", (_TEXELS, _TEXELS))})
    take("uv_masks", {"mask": ("uv_face_eye_mask", (_TEXELS, _TEXELS))}, "face_eye")
    return made


def as_part(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays in the types of parts: indices int32, numbers float32."""
    return {
        name: np.ascontiguousarray(array, np.int32 if name in _INDICES else np.float32)
        for name, array in arrays.items()
    }


def _taken(tensors: Mapping[str, object], rows: _Rows) -> dict[str, np.ndarray] | None:
    values = {}
    for name, (key, shape) in rows.items():
        found = tensors.get(key)
        if not hasattr(found, "shape") or not _fits(_squeezed(found.shape), shape):  # type: ignore[union-attr]
            return None
        values[name] = (found if isinstance(found, np.ndarray) else found.read()).reshape(shape)  # type: ignore[union-attr]
    return as_part(values)


def _fits(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether a shape is the wanted one, in which -1 stands for any length."""
    return len(found) == len(wanted) and all(b in (-1, a) for a, b in zip(found, wanted, strict=True))


def _squeezed(shape: Sequence[int]) -> tuple[int, ...]:
    """Without the ones at its beginning."""
    kept = tuple(shape)
    while len(kept) > 1 and kept[0] == 1:
        kept = kept[1:]
    return kept
