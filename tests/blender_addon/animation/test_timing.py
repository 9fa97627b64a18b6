# SPDX-License-Identifier: GPL-3.0-or-later
"""Where on the timeline the frames of takes fall, and which pictures stand there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blender_addon.animation.timing import TIMINGS, is_clip, key_frames, movie_numbers, retiming, source_rate
from tests.fake_takes import small_take


def clip(times, rate=24.0, numbers=None):
    """A take with these times."""
    take = small_take(frames=len(times))
    extra = {} if numbers is None else {"frame": np.asarray(numbers, np.int32)}
    return replace(take, time=np.asarray(times, float), extra=extra, meta=replace(take.meta, rate=rate))


class TestKeyFrames:
    @pytest.mark.parametrize("timing", TIMINGS)
    def test_even_frames_are_whole(self, timing):
        frames = key_frames(clip(np.arange(2000) * 1001 / 24000, 24000 / 1001), 1001, 24000 / 1001, timing)
        assert frames.tolist() == list(range(1001, 3001))

    @pytest.mark.parametrize("timing", TIMINGS)
    def test_a_containers_rounding_to_milliseconds_does_not_show(self, timing):
        frames = key_frames(clip(np.round(np.arange(500) / 24, 3)), 1, 24.0, timing)
        assert frames.tolist() == list(range(1, 501))

    def test_the_first_frame_of_a_range_falls_on_the_start(self):
        assert key_frames(clip(5.0 + np.arange(3) / 24), 10, 24.0, "conform").tolist() == [10, 11, 12]

    def test_true_fractions_stay(self):
        np.testing.assert_allclose(key_frames(clip([0, 0.05, 0.1]), 1, 25.0, "source"), [1, 2.25, 3.5])

    def test_conformed_frames_are_whole_unless_two_would_be_one(self):
        uneven = clip([0, 0.04, 0.072, 0.11, 0.125, 0.2])
        assert key_frames(uneven, 1, 25.0, "conform").tolist() == [1, 2, 3, 3.75, 4.125, 6]

    def test_halves_do_not_meet(self):
        assert key_frames(clip([0, 0.06, 0.1, 0.14]), 1, 25.0, "conform").tolist() == [1, 2, 3, 4]

    @given(st.lists(st.floats(0, 0.2), min_size=2, max_size=40), st.sampled_from(TIMINGS))
    def test_no_two_keys_fall_on_each_other(self, steps, timing):
        frames = key_frames(clip(np.cumsum(steps)), 1, 24.0, timing)
        assert (np.diff(frames.astype(np.float32)) > 0).all()


class TestMovieNumbers:
    def test_even_clips_count_frames(self):
        assert movie_numbers(clip(np.arange(5) / 24), 24.0).tolist() == [1, 2, 3, 4, 5]

    def test_a_range_counts_from_the_clips_first_frame(self):
        times, numbers = np.arange(12, 15) / 24, [13, 14, 15]
        assert movie_numbers(clip(times, numbers=numbers), 24.0).tolist() == numbers
        assert movie_numbers(clip(times - times[0], numbers=numbers), 24.0).tolist() == numbers

    def test_the_readers_rate_may_be_higher(self):
        times = np.array([0.0, 1 / 24, 1 / 24 + 1 / 30, 1 / 12 + 1 / 30])
        found = movie_numbers(clip(times, 30.0), 120.0)
        seen = np.searchsorted(times, (found - 1) / 120.0 + 1e-9, side="right") - 1  # the last that is not later
        assert seen.tolist() == [0, 1, 2, 3]


class TestRetiming:
    def test_a_movie_at_its_own_rate_runs_steadily(self):
        shown = retiming(np.arange(101.0, 111.0), np.arange(13, 23))
        assert (shown.first, shown.last, shown.steady, shown.off) == (101, 110, True, 0.0)

    def test_gaps_do_not_make_it_unsteady(self):
        assert retiming(np.array([1.0, 2.0, 5.0]), np.array([1001, 1002, 1005])).steady

    def test_the_nearest_picture_is_shown(self):
        shown = retiming(1 + np.arange(4) * 2.5, np.arange(1, 5))
        assert not shown.steady
        assert shown.numbers.tolist() == [1, 1, 2, 2, 3, 3, 3, 4, 4]
        assert shown.off == pytest.approx(1.0)
        assert retiming(np.array([1.0, 2.25, 3.5]), np.array([1, 2, 3])).off == pytest.approx(0.5)


def test_stills_are_no_clips():
    still = small_take()
    assert not is_clip(replace(still, meta=replace(still.meta, rate=0.0)))
    assert is_clip(small_take(frames=2))
    assert is_clip(replace(still, meta=replace(still.meta, rate=24.0)))  # one frame of a clip


def test_rates():
    assert source_rate(clip([0, 0.04, 0.08], rate=0.0)) == pytest.approx(25.0)
    assert source_rate(clip([0, 0.04], rate=24.0)) == 24.0
    assert source_rate(clip([0.0], rate=0.0)) == 24.0
