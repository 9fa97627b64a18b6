# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rasteriser finds what is visible: ours in torch, ours compiled by numba, or pytorch3d's.

All see the same face at every pixel and settle equal depths by the lowest face; barycentric weights and their gradient
come from `raster.rasterize` for all of them. So the choice changes the speed alone.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import torch

from backend.rendering import raster
from backend.rendering.raster import Visibility
from blender_addon.contract.errors import ErrorCode, MienError

Rasteriser = Literal["auto", "torch", "numba", "pytorch3d"]
Name = Literal["torch", "numba", "pytorch3d"]

_REMEDIES: Mapping[Name, str] = {
    "numba": "Run 'mien setup --fan', which brings numba, or use the rasteriser torch.",
    "pytorch3d": "Build pytorch3d for this torch as its own guide says, or use the rasteriser torch.",
}
_log = logging.getLogger("mien.rasteriser")


@dataclass(frozen=True)
class Chosen:
    """A rasteriser that is there.

    Attributes:
        name: which.
        visible_faces: what `raster.rasterize` takes.
    """

    name: Name
    visible_faces: Visibility


def choose_rasteriser(wanted: Rasteriser, device: torch.device | str) -> Chosen:
    """The rasteriser that draws on a device.

    "auto" is numba on a CPU and pytorch3d on CUDA where they are installed and load, and torch everywhere else. What it
    chose is in the answer, and is written to the log `mien.rasteriser` once. numba draws on the CPU, so tensors of
    other devices go there and back.

    Args:
        wanted: by name, or "auto".
        device: of the vertices.

    Raises:
        MienError: USAGE for an unknown name; SETUP_FAILED for one that is not installed or does not load.
    """
    if wanted not in get_args(Rasteriser):
        message = f"There is no rasteriser '{wanted}'."
        raise MienError(ErrorCode.USAGE, message, f"Use one of {', '.join(get_args(Rasteriser))}.")
    return _automatic(torch.device(device).type) if wanted == "auto" else _loaded(wanted)


def installed(name: Name) -> bool:
    """Whether a rasteriser's package is there; whether it loads is another thing."""
    return name == "torch" or importlib.util.find_spec(name) is not None


@cache
def _automatic(device: str) -> Chosen:
    best: Name = {"cpu": "numba", "cuda": "pytorch3d"}.get(device, "torch")  # type: ignore[assignment]
    reason = f"the fastest for {device}"
    if not installed(best):
        best, reason = "torch", f"{best} is not installed"
    try:
        chosen = _loaded(best)
    except MienError as error:
        chosen, reason = _loaded("torch"), error.message
    _log.info("rasteriser for %s: %s (%s)", device, chosen.name, reason)
    return chosen


@cache
def _loaded(name: Name) -> Chosen:
    try:
        if name == "numba":
            from backend.rendering.raster_numba import visible_faces
        elif name == "pytorch3d":
            from backend.rendering.raster_pytorch3d import visible_faces
        else:
            visible_faces = raster.visible_faces
    except (ImportError, OSError) as error:  # a package that is not there, or built for another torch
        fault = "does not load" if installed(name) else "is not installed"
        message = f"The rasteriser {name} {fault}: {error}."
        raise MienError(ErrorCode.SETUP_FAILED, message, _REMEDIES[name], {"rasteriser": name}) from error
    return Chosen(name, visible_faces)
