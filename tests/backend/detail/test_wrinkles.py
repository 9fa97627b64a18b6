# SPDX-License-Identifier: GPL-3.0-or-later
"""From detail codes to maps on disk, with a decoder of seeded weights in the store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.detail.exr import read_map, write_map
from backend.detail.map_files import own_frames, write_maps
from backend.detail.wrinkles import filled_codes, latents, load_wrinkles
from backend.heads.flame import load_flame
from backend.networks.detail_decoder import DetailDecoder
from backend.progress import NoProgress, cancelled
from backend.weights.parts import write_part
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.take import Take
from tests.fake_flame import flame_take, write_flame
from tests.seeded_networks import seeded

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def decoder() -> DetailDecoder:
    return seeded(DetailDecoder())


@pytest.fixture
def store(mien_home: Path, decoder: DetailDecoder) -> Path:
    arrays = {f"D_detail.{name}": tensor.numpy() for name, tensor in decoder.state_dict().items()}
    write_part("deca", arrays, origin="deca_model.tar", sha256="1" * 64)
    return mien_home


@pytest.fixture
def take(tmp_path: Path) -> Take:
    head = load_flame(write_flame(tmp_path / "generic_model.npz"))
    take = flame_take(head, frames=7)
    codes = np.random.default_rng(1).standard_normal((7, 128)).astype(np.float32)
    return replace(take, extra={**take.extra, "detail_code": codes}, valid=np.array([1, 1, 0, 0, 1, 1, 0], bool))


def add(kind: str, name: str, array: np.ndarray, part_name: str = "") -> None:
    write_part(kind, {name: array}, origin="a file", sha256="2" * 64, name=part_name)  # type: ignore[arg-type]


def test_maps_are_the_decoders_masked_plus_what_all_heads_share(store, decoder, take):
    rng = np.random.default_rng(0)
    mask, fixed = rng.uniform(0, 1, (256, 256)).astype("f4"), 0.001 * rng.standard_normal((256, 256)).astype("f4")
    rows = latents(take, np.array([0, 4]))
    with torch.no_grad():
        predicted = decoder(torch.from_numpy(rows))[:, 0].numpy()
    plain = np.stack(list(load_wrinkles("deca", "", CPU).maps(rows)))
    assert np.abs(plain - predicted).max() < 1e-6
    add("uv_masks", "mask", mask, "face_eye")
    add("fixed_displacement", "displacement", fixed)
    made = np.stack(list(load_wrinkles("deca", "", CPU).maps(rows)))
    assert np.abs(made - (predicted * mask + fixed)).max() < 1e-6
    published = np.stack(list(load_wrinkles("deca", "", CPU, masked=False).maps(rows)))
    assert np.abs(published - (predicted + fixed)).max() < 1e-6


def test_engines_without_a_decoder_make_none(store):
    assert load_wrinkles("emoca", "", CPU) is None
    assert load_wrinkles("fit", "", CPU) is None


def test_a_decoder_of_another_shape_is_refused(mien_home):
    write_part("deca", {"D_detail.l1.0.weight": np.zeros((3, 3), "f4")}, origin="x", sha256="3" * 64)
    with pytest.raises(MienError) as caught:
        load_wrinkles("deca", "", CPU)
    assert caught.value.code is ErrorCode.BAD_HEAD


def test_codes_of_gaps_run_between_their_neighbours(take):
    codes, given = filled_codes(take), take.extra["detail_code"].astype(np.float64)
    np.testing.assert_allclose(codes[[0, 1, 4, 5]], given[[0, 1, 4, 5]])
    np.testing.assert_allclose(codes[2], (2 * given[1] + given[4]) / 3)
    np.testing.assert_allclose(codes[6], given[5])
    cut = replace(take, extra={**take.extra, "segment": np.array([0, 0, 0, 1, 1, 1, 1], np.int32)})
    np.testing.assert_allclose(filled_codes(cut)[2], given[1])
    np.testing.assert_allclose(filled_codes(cut)[3], given[4])


def test_half_floats_lose_a_thousandth_of_a_millimetre(tmp_path, capsys):
    values = np.linspace(-0.002, 0.002, 256 * 256, dtype=np.float32).reshape(256, 256)
    write_map(tmp_path / "0001.exr", values)
    error = np.abs(read_map(tmp_path / "0001.exr") - values).max()
    with capsys.disabled():
        print(f"half float within 2 mm: {error:.2e} m")
    assert error < 1e-6
    (tmp_path / "0002.exr").write_bytes((tmp_path / "0001.exr").read_bytes()[:1000])
    with pytest.raises(MienError) as caught:
        read_map(tmp_path / "0002.exr")
    assert caught.value.code is ErrorCode.BAD_TAKE


def test_every_second_map_of_each_shot_beside_the_take(store, take, tmp_path):
    cut = replace(take, extra={**take.extra, "segment": np.array([0, 0, 0, 1, 1, 1, 1], np.int32)})
    assert own_frames(cut, 2).tolist() == [0, 2, 3, 5]
    wrinkles = load_wrinkles("deca", "", CPU)
    named = write_maps(wrinkles, cut, 2, tmp_path / "shot.displacement", NoProgress())
    files = [f"shot.displacement/{number:04d}.exr" for number in (1, 1, 3, 4, 4, 6, 6)]
    assert named.meta.displacement == tuple(files)
    assert {path.name for path in (tmp_path / "shot.displacement").iterdir()} == {Path(name).name for name in files}
    assert not list(tmp_path.glob(".shot*"))
    (expected,) = wrinkles.maps(latents(cut, np.array([5])))
    assert np.abs(read_map(tmp_path / files[6]) - expected).max() < 4e-6


def test_a_run_that_was_stopped_goes_on_and_leaves_nothing_half(store, take, tmp_path):
    class Stopping(NoProgress):
        made = 0

        def check_cancelled(self) -> None:
            self.made += 1
            if self.made > 3:
                raise cancelled()

    folder, wrinkles = tmp_path / "shot.displacement", load_wrinkles("deca", "", CPU)
    with pytest.raises(MienError):
        write_maps(wrinkles, take, 1, folder, Stopping())
    assert not folder.exists()
    (work,) = tmp_path.glob(".shot*")
    first = (work / "0001.exr").stat().st_mtime_ns
    write_maps(wrinkles, take, 1, folder, NoProgress())
    assert len(list(folder.iterdir())) == 7
    assert (folder / "0001.exr").stat().st_mtime_ns == first
    write_maps(wrinkles, replace(take, jaw=take.jaw + 0.1), 3, folder, NoProgress())
    assert len(list(folder.iterdir())) == 3
    assert not list(tmp_path.glob(".shot*"))
