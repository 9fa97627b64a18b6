# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbered pictures: which ones belong together, their numbers and times, their gaps."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from backend.media.clip import frame_range, open_clip
from backend.media.colour import BACKDROP
from backend.media.exif import DIAGONAL_35MM
from backend.media.numbered import find_numbered
from backend.media.sequence import srgb_of_linear
from blender_addon.contract.errors import ErrorCode, MienError
from tests.backend.media.films import HEIGHT, WIDTH, number_in, picture


def shots(folder: Path, numbers: list[int], name: str = "shot.{:04d}.png", **options: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        Image.fromarray(picture(number % 128)).save(folder / name.format(number), **options)
    return folder


def cause(path: Path) -> object:
    with pytest.raises(MienError) as caught:
        open_clip(path)
    assert caught.value.code is ErrorCode.BAD_CLIP
    return caught.value.details["cause"]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    numbers=st.sets(st.integers(0, 120), min_size=2, max_size=8), fps=st.sampled_from([None, 24.0, 25.0, 30000 / 1001])
)
def test_numbers_and_gaps(tmp_path_factory: pytest.TempPathFactory, numbers: set[int], fps: float | None) -> None:
    folder = shots(tmp_path_factory.mktemp("sequence"), sorted(numbers))
    with open_clip(folder, fps) as clip:
        info = clip.info
        assert info.numbers.tolist() == sorted(numbers)
        assert info.numbers.dtype == np.int32
        assert info.missing == tuple(sorted(set(range(min(numbers), max(numbers))) - numbers))
        assert info.times == pytest.approx([(number - min(numbers)) / (fps or 24) for number in sorted(numbers)])
        assert info.rate == (fps or 24) and not info.variable_rate
        assert (info.width, info.height) == (WIDTH, HEIGHT)
        frames = list(clip.frames())
        assert [number_in(frame.pixels) for frame in frames] == sorted(numbers)
        assert [frame.time for frame in frames] == info.times.tolist()
        assert bool(clip.problems) == bool(info.missing)


def test_gaps_are_named(tmp_path: Path) -> None:
    with open_clip(shots(tmp_path, [1001, 1002, 1005, 1006, 1008])) as clip:
        assert clip.info.problems == ("3 pictures are missing from shot.####.png: 1003-1004, 1007.",)
        assert frame_range(clip.info, 1003, 1007) == (2, 3)
        assert frame_range(clip.info, 1001, 1008) == (0, 4)
        with pytest.raises(MienError) as caught:
            frame_range(clip.info, 1003, 1004)
        assert caught.value.code is ErrorCode.USAGE
        with pytest.raises(MienError):
            frame_range(clip.info, 1000, 1008)


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("s.####.png", [1, 2, 12345]),
        ("s.%04d.png", [1, 2, 12345]),
        ("s.#.png", [1, 2, 7, 12345]),
        ("s.%d.png", [1, 2, 7, 12345]),
        ("s.#####.png", [12345]),
    ],
)
def test_patterns(tmp_path: Path, pattern: str, fits: list[int]) -> None:
    for name in ("s.0001.png", "s.0002.png", "s.7.png", "s.12345.png", "s.0001.jpg", "s.0001.left.png", "t.0001.png"):
        (tmp_path / name).touch()
    if len(fits) > 1:
        (tmp_path / "s.12345.png").unlink()
        fits = fits[:-1]
    assert list(find_numbered(tmp_path / pattern).files) == fits


def test_pattern_with_digits_and_signs_around(tmp_path: Path) -> None:
    shots(tmp_path / "отснято 顔 a+b", [3, 4], "take #2 (v1) [x].{:03d}.left.png")
    with open_clip(tmp_path / "отснято 顔 a+b" / "take #2 (v1) [x].###.left.png") as clip:
        assert clip.info.numbers.tolist() == [3, 4]
        assert len(list(clip.frames())) == 2


def test_folder_beside_other_things(tmp_path: Path) -> None:
    shots(tmp_path, list(range(8, 12)), "v2_shot{}.png")
    shots(tmp_path, [1], "poster{}.png")
    (tmp_path / "notes12.txt").write_text("x")
    (tmp_path / "._v2_shot8.png").write_bytes(b"x")
    (tmp_path / "sub1.png").mkdir()
    with open_clip(tmp_path) as clip:
        assert clip.info.numbers.tolist() == [8, 9, 10, 11]
        assert [number_in(frame.pixels) for frame in clip.frames(1, 2)] == [9, 10]


def test_folder_of_one(tmp_path: Path) -> None:
    with open_clip(shots(tmp_path, [5])) as clip:
        assert clip.info.numbers.tolist() == [5] and clip.info.times.tolist() == [0]


def test_several_sequences_are_named(tmp_path: Path) -> None:
    shots(tmp_path, [1, 2, 3], "beauty.{:04d}.png")
    shots(tmp_path, [1, 2], "depth.{:04d}.png")
    with pytest.raises(MienError) as caught:
        open_clip(tmp_path)
    assert caught.value.details["cause"] == "several"
    assert "beauty.####.png (3)" in caught.value.message and "depth.####.png (2)" in caught.value.message
    with open_clip(tmp_path / "depth.####.png") as clip:
        assert clip.info.numbers.tolist() == [1, 2]


