# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a focal length comes from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.media.images import Photo
from backend.solve.camera import DEFAULT_FOCAL_MM, choose_focal

UPRIGHT = np.zeros((1200, 600, 3), np.uint8)


def test_the_user_is_asked_before_the_file_and_the_file_before_the_default():
    noted, bare = Photo(UPRIGHT, Path("a.jpg"), 30.0, 1000.0), Photo(UPRIGHT, Path("b.png"), None, None)
    given, file, assumed = choose_focal(noted, 72.0), choose_focal(noted, None), choose_focal(bare, None)
    assert (given.origin, file.origin, assumed.origin) == ("given", "file", "assumed")
    assert given.pixels == pytest.approx(72 / 36 * 1200)
    assert file.pixels == 1000.0
    assert assumed.millimetres(600, 1200) == pytest.approx(DEFAULT_FOCAL_MM)
    assert given.known and file.known and not assumed.known
