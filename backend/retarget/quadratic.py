# SPDX-License-Identifier: GPL-3.0-or-later
"""Small quadratic programmes with bounds, one a frame, that share most of their matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST_SWEEPS = 400
CLOSE = 2e-4
"""Largest change of a coefficient in a sweep at which a frame is done."""


@dataclass(frozen=True, eq=False)
class Quadratic:
    """T functions 1/2 z'Hz - b'z of z = (K shared unknowns, D own ones), H = [[shared, border'], [border, corner]].

    Attributes:
        shared: (K,K) the same for all, positive definite.
        border: (T,D,K).
        corner: (T,D,D).
        right: (T,K+D) the vectors b.
    """

    shared: np.ndarray
    border: np.ndarray
    corner: np.ndarray
    right: np.ndarray

    def minimum(self) -> np.ndarray:
        """(T,K+D) where each is least, by elimination of the shared unknowns."""
        count = len(self.shared)
        inverse = np.linalg.inv(self.shared)
        across = self.border @ inverse
        reduced = self.corner - across @ np.swapaxes(self.border, 1, 2)
        rest = self.right[:, count:] - (across @ self.right[:, :count, None])[..., 0]
        own = np.linalg.solve(reduced, rest[..., None])[..., 0]
        shared = (self.right[:, :count] - (own[:, None] @ self.border)[:, 0]) @ inverse
        return np.concatenate((shared, own), axis=1)

    def bounded_minimum(self, lower: np.ndarray, upper: np.ndarray, start: np.ndarray) -> np.ndarray:
        """(T,K+D) where each is least within bounds, by cyclic coordinate descent (Wright, Coordinate Descent
        Algorithms, 2015), which for a convex function and a box converges to the least value.

        Args:
            lower, upper: (T,K+D).
            start: (T,K+D) from where to start.
        """
        result = np.clip(start, lower, upper)
        active = np.arange(len(result))
        for _ in range(MOST_SWEEPS):
            part = Quadratic(self.shared, self.border[active], self.corner[active], self.right[active])
            swept, moved = part._sweeps(lower[active], upper[active], result[active])
            result[active] = swept
            active = active[moved > CLOSE]
            if not len(active):
                break
        return result

    def _sweeps(
        self, lower: np.ndarray, upper: np.ndarray, values: np.ndarray, sweeps: int = 4
    ) -> tuple[np.ndarray, np.ndarray]:
        """A few sweeps over all unknowns: the values, and (T,) by how much any of them moved in the last."""
        count = len(self.shared)
        # Unknowns first, so that what one step touches lies together.
        values, low, high = (np.ascontiguousarray(array.T) for array in (values, lower, upper))
        border = np.ascontiguousarray(self.border.transpose(1, 2, 0))
        corner = np.ascontiguousarray(self.corner.transpose(1, 2, 0))
        slope = np.concatenate(
            (
                self.shared @ values[:count] + np.einsum("dkt,dt->kt", border, values[count:]),
                np.einsum("dkt,kt->dt", border, values[:count]) + np.einsum("det,et->dt", corner, values[count:]),
            )
        ) - self.right.T  # fmt: skip
        for _ in range(sweeps):
            before = values.copy()
            for unknown in range(len(values)):
                own = unknown - count
                bend = self.shared[unknown, unknown] if own < 0 else corner[own, own]
                new = np.clip(values[unknown] - slope[unknown] / bend, low[unknown], high[unknown])
                step = new - values[unknown]
                values[unknown] = new
                if own < 0:
                    slope[:count] += self.shared[unknown][:, None] * step
                    slope[count:] += border[:, unknown] * step
                else:
                    slope[:count] += border[own] * step
                    slope[count:] += corner[own] * step
        return values.T, np.abs(values - before).max(axis=0)
