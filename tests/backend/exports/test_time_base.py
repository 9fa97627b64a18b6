# SPDX-License-Identifier: GPL-3.0-or-later
"""The times of 10,000 frames in every format that has times, at steady and uneven rates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from backend.exports.arkit_files import read_arkit_json, read_csv
from backend.exports.facs import read_facs
from backend.exports.flame_motion import Shot
from backend.exports.formats import TAKE_FORMATS, export_take
from backend.exports.gaussian_avatars import cameras
from backend.exports.importing import ImportOptions, import_take
from backend.exports.livelink import read_livelink
from backend.exports.livelink_udp import Packet, packets
from backend.exports.motion import read_motion
from backend.exports.records import read_records
from backend.exports.vhap import read_vhap
from backend.exports.vrm import read_vrm
from backend.exports.vrma import read_vrma
from backend.heads import load_head
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.take import Take
from tests.arkit_takes import arkit_take
from tests.fake_flame import flame_take

FRAMES = 10_000
RATES = {
    "23.976": 24000 / 1001,
    "24": 24.0,
    "25": 25.0,
    "29.97": 30000 / 1001,
    "30": 30.0,
    "59.94": 60000 / 1001,
    "60": 60.0,
    "uneven": 30.0,
}
READERS: dict[str, Callable[[Path], np.ndarray]] = {
    "npz": lambda path: Take.load(path).time,
    "livelink": lambda path: read_livelink(path).curves.time,
    "arkit-csv": lambda path: read_csv(path).time,
    "arkit-json": lambda path: read_arkit_json(path).time,
    "facs": lambda path: read_facs(path).time,
    "vrm": lambda path: read_vrm(path).time,
    "vrma": lambda path: read_vrma(path).time,
    "vrma-arkit": lambda path: read_vrma(path).time,
    "motion": lambda path: read_motion(path).time,
}


def times(clip: str, frames: int = FRAMES) -> np.ndarray:
    """The times of a clip: steady, or as a phone records them, up to 40 % of a frame early or late."""
    steady = np.arange(frames) / RATES[clip]
    if clip != "uneven":
        return steady
    late = np.random.default_rng(0).uniform(0, 0.4, frames) / RATES[clip]
    return steady + late - late[0]


@pytest.fixture(scope="module")
def long_take() -> Take:
    return arkit_take(FRAMES, valid=np.ones(FRAMES, bool))


def timed(take: Take, clip: str) -> Take:
    meta = {**take.meta.to_json(), "rate": RATES[clip]}
    _, arrays = take.to_arrays()
    return Take.from_arrays(meta, arrays | {"time": times(clip)})


def off(back: np.ndarray, clip: str) -> float:
    """Largest error in frames of the clip."""
    expected = times(clip)
    assert back.shape == expected.shape
    return float(np.abs(back - expected).max() * RATES[clip])


def test_every_format_with_times_is_here() -> None:
    assert set(TAKE_FORMATS) - set(READERS) == {"vhap", "gaussian-avatars"}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("clip", RATES)
def test_files_keep_the_time(name: str, clip: str, long_take: Take, tmp_path: Path) -> None:
    path = export_take(timed(long_take, clip), name, tmp_path, "shot")[0]
    assert off(READERS[name](path), clip) < 0.01


@pytest.mark.parametrize("clip", RATES)
def test_live_link_becomes_a_take_with_the_same_time(clip: str, long_take: Take, tmp_path: Path) -> None:
    path = export_take(timed(long_take, clip), "livelink", tmp_path, "shot")[0]
    take = import_take(path, ImportOptions()).take
    assert off(take.time, clip) < 0.01
    assert take.valid.all()
    if clip != "uneven":
        assert take.meta.rate == pytest.approx(RATES[clip], rel=1e-6)


@pytest.mark.parametrize("clip", RATES)
def test_packets_tell_the_time(clip: str, long_take: Take) -> None:
    told = [Packet.decode(packet.encode()).seconds for _, packet in packets(timed(long_take, clip), "Mien")]
    assert off(np.array(told), clip) < 0.01


@pytest.mark.parametrize("clip", RATES)
def test_flame_files_keep_the_time(clip: str, flame: HeadDescription, tmp_path: Path) -> None:
    take = timed(flame_take(flame, FRAMES), clip)
    path = export_take(take, "vhap", tmp_path, "shot")[0]
    (record,) = read_records(path)
    assert off(read_vhap(record, flame, Shot()).time, clip) == 0
    assert off(np.array(cameras(take)["mien"]["time"]), clip) == 0


if __name__ == "__main__":
    import tempfile

    whole = arkit_take(FRAMES, valid=np.ones(FRAMES, bool))
    assert load_head("open").sha256 == whole.meta.head_sha256
    worst: dict[str, float] = {}
    for rate_name in RATES:
        one = timed(whole, rate_name)
        with tempfile.TemporaryDirectory() as temporary:
            for format_name, read in READERS.items():
                error = off(read(export_take(one, format_name, Path(temporary), "shot")[0]), rate_name)
                worst[format_name] = max(worst.get(format_name, 0.0), error)
        sent = off(np.array([Packet.decode(p.encode()).seconds for _, p in packets(one, "Mien")]), rate_name)
        worst["livelink-udp"] = max(worst.get("livelink-udp", 0.0), sent)
    print({name: f"{error:.2g}" for name, error in worst.items()})
