# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that tests and benchmarks look at; none of them is part of the project."""

from __future__ import annotations

from pathlib import Path

import skimage.data
from PIL import Image

from backend.progress import no_progress
from backend.weights.fetch import WheelMember, fetch_member
from blender_addon.contract.places import data_dir

GROUP = WheelMember(
    package="insightface",
    version="2.1",
    wheel_sha256="dcd58ee79d99d689572477315f3149353afd65a36dc575f597cbb217a7bde399",
    member="insightface/data/images/t1.jpg",
    sha256="47f682e945b659f93a9e490b9c9c4a2a864abe64dace9e1a2893845ddfd69489",
)


def group_photo() -> Path:
    """Six people at a table, 1280x886, fetched once.

    Raises:
        MienError: NO_NETWORK where it is neither there nor to be had.
    """
    return fetch_member([GROUP], data_dir() / "tests" / "t1.jpg", "group photo", no_progress)


def save_astronaut(path: Path, mirrored: bool = False) -> Path:
    """Write the public-domain portrait of scikit-image, 512x512 with a frontal face of about 95 pixels."""
    picture = skimage.data.astronaut()
    Image.fromarray(picture[:, ::-1] if mirrored else picture).save(path)
    return path
