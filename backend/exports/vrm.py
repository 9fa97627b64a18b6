# SPDX-License-Identifier: GPL-3.0-or-later
"""VRM expression curves: the presets of VRM 1.0, and ARKit's 52 names as custom expressions ("perfect sync").

A character uses either the presets or the custom ones: they say the same, and both together would close its eyes twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from blender_addon.contract.arkit import CHANNELS, ArkitCurves
from blender_addon.contract.provenance import PROVENANCE, provenance
from blender_addon.contract.take import Take
from blender_addon.contract.vrm import vrm_weights

from .curves import bounded_curves
from .json_files import number_array, read_json, write_compact
from .tables import bad_import

EMOTIONS = ("happy", "angry", "sad", "relaxed", "surprised")
_DECIMALS = 6


@dataclass(frozen=True, eq=False)
class ExpressionCurves:
    """Weights of expressions over time.

    Attributes:
        time: (T,) float64 seconds.
        presets: (T,) float64 of each preset, 0 to 1.
        custom: (T,) float64 of each custom expression, 0 to 1.
    """

    time: np.ndarray
    presets: Mapping[str, np.ndarray]
    custom: Mapping[str, np.ndarray]


def expression_curves(take: Take) -> ExpressionCurves:
    """A take in VRM's expressions. Emotions are there only where the take has an array of that name.

    Raises:
        MienError: CANNOT_EXPORT for a head without ARKit's channels.
    """
    curves = bounded_curves(take)
    presets = vrm_weights(curves) | _blinks(curves)
    for name in EMOTIONS:
        values = take.extra.get(f"emotion_{name}")
        if values is not None and values.ndim == 1:
            presets[name] = np.clip(values.astype(np.float64), 0.0, 1.0)
    custom = dict(zip(CHANNELS, curves.weights.T, strict=True))
    return ExpressionCurves(curves.time, MappingProxyType(presets), MappingProxyType(custom))


def _blinks(curves: ArkitCurves) -> dict[str, np.ndarray]:
    """What both lids do is a blink; what one does beyond that is its own. The sum is each lid's own closure."""
    left, right = curves.weight("eyeBlinkLeft"), curves.weight("eyeBlinkRight")
    both = np.minimum(left, right)
    return {"blink": both, "blinkLeft": left - both, "blinkRight": right - both}


def write_vrm(take: Take, path: Path) -> None:
    """Write the curves as JSON.

    Raises:
        MienError: CANNOT_EXPORT, NO_SPACE, NOT_PERMITTED, MISSING_FILE.
    """
    curves = expression_curves(take)
    groups = {
        group: {name: values.round(_DECIMALS).tolist() for name, values in getattr(curves, group).items()}
        for group in ("presets", "custom")
    }
    write_compact(path, {PROVENANCE: provenance(take.meta), "vrm": "1.0", "time": curves.time.tolist(), **groups})


def read_vrm(path: Path) -> ExpressionCurves:
    """Inverse of `write_vrm`.

    Raises:
        MienError: BAD_IMPORT, MISSING_FILE, NOT_PERMITTED, TOO_LARGE.
    """
    document = read_json(path)
    time = document.values.get("time")
    if not isinstance(time, list) or not time:
        raise bad_import(path, "has no 'time'", "Export the file anew, or use an undamaged copy.")
    groups = {}
    for group in ("presets", "custom"):
        rows = {name: values if isinstance(values, list) else [] for name, values in document.table(group).items()}
        columns = number_array(path, list(rows.values()), len(time))
        groups[group] = MappingProxyType(dict(zip(rows, columns, strict=True)))
    return ExpressionCurves(number_array(path, [time], len(time))[0], **groups)
