# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person is and what they do in their pictures are drawn apart."""

from __future__ import annotations

import numpy as np

from backend.heads import load_head
from training.synthetic.dataset import SyntheticFaces
from training.synthetic.scene import draw_person


def test_no_picture_shares_its_chances_with_its_person() -> None:
    head, faces = load_head(), SyntheticFaces(3, 2, seed=5)
    for index in range(len(faces)):
        identity = draw_person(head, 5, faces.person(index)).identity
        again = np.random.default_rng((5, faces.person(index), index % 2))
        drawn = again.normal(0, 0.9, len(identity)).clip(-2.5, 2.5)
        assert not np.isin(identity[np.abs(identity) < 2.5], drawn.astype(np.float32)).any()
