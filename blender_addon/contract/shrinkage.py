# SPDX-License-Identifier: GPL-3.0-or-later
"""Zero-phase denoising of unevenly timed series that leaves what stands out of the noise as it is.

Local quadratic regression at two widths splits a series into a smooth part and two layers of detail (a wavelet
transform without decimation, on any time base). A detail well above the noise is kept, one within it removed, by the
non-negative garrote (Gao, Wavelet Shrinkage Denoising Using the Non-Negative Garrote, 1998), where neighbours lend each
other their strength (Cai and Silverman, Incorporating Information on Neighbouring Coefficients, 2001): a blink passes
whole with its flanks, jitter does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

_REACH = 3.2
"""Where the weights have fallen to nothing, in widths."""
_MOST_SHIFTS = 240
"""Frames to either side that are looked at, however fast they follow each other."""
_ONE_SIDED = 4.0
"""How firmly a one-sided window (the ends of a shot) is held to a straight line; a parabola would follow the noise."""
_RIDGE = 1e-4
_FINER = 0.5
"""Width of the finer regression over that of the coarser."""
_TOGETHER = 2.0
"""Weight of the joint energy of coordinates that are kept or removed together: noise passes as seldom as for one alone,
and what moves along one coordinate still stands out."""
_NORMAL_MEDIAN = 0.6745
"""Median of the absolute value of a standard normal variable."""
_TINY = 1e-30


@dataclass(frozen=True, eq=False)
class TimeBase:
    """When the T frames of a series were taken, and how much each is to be trusted.

    Attributes:
        time: (T,) seconds, not decreasing.
        segment: (T,) int, the shot of each frame; shots do not see each other.
        weight: (T,) trust in each frame, above 0: the inverse of its share of the noise's variance.
    """

    time: np.ndarray
    segment: np.ndarray
    weight: np.ndarray
    _kernels: dict[float, _Kernel] = field(default_factory=dict, init=False)

    def kernel(self, width: float) -> _Kernel:
        """The regression of a width in seconds; made once, as many channels share it."""
        if width not in self._kernels:
            self._kernels[width] = _kernel(self, width)
        return self._kernels[width]


@dataclass(frozen=True, eq=False)
class _Kernel:
    """Weights (2K+1, T) of the frames K before to K after each frame, and how near they are: 1 here, 0 out of reach."""

    weights: np.ndarray
    nearness: np.ndarray

    @property
    def shifts(self) -> int:
        return len(self.weights) // 2

    def average(self, values: np.ndarray) -> np.ndarray:
        """(T, C) regression of values (T, C)."""
        total = self.weights[self.shifts][:, None] * values
        for shift, here, there in _shifts(self.shifts, len(values)):
            total[here] += self.weights[shift, here, None] * values[there]
        return total

    def spread(self, energy: np.ndarray) -> np.ndarray:
        """(T, C) the largest energy (T, C) within reach, less for what is far."""
        most = energy.copy()
        for shift, here, there in _shifts(self.shifts, len(energy)):
            np.maximum(most[here], self.nearness[shift, here, None] * energy[there], out=most[here])
        return most


def _shifts(most: int, count: int) -> list[tuple[int, slice, slice]]:
    """Row of a kernel, frames that have a neighbour at that shift, and these neighbours; without shift 0."""
    steps = [step for step in range(-most, most + 1) if step and abs(step) < count]
    return [
        (step + most, slice(max(0, -step), count - max(0, step)), slice(max(0, step), count + min(0, step)))
        for step in steps
    ]


def _kernel(base: TimeBase, width: float) -> _Kernel:
    """Weights of a local quadratic regression with Gaussian time weights (Cleveland and Loader, 1996)."""
    count = len(base.time)
    last = np.searchsorted(base.time, base.time + _REACH * width, side="right") - 1
    ends = np.searchsorted(base.segment, base.segment, side="right") - 1
    most = min(int((np.minimum(last, ends) - np.arange(count)).max(initial=0)), _MOST_SHIFTS)
    away = np.zeros((2 * most + 1, count))
    trust = np.zeros((2 * most + 1, count))
    trust[most] = base.weight
    for row, here, there in _shifts(most, count):
        away[row, here] = (base.time[there] - base.time[here]) / width
        trust[row, here] = np.where(base.segment[there] == base.segment[here], base.weight[there], 0.0)
    edge = np.exp(-(_REACH**2) / 2)
    nearness = np.maximum(np.exp(-(away**2) / 2) - edge, 0.0) / (1 - edge) * (trust > 0)
    local = nearness * trust / base.weight
    return _Kernel(local * _regression(local, away), nearness)


def _regression(local: np.ndarray, away: np.ndarray) -> np.ndarray:
    """(2K+1, T) factors that turn local weights into those of the regression's value at the centre."""
    powers = [local]
    for _ in range(4):
        powers.append(powers[-1] * away)
    s0, s1, s2, s3, s4 = (power.sum(axis=0) for power in powers)
    lean = s1**2 / (s0 * s2 + _TINY)
    s4 = s4 + s0 * (_RIDGE + _ONE_SIDED * lean)
    s2_line = s2 + s0 * _RIDGE
    first = s2_line * s4 - s3 * s3
    second = s2 * s3 - s1 * s4
    third = s1 * s3 - s2_line * s2
    scale = s0 * first + s1 * second + s2 * third
    return (first + away * (second + away * third)) / scale