def test_folders_without_a_sequence(tmp_path: Path) -> None:
    assert cause(tmp_path) == "folder_empty"
    (tmp_path / "a.mp4").write_bytes(b"x")
    assert cause(tmp_path) == "folder_empty"
    Image.fromarray(picture(1)).save(tmp_path / "me.png")
    assert cause(tmp_path) == "not_numbered"
    assert cause(shots(tmp_path / "dates", [20240101, 20250101, 20260101], "{}.png")) == "numbering"
    assert cause(shots(tmp_path / "huge", [2**31, 2**31 + 1], "{}.png")) == "numbering"
    twice = shots(tmp_path / "twice", [1, 2], "{}.png")
    assert cause(shots(twice, [1], "{:02d}.png")) == "same_number"


def test_pictures_that_cannot_be_read(tmp_path: Path) -> None:
    folder = shots(tmp_path, list(range(1, 9)))
    (folder / "shot.0001.png").write_bytes(b"")
    whole = (folder / "shot.0004.png").read_bytes()
    (folder / "shot.0004.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(picture(6, 200, 100)).save(folder / "shot.0006.png")
    with open_clip(folder) as clip:
        (folder / "shot.0008.png").unlink()
        frames = list(clip.frames())
        assert [clip.info.numbers[frame.index] for frame in frames] == [2, 3, 5, 7]
        text = " ".join(clip.problems)
        for number in (1, 4, 6, 8):
            assert f"Frame {number} is left out" in text


def test_none_can_be_read(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"a.{number}.png").write_bytes(b"nothing")
    with pytest.raises(MienError) as caught:
        open_clip(tmp_path)
    assert caught.value.code is ErrorCode.BAD_IMAGE
    assert "a.1.png" in caught.value.message


def test_sixteen_bits_turned_and_with_a_lens(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0xA405] = 50
    shots(tmp_path / "a", [1, 2], "a{}.jpg", exif=exif)
    with open_clip(tmp_path / "a") as clip:
        assert (clip.info.width, clip.info.height) == (HEIGHT, WIDTH)
        assert clip.info.focal_35mm == 50
        assert clip.info.focal_px == pytest.approx(50 * np.hypot(WIDTH, HEIGHT) / DIAGONAL_35MM)
    grey = np.linspace(0, 65535, 96 * 80).reshape(80, 96).astype(np.uint16)
    for number in (1, 2):
        Image.fromarray(grey).save(tmp_path / f"deep{number}.png")
    with open_clip(tmp_path / "deep#.png") as clip:
        pixels = next(clip.frames()).pixels
        assert np.abs(pixels[..., 0].astype(float) - grey / 257).max() <= 1


def write_still(path: Path, pixels: np.ndarray, kind: str, codec: str, options: dict[str, str] | None = None) -> None:
    frame = av.VideoFrame.from_ndarray(pixels, format=kind)
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = *pixels.shape[1::-1], kind, Fraction(1, 24)
    encoder.options = options or {}
    frame.pts = 0
    path.write_bytes(b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)]))


@pytest.mark.parametrize("options", [{}, {"format": "half"}, {"compression": "zip16"}])
def test_exr(tmp_path: Path, options: dict[str, str]) -> None:
    """Linear light becomes sRGB; more than white is white, and what is no number black."""
    linear = np.zeros((64, 96, 3), np.float32)
    linear[..., 0], linear[..., 1] = 0.18, np.linspace(0, 1.5, 96)
    linear[0, 0, 2] = np.nan
    for number in (1001, 1002):
        write_still(tmp_path / f"s.{number}.exr", linear, "gbrpf32le", "exr", options)
    with open_clip(tmp_path) as clip:
        pixels = next(clip.frames()).pixels
    green = 255 * srgb_of_linear(linear[0, :, 1])
    assert pixels.shape == (64, 96, 3)
    assert np.abs(pixels[5, :, 1] - green).max() <= 1
    assert set(np.unique(pixels[..., 0])) == {118}  # middle grey, 18 %
    assert not pixels[..., 2].any()


def test_exr_over_grey(tmp_path: Path) -> None:
    linear = np.full((64, 96, 4), 0.0, np.float32)
    linear[:, 48:] = [0.09, 0.09, 0.09, 0.5]  # half of 18 % grey
    for number in (1, 2):
        write_still(tmp_path / f"s.{number}.exr", linear, "gbrapf32le", "exr")
    with open_clip(tmp_path) as clip:
        pixels = next(clip.frames()).pixels
    assert set(np.unique(pixels[:, :48])) == {BACKDROP}
    assert set(np.unique(pixels[:, 48:])) == {123}


def test_dpx_and_a_damaged_exr(tmp_path: Path) -> None:
    colour = np.full((64, 96, 3), [200, 100, 50], np.uint8)
    write_still(tmp_path / "d1.dpx", colour, "rgb24", "dpx")
    with open_clip(tmp_path / "d#.dpx") as clip:
        assert np.abs(next(clip.frames()).pixels.astype(int) - colour).max() <= 1
    (tmp_path / "e1.exr").write_bytes(b"v/1\x01 but no more")
    assert cause(tmp_path / "e#.exr") == "damaged"


def test_linear_light_to_srgb() -> None:
    """IEC 61966-2-1: the ends, middle grey, and the joint of its two parts."""
    values = srgb_of_linear(np.array([-1.0, 0.0, 0.0031308, 0.18, 1.0, 9.0, np.nan, np.inf]))
    assert values == pytest.approx([0, 0, 0.04045, 0.4614, 1, 1, 0, 1], abs=1e-4)
