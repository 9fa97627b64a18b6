# SPDX-License-Identifier: GPL-3.0-or-later
"""Shape keys as other programs take them. No bpy.

Many importers keep blend shapes within 0 to 100 %, Blender's own too. So a key that goes below 0 becomes two, its
plus and its minus side, and sides that go beyond 1 are made so much larger that their values end at 1: what is seen
stays the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

MINUS = "{}_minus"
"""Name of the side of a key below 0."""
_SIGNED = -1.5
"""Keys whose range begins below this have two sides whatever they do: statistical coefficients and correctives."""


@dataclass(frozen=True, eq=False)
class Target:
    """One shape.

    Attributes:
        name: Its name.
        offsets: (V, 3) metres, how it moves each vertex at 1.
        values: (T,).
        scale: How much larger than the key it is made of.
    """

    name: str
    offsets: np.ndarray
    values: np.ndarray
    scale: float = 1.0


def sides(target: Target, lowest: float) -> Iterator[Target]:
    """The same shape with values within 0 to 1, as one target or two.

    Args:
        target: The shape.
        lowest: Least value that its key may have.
    """
    below = float(-target.values.min(initial=0.0))
    above = max(1.0, float(target.values.max(initial=0.0)))
    yield Target(target.name, target.offsets * above, np.maximum(target.values, 0.0) / above, above)
    if below > 0.0 or lowest < _SIGNED:
        below = max(1.0, below)
        values = np.maximum(-target.values, 0.0) / below
        yield Target(MINUS.format(target.name), target.offsets * -below, values, -below)


def is_still(values: np.ndarray) -> bool:
    """Whether a curve (T,) has one value only."""
    return bool(np.ptp(values) == 0.0)


def scales(targets: list[Target]) -> Mapping[str, float]:
    """How much larger targets are than the keys that they are made of, where they are."""
    return {target.name: target.scale for target in targets if target.scale != 1.0}
