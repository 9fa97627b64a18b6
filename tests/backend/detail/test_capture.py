# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a capture whose takes have detail codes; the capture itself is stood in for."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from backend.capture_files import Wanted, write_capture
from backend.heads.flame import load_flame
from backend.networks.detail_decoder import DetailDecoder
from backend.outputs import OutputPaths
from backend.progress import NoProgress, cancelled
from backend.weights.parts import write_part
from blender_addon.contract.errors import MienError
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.take import Take
from tests.fake_flame import flame_take, write_flame
from tests.seeded_networks import seeded


@pytest.fixture
def captured(mien_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs `write_capture` of a made-up take of four frames; gives the folder of its files."""
    state = seeded(DetailDecoder()).state_dict()
    write_part("deca", {f"D_detail.{name}": t.numpy() for name, t in state.items()}, origin="x", sha256="1" * 64)
    take = flame_take(load_flame(write_flame(tmp_path / "generic_model.npz")), frames=4)
    codes = np.random.default_rng(0).standard_normal((4, 128)).astype(np.float32)
    take = replace(take, extra={**take.extra, "detail_code": codes})
    result = SimpleNamespace(takes=(take,), report={"seconds": {}, "clip": {}}, contact_sheet=None, of_clip=True)
    monkeypatch.setattr("backend.pipeline.capture", lambda *_: result)
    (out := tmp_path / "out").mkdir()

    def run(progress: NoProgress | None = None, **changes: object):
        options = CaptureOptions("clip.mp4", engine="deca", **changes)
        wanted = Wanted(OutputPaths(out, "clip", True), overlay=False)
        session = SimpleNamespace(device=torch.device("cpu"))
        return write_capture(session, options, wanted, progress or NoProgress(), time.perf_counter())

    return SimpleNamespace(run=run, out=out)


def test_the_take_names_its_maps(captured):
    written = captured.run(displacement=2)
    take = Take.load(captured.out / "clip.take.npz")
    assert take.meta.displacement == tuple(f"clip.displacement/{number:04d}.exr" for number in (1, 1, 3, 3))
    assert all((captured.out / name).is_file() for name in take.meta.displacement)
    assert written.report["displacement"] == {"maps": 2, "every": 2}
    assert captured.out / "clip.displacement" in written.files


def test_none_are_made_where_none_are_wanted(captured):
    written = captured.run(displacement=0)
    assert Take.load(written.takes[0]).meta.displacement == ()
    assert not (captured.out / "clip.displacement").exists()


def test_a_run_that_is_stopped_keeps_the_take_without_maps(captured):
    class Stopping(NoProgress):
        def check_cancelled(self) -> None:
            raise cancelled()

    with pytest.raises(MienError):
        captured.run(Stopping())
    assert Take.load(captured.out / "clip.take.npz").meta.displacement == ()
    assert not (captured.out / "clip.displacement").exists()
    captured.run()
    assert len(set(Take.load(captured.out / "clip.take.npz").meta.displacement)) == 4