def noise_level(values: np.ndarray, base: TimeBase) -> np.ndarray:
    """Standard deviation (C,) of the noise of each series (T, C) at a weight of 1.

    By how far each frame is off the line between the frames beside it: the median over the frames, so that blinks and
    moves hardly count.
    """
    before, after = np.diff(base.time)[:-1], np.diff(base.time)[1:]
    inside = (base.segment[2:] == base.segment[:-2]) & (before + after > 0)
    if not inside.any():
        return np.zeros(values.shape[1])
    part = before[inside] / (before + after)[inside]
    left, middle, right = (values[first : len(values) - 2 + first][inside] for first in range(3))
    trust = [base.weight[first : len(values) - 2 + first][inside] for first in range(3)]
    variance = (1 - part) ** 2 / trust[0] + 1 / trust[1] + part**2 / trust[2]
    off = middle - left - (right - left) * part[:, None]
    return np.median(np.abs(off) / np.sqrt(variance)[:, None], axis=0) / _NORMAL_MEDIAN


def shrink(
    values: np.ndarray, base: TimeBase, width: float, noise: np.ndarray, threshold: float, together: bool = False
) -> np.ndarray:
    """Denoise series (T, C).

    Args:
        values: (T, C).
        base: The frames' times, shots and weights.
        width: Standard deviation in seconds of the time weights of the coarser regression, above 0.
        noise: (C,) standard deviation of the noise of a frame of weight 1.
        threshold: Details of up to this many standard deviations of noise are removed.
        together: Whether the C series are the coordinates of one thing, which keeps its details in all or none.

    Returns:
        (T, C) float64.
    """
    coarse, fine = base.kernel(width), base.kernel(width * _FINER)
    smooth, finer = coarse.average(values), fine.average(values)
    padding = coarse.shifts - fine.shifts
    narrow = np.pad(fine.weights, ((padding, padding), (0, 0)))
    alone = np.zeros_like(fine.weights)
    alone[fine.shifts] = 1.0
    result = smooth
    for detail, weights, kernel in (
        (finer - smooth, narrow - coarse.weights, coarse),
        (values - finer, alone - fine.weights, fine),
    ):
        variance = _noise_gain(weights, base.weight)[:, None] * np.maximum(noise, _TINY) ** 2
        energy = detail**2
        if together:
            energy, variance = (part.sum(axis=1, keepdims=True) for part in (energy, variance / _TOGETHER))
        energy = energy / np.maximum(variance, _TINY)
        kept = np.maximum(0.0, 1 - threshold**2 / np.maximum(kernel.spread(energy), _TINY))
        result = result + kept * detail
    return result


def _noise_gain(weights: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """(T,) variance of a weighted sum of frames whose noise has the variance 1 / trust."""
    shifts, count = len(weights) // 2, len(trust)
    gain = weights[shifts] ** 2 / trust
    for row, here, there in _shifts(shifts, count):
        gain[here] += weights[row, here] ** 2 / trust[there]
    return gain
