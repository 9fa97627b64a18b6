# SPDX-License-Identifier: GPL-3.0-or-later
"""The head of `tests.face_flame` among the parts of the store, as a user's FLAME would be."""

from __future__ import annotations

import numpy as np

from backend.heads import load_head
from backend.weights.parts import write_part
from tests.face_flame import embedded, face_flame


def add_flame(uvs: bool = True) -> None:
    """Add the model with its landmarks and, by default, its UV layout."""
    made = face_flame().fields
    arrays = {name: made[name].astype(np.float32) for name in ("v_template", "shapedirs", "J_regressor", "weights")}
    arrays |= {"posedirs": made["posedirs"].reshape(-1, 36).T.astype(np.float32), "f": made["f"].astype(np.int32)}
    settings = {"expressions": "100"}
    write_part("flame2020", arrays, origin="generic_model.pkl", sha256="a" * 64, name="", settings=settings)
    faces, weights = embedded(load_head().landmarks["ibug68"])
    marks = {"full_faces": faces, "full_barycentric": weights}
    marks |= {"static_faces": faces[17:], "static_barycentric": weights[17:]}
    write_part("landmark_embedding", marks, origin="landmark_embedding.npy", sha256="b" * 64)
    if uvs:
        layout = {"uv": face_flame().uv, "uv_faces": face_flame().uv_faces, "faces": arrays["f"]}
        write_part("head_template", layout, origin="head_template.obj", sha256="c" * 64)
