# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames solved from the frame before, against frames solved each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from backend.chain.moment import shot_of_one
from backend.device import set_threads
from backend.engines.fit.fit import LandmarkFit
from backend.faces.face import Face
from backend.faces.topology import BLENDSHAPE_NAMES
from backend.faces.tracking import Tracker
from backend.heads import load_head
from backend.live.resting import RESTING_SECONDS, RestingFace
from backend.live.solver import LiveSolver
from backend.solve.camera import Focal
from blender_addon.contract.errors import ErrorCode, MienError
from tests.footage import SIZE, panned


@pytest.fixture(scope="module")
def faces(finder, astronaut) -> list[Face]:
    """The face in a window that moves fast and zooms."""
    tracker = Tracker(finder)
    frames = [
        next(panned(astronaut, 1, (60 + 4 * number, 2 * number), (0, 0), 1 + 0.01 * number)) for number in range(12)
    ]
    return [tracker.update(index, pixels, index == 0)[0].face for index, pixels in enumerate(frames)]


@pytest.fixture(scope="module")
def solver_of(faces):
    set_threads(1)
    fit = LandmarkFit(load_head("open"))
    first = faces[0]
    shot = shot_of_one(
        fit, first.landmarks[None].astype(np.float64), first.blendshapes[None], SIZE, Focal(450.0, "assumed")
    )
    return lambda: LiveSolver(fit, shot)


@pytest.mark.parametrize("left_out", [1, 3])
def test_the_start_does_not_matter(faces: Sequence[Face], solver_of, left_out: int):
    seen = faces[::left_out]
    alone = solver_of().all(seen)
    solver = solver_of()
    for number, (face, one) in enumerate(zip(seen, alone, strict=True)):
        solved = solver.next(number * left_out * 0.04, face)
        assert np.abs(solved.frame.expression - one.frame.expression).max() < 0.02
        assert np.abs(solved.frame.head_rotation - one.frame.head_rotation).max() < 0.003
        assert np.abs(solved.frame.translation - one.frame.translation).max() < 0.002 * one.frame.translation[2]
        assert solved.error == pytest.approx(one.error, rel=0.02)


def blinking(face: Face) -> Face:
    """The face with its upper lids on the lower ones."""
    landmarks, scores = face.landmarks.copy(), face.blendshapes.copy()
    upper = [159, 158, 160, 157, 161, 386, 385, 387, 384, 388]
    lower = [145, 153, 144, 154, 163, 374, 380, 373, 381, 390]
    landmarks[upper, :2] = landmarks[lower, :2]
    scores[[BLENDSHAPE_NAMES.index("eyeBlinkLeft"), BLENDSHAPE_NAMES.index("eyeBlinkRight")]] = 0.9
    return replace(face, landmarks=landmarks, blendshapes=scores)


def test_a_blink_takes_one_frame(faces: Sequence[Face], solver_of):
    seen = [faces[0], blinking(faces[1]), faces[2], blinking(faces[3])]
    solver, alone = solver_of(), solver_of().all(seen)
    for number, (face, one) in enumerate(zip(seen, alone, strict=True)):
        solved = solver.next(number * 0.04, face)
        assert np.abs(solved.frame.expression - one.frame.expression).max() < 0.03
        assert np.abs(solved.frame.eyelids - one.frame.eyelids).max() < 0.03


def test_after_a_while_it_starts_anew(faces: Sequence[Face], solver_of):
    solver = solver_of()
    solver.next(0.0, faces[0])
    late, alone = solver.next(5.0, faces[-1]), solver_of().next(0.0, faces[-1])
    assert np.array_equal(late.frame.expression, alone.frame.expression)


def test_nothing_to_solve(solver_of):
    assert solver_of().all([]) == []


def test_a_resting_face(faces: Sequence[Face], solver_of):
    resting = RestingFace(10.0)
    assert not resting.seen and not resting.over(10.0 + 0.9 * RESTING_SECONDS)
    assert resting.over(10.0 + RESTING_SECONDS)
    with pytest.raises(MienError) as caught:
        resting.calibration(solver_of())
    assert caught.value.code is ErrorCode.NO_FACE
    for face in faces[:3]:
        resting.add(face)
    neutral = resting.calibration(solver_of())
    (frame,) = solver_of().all(faces[1:2])
    assert resting.seen
    assert np.abs(neutral.apply(frame.frame).jaw).max() < 0.02
