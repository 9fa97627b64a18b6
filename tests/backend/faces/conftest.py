# SPDX-License-Identifier: GPL-3.0-or-later
"""The face finder and the pictures that its tests look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from backend.faces.landmarker import FaceFinder
from backend.media.images import read_image
from backend.progress import no_progress
from backend.weights.fetch import WheelMember, fetch_member
from backend.weights.landmarker import landmarker_file
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.places import data_dir

GROUP = WheelMember(
    package="insightface",
    version="2.1",
    wheel_sha256="dcd58ee79d99d689572477315f3149353afd65a36dc575f597cbb217a7bde399",
    member="insightface/data/images/t1.jpg",
    sha256="47f682e945b659f93a9e490b9c9c4a2a864abe64dace9e1a2893845ddfd69489",
)


@pytest.fixture(scope="session")
def model() -> Path:
    """The landmark model; tests are skipped where it is neither there nor to be had."""
    return fetched(lambda: landmarker_file(no_progress))


@pytest.fixture(scope="session")
def finder(model: Path) -> Iterator[FaceFinder]:
    with FaceFinder(model) as finder:
        yield finder


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """(512,512,3): one frontal face of about 95 pixels."""
    return skimage.data.astronaut()


@pytest.fixture(scope="session")
def group() -> np.ndarray:
    """(886,1280,3): six people at a table, one of them nearly in profile."""
    path = fetched(lambda: fetch_member([GROUP], data_dir() / "tests" / "t1.jpg", "group photo", no_progress))
    return read_image(path).pixels


def fetched(fetch) -> Path:
    try:
        return fetch()
    except MienError as error:
        if error.code is not ErrorCode.NO_NETWORK:
            raise
        pytest.skip(str(error))
