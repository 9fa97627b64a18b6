# SPDX-License-Identifier: GPL-3.0-or-later
"""Solved frames of one person, on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.engines.params import FaceParams
from backend.solve.frames import FramesSolution
from blender_addon.contract.head import HeadDescription

from .records import RecordFile

_PARAMETERS = (
    "expression", "eyelids", "head_rotation", "neck", "jaw", "eyes", "crop_camera", "crop_transform",
)  # fmt: skip


class SolvedFrames:
    """Frames in the order in which they were solved. The identity, which all share, is not stored.

    Args:
        path: The file; made if missing.
        head: The head that they were solved for.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED or MISSING_FILE.
    """

    def __init__(self, path: Path, head: HeadDescription) -> None:
        shapes = {
            "expression": (head.expression.shape[-1],), "eyelids": (2,), "head_rotation": (3,), "neck": (3,),
            "jaw": (3,), "eyes": (6,), "crop_camera": (3,), "crop_transform": (3, 3), "translation": (3,),
        }  # fmt: skip
        fields = [(name, "<f8", shape) for name, shape in shapes.items()] + [("landmark_error", "<f8")]
        self._file = RecordFile(path, np.dtype(fields))

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._file)

    def keep(self, count: int) -> None:
        """Drop all frames from `count` on."""
        self._file.keep(count)

    def append(self, solution: FramesSolution) -> None:
        """Add frames.

        Raises:
            MienError: NO_SPACE or NOT_PERMITTED.
        """
        records = np.empty(len(solution.translation), dtype=self._file.dtype)
        for name in _PARAMETERS:
            records[name] = getattr(solution.params, name)
        records["translation"], records["landmark_error"] = solution.translation, solution.landmark_error
        self._file.append(records)

    def read(self, identity: np.ndarray) -> FramesSolution:
        """All frames, with the identity (S,) that they share."""
        records = self._file.read(0, len(self._file))
        shared = np.broadcast_to(identity, (len(records), len(identity)))
        params = FaceParams(identity=shared, **{name: records[name] for name in _PARAMETERS})
        return FramesSolution(params, records["translation"], records["landmark_error"])

    def close(self) -> None:
        """Close the file."""
        self._file.close()
