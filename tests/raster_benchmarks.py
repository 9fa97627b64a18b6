# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the rasterisers take to find what of a head a picture shows, against ours in torch in the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from backend.heads import load_head
from backend.heads.model import HeadModel
from backend.rendering.camera import project_weak
from backend.rendering.rasterisers import Name, choose_rasteriser, installed
from backend.session import Session
from tests.bench_rows import row
from tests.face_flame import face_flame

SIZES = ((224, 224), (448, 448))
"""Of the training's renders, and of what synthetic pictures are drawn from."""
_ROUNDS = 21


def rasterisers(session: Session, folder: Path) -> None:
    """Print milliseconds an image for heads of the open head's and of FLAME's size."""
    flame = face_flame().fields
    heads = (
        HeadModel(load_head())().vertices.detach(),
        torch.from_numpy(flame["v_template"]).float()[None],
    )
    faces = (load_head().faces, flame["f"].astype("int64"))
    names = [name for name in get_args(Name) if installed(name)]
    for vertices, triangles in zip(heads, faces, strict=True):
        points = project_weak(vertices, torch.tensor([[9.0, 0.0, 0.02]]))
        for size in SIZES:
            times = _milliseconds(names, points, torch.from_numpy(triangles).long(), size)
            for name, taken in times.items():
                what = f"{name} rasteriser, {points.shape[1]} vertices, {size[0]}x{size[1]}"
                row(what, f"{taken:.1f} ms", f"{times['torch'] / taken:.1f} x as fast as torch")


def _milliseconds(names: list[Name], points: Tensor, faces: Tensor, size: tuple[int, int]) -> dict[Name, float]:
    """Median of each; they take turns, so that a busy machine slows all of them. The first round does not count."""
    runs: dict[Name, Callable[[Tensor, Tensor, tuple[int, int]], Tensor]] = {
        name: choose_rasteriser(name, "cpu").visible_faces for name in names
    }
    times: dict[Name, list[float]] = {name: [] for name in names}
    for _ in range(_ROUNDS):
        for name, run in runs.items():
            start = time.perf_counter()
            run(points, faces, size)
            times[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}
