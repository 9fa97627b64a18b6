# SPDX-License-Identifier: GPL-3.0-or-later
"""Every format written, read back and compared within its own precision. `python -m` this file prints the errors."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.exports.arkit_files import read_arkit_json, read_csv
from backend.exports.facs import action_units, read_facs
from backend.exports.flame_motion import Shot
from backend.exports.formats import TAKE_FORMATS, export_take
from backend.exports.gaussian_avatars import read_gaussian_avatars
from backend.exports.livelink import read_livelink
from backend.exports.livelink_udp import Packet, packets
from backend.exports.motion import motion_of, read_motion
from backend.exports.vrm import expression_curves, read_vrm
from backend.exports.vrma import read_vrma
from backend.heads import load_head
from blender_addon.contract.arkit import ArkitCurves, arkit_curves
from blender_addon.contract.take import Take
from tests.arkit_takes import arkit_take
from tests.fake_flame import flame_take, write_flame

FRAMES = 60
Errors = dict[str, float]


def far(one: np.ndarray, other: np.ndarray) -> float:
    """Largest distance of two arrays of one shape."""
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    assert one.shape == other.shape
    return float(np.abs(one - other).max())


def turned(one: np.ndarray, other: np.ndarray) -> float:
    """Largest angle between axis-angle rotations (..., 3), radians."""
    between = Rotation.from_rotvec(one.reshape(-1, 3)) * Rotation.from_rotvec(other.reshape(-1, 3)).inv()
    return float(between.magnitude().max())


def of_curves(read: Callable[[Path], ArkitCurves]) -> Callable[[Take, Path], Errors]:
    def errors(take: Take, path: Path) -> Errors:
        back, curves = read(path), arkit_curves(take)
        np.testing.assert_array_equal(back.valid, curves.valid)
        return {
            "time": far(back.time, curves.time),
            "weights": far(back.weights, curves.weights),
            "angles": far(back.angles, curves.angles),
        }

    return errors


def of_npz(take: Take, path: Path) -> Errors:
    back = Take.load(path)
    assert back.meta == take.meta
    (_, one), (_, other) = take.to_arrays(), back.to_arrays()
    return {name: far(array, other[name]) for name, array in one.items()}


def of_livelink(take: Take, path: Path) -> Errors:
    back, curves = read_livelink(path).curves, arkit_curves(take)
    return {
        "time": far(back.time, curves.time - curves.time[0]),
        "weights": far(back.weights, curves.weights),
        "angles": far(back.angles, curves.angles),
    }


def of_facs(take: Take, path: Path) -> Errors:
    back, units = read_facs(path), action_units(take)
    np.testing.assert_array_equal(back.frame, units.frame)
    return {"time": far(back.time, units.time), "units": far(back.values, units.values)}


def of_vrm(read: Callable[[Path], object], groups: tuple[str, ...]) -> Callable[[Take, Path], Errors]:
    def errors(take: Take, path: Path) -> Errors:
        back, curves = read(path), expression_curves(take)
        found = {"time": far(back.time, curves.time)}
        for group in groups:
            one, other = getattr(curves, group), getattr(back, group)
            assert set(other) == (set(one) if read is read_vrm else {name for name in one if "look" not in name})
            found[group] = max(far(values, one[name]) for name, values in other.items())
        return found

    return errors


def of_flame(take: Take, path: Path) -> Errors:
    back = read_gaussian_avatars(path, load_head(_flame_path(take)), Shot())
    np.testing.assert_array_equal(back.valid, take.valid)
    assert back.image_size == tuple(take.image_size)
    found = {name: far(getattr(back, name), getattr(take, name)) for name in ("time", "identity", "expression")}
    for name in ("head_rotation", "neck", "jaw", "eyes"):
        found[name] = turned(getattr(back, name), getattr(take, name))
    found["translation"] = far(back.translation, take.translation)
    found["camera"] = far(back.camera_matrix, take.camera_matrix) / 1000
    return found


def of_motion(take: Take, path: Path) -> Errors:
    back, motion = read_motion(path), motion_of(take)
    np.testing.assert_array_equal(back.valid, motion.valid)
    np.testing.assert_array_equal(back.frame, motion.frame)
    found = {
        name: far(getattr(back, name), getattr(motion, name)) for name in ("time", "confidence", "place", "camera")
    }
    return found | {"rotations": turned(back.rotations, motion.rotations)}


TIMECODE = 0.5 / 60_000 + 1e-9
FLOAT32 = 2.0**-23
READERS: dict[str, tuple[Callable[[Take, Path], Errors], dict[str, float], float]] = {
    # what compares, bounds by quantity, bound of everything else
    "npz": (of_npz, {}, 0.0),
    "livelink": (of_livelink, {"time": 2 * TIMECODE}, 1e-9),
    "arkit-csv": (of_curves(read_csv), {"time": 0.0}, 1e-9),
    "arkit-json": (of_curves(read_arkit_json), {"time": 0.0}, 1e-9),
    "facs": (of_facs, {"time": 0.0}, 1e-6),
    "vrm": (of_vrm(read_vrm, ("presets", "custom")), {"time": 0.0}, 1e-6),
    "vrma": (of_vrm(read_vrma, ("presets",)), {}, FLOAT32),
    "vrma-arkit": (of_vrm(read_vrma, ("custom",)), {}, FLOAT32),
    "vhap": (of_flame, {"time": 0.0, "identity": 0.0, "expression": 0.0}, 2e-6),
    "gaussian-avatars": (of_flame, {"time": 0.0, "identity": 0.0, "expression": 0.0}, 2e-6),
    "motion": (of_motion, {"time": 0.0, "camera": 1e-7}, 1e-7),
}
_folder = tempfile.TemporaryDirectory(prefix="mien-flame-")


def _flame_path(_: Take) -> Path:
    path = Path(_folder.name) / "flame2020.npz"
    return path if path.exists() else write_flame(path)


def some_take(name: str, frames: int = FRAMES) -> Take:
    """A take that can go to a format."""
    if name in ("vhap", "gaussian-avatars"):
        return flame_take(load_head(_flame_path(None)), frames)
    return arkit_take(frames)


def measured(name: str, folder: Path) -> Errors:
    """Round-trip errors of a format by quantity."""
    take = some_take(name)
    return READERS[name][0](take, export_take(take, name, folder, "shot")[0])


def test_every_format_is_here() -> None:
    assert set(READERS) == set(TAKE_FORMATS)


@pytest.mark.parametrize("name", READERS)
def test_there_and_back(name: str, tmp_path: Path) -> None:
    _, bounds, rest = READERS[name]
    for quantity, error in measured(name, tmp_path).items():
        assert error <= bounds.get(quantity, rest), quantity


def test_packets_there_and_back() -> None:
    take = arkit_take(FRAMES)
    curves = arkit_curves(take)
    values = np.concatenate((curves.weights, curves.angles), axis=1)
    for index, (due, packet) in enumerate(packets(take, "Éva")):
        back = Packet.decode(packet.encode())
        assert (back.subject, back.device, back.rate) == ("Éva", packet.device, (60, 1))
        assert abs(back.seconds - take.time[index]) <= TIMECODE + 1e-8
        assert due == take.time[index] - take.time[0]
        assert (back.values is None) == (not take.valid[index])
        if back.values is not None:
            np.testing.assert_allclose(back.values, values[index], atol=FLOAT32)


if __name__ == "__main__":
    for format_name in READERS:
        with tempfile.TemporaryDirectory() as temporary:
            print(format_name, {key: f"{error:.2g}" for key, error in measured(format_name, Path(temporary)).items()})
