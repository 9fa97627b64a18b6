# SPDX-License-Identifier: GPL-3.0-or-later
"""ARKit's 52 weights and the nine angles of head and eyes over time, as CSV and as JSON."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from blender_addon.contract.arkit import ANGLES, CHANNELS, ArkitCurves
from blender_addon.contract.provenance import PROVENANCE, provenance
from blender_addon.contract.take import Take

from .curves import bounded_curves
from .json_files import number_array, read_json, write_compact
from .tables import exactly, lines, read_table, write_table

CSV_HEADER = ("time", "valid", *CHANNELS, *ANGLES)
_DECIMALS = 9


def write_csv(take: Take, path: Path) -> None:
    """Write a line for each frame: seconds, 1 or 0 for a face that was seen, 52 weights, nine angles in radians.

    Raises:
        MienError: CANNOT_EXPORT, NO_SPACE, NOT_PERMITTED, MISSING_FILE.
    """
    curves = bounded_curves(take)
    numbers = lines(np.concatenate((curves.weights, curves.angles), axis=1), _DECIMALS)
    starts = (f"{time},{valid:d}" for time, valid in zip(exactly(curves.time), curves.valid, strict=True))
    write_table(path, CSV_HEADER, (f"{start},{row}" for start, row in zip(starts, numbers, strict=True)))


def read_csv(path: Path) -> ArkitCurves:
    """Inverse of `write_csv`, by the names of the columns.

    Raises:
        MienError: BAD_IMPORT, MISSING_FILE, NOT_PERMITTED, TOO_LARGE.
    """
    numbers = read_table(path).numbers(CSV_HEADER)
    return _curves(numbers[:, 0], numbers[:, 1], numbers[:, 2:])


def write_arkit_json(take: Take, path: Path) -> None:
    """Write the same numbers as JSON, with where they come from.

    Raises:
        MienError: CANNOT_EXPORT, NO_SPACE, NOT_PERMITTED, MISSING_FILE.
    """
    curves = bounded_curves(take)
    values: dict[str, object] = {
        PROVENANCE: provenance(take.meta),
        "channels": list(CHANNELS),
        "angles": list(ANGLES),
        "angle_unit": "radians",
        "frames": [
            {"time": time, "valid": valid, "weights": weights, "angles": angles}
            for time, valid, weights, angles in zip(
                curves.time.tolist(),
                curves.valid.tolist(),
                curves.weights.round(_DECIMALS).tolist(),
                curves.angles.round(_DECIMALS).tolist(),
                strict=True,
            )
        ],
    }
    write_compact(path, values)


def read_arkit_json(path: Path) -> ArkitCurves:
    """Inverse of `write_arkit_json`.

    Raises:
        MienError: BAD_IMPORT, MISSING_FILE, NOT_PERMITTED, TOO_LARGE.
    """
    document = read_json(path)
    frames = document.list_of_tables("frames")
    rows = [[frame.get("time"), frame.get("valid"), *_row(frame)] for frame in frames]
    numbers = number_array(path, rows, len(CSV_HEADER))
    return _curves(numbers[:, 0], numbers[:, 1], numbers[:, 2:])


def _row(frame: dict[str, object]) -> list[object]:
    parts = [frame.get(name) for name in ("weights", "angles")]
    return [value for part in parts if isinstance(part, list) for value in part]


def _curves(time: np.ndarray, valid: np.ndarray, values: np.ndarray) -> ArkitCurves:
    return ArkitCurves(time, values[:, : len(CHANNELS)], values[:, len(CHANNELS) :], valid > 0.5)
