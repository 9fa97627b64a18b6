# SPDX-License-Identifier: GPL-3.0-or-later
"""The face finder and the pictures that tests look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from blender_addon.contract.errors import ErrorCode, MienError

if TYPE_CHECKING:
    from backend.faces.landmarker import FaceFinder

# What the fixtures need is imported in them: the networks' tests also run where only torch and numpy are.


@pytest.fixture(scope="session")
def model() -> Path:
    """The landmark model; tests are skipped where it is neither there nor to be had."""
    from backend.progress import no_progress
    from backend.weights.landmarker import landmarker_file

    return fetched(lambda: landmarker_file(no_progress))


@pytest.fixture(scope="session")
def finder(model: Path) -> Iterator[FaceFinder]:
    from backend.faces.landmarker import FaceFinder

    with FaceFinder(model) as finder:
        yield finder


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """(512,512,3): one frontal face of about 95 pixels."""
    import skimage.data

    return skimage.data.astronaut()


@pytest.fixture(scope="session")
def group() -> np.ndarray:
    """(886,1280,3): six people at a table, one of them nearly in profile."""
    from backend.media.images import read_image
    from tests.pictures import group_photo

    return read_image(fetched(group_photo)).pixels


def fetched(fetch) -> Path:
    try:
        return fetch()
    except MienError as error:
        if error.code is not ErrorCode.NO_NETWORK:
            raise
        pytest.skip(str(error))
