# SPDX-License-Identifier: GPL-3.0-or-later
"""How late and how many, by made-up clocks."""

from __future__ import annotations

import pytest

from backend.live.pace import Pace


def test_frames_that_come_regularly():
    pace = Pace()
    for number in range(50):
        pace.note(number / 25 - 0.03, number / 25)
    assert pace.per_second(49 / 25) == pytest.approx(25, abs=0.1)
    assert pace.phrase() == "30 ms behind"
    assert pace.latency_ms() == {"median": 30.0, "p95": 30.0}


def test_frames_without_a_face_count_for_the_rate_only():
    pace = Pace()
    pace.note(None, 0.0)
    pace.note(None, 0.5)
    assert pace.per_second(0.5) == 2.0
    assert pace.phrase() == "" and pace.latency_ms() == {}


def test_a_source_that_is_silent_slows_down():
    pace = Pace()
    assert pace.per_second(0.0) == 0.0
    for number in range(3):
        pace.note(None, number / 10)
    assert pace.per_second(0.2) > pace.per_second(2.0) > 0
