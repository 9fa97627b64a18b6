# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos: every frame once, in order, at its own time, with the right pixels, wherever reading begins."""

from __future__ import annotations

import struct
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.media import video
from backend.media.clip import is_clip, open_clip
from tests.backend.media.films import (
    B_FRAMES,
    CELL,
    GRADUAL,
    HEIGHT,
    OPEN_GOP,
    WIDTH,
    film,
    number_in,
    picture,
)

X265 = {"x265-params": "keyint=12:min-keyint=12:open-gop=1:bframes=3:log-level=none"}
KINDS = {
    "b-frames.mp4": {},
    "b-frames.mkv": {},
    "b-frames.ts": {},
    "b-frames.flv": {},
    "b-frames.avi": {},  # no presentation times in this container
    "b-frames.h264": {},  # no times at all
    "open-gop.mp4": {"options": OPEN_GOP},
    "open-gop.mkv": {"options": OPEN_GOP},
    "open-gop.ts": {"options": OPEN_GOP},
    "gradual.mp4": {"options": GRADUAL},
    "hevc.mp4": {"codec": "libx265", "options": X265},
    "hevc.ts": {"codec": "libx265", "options": X265},
    "ten-bit.mkv": {"codec": "libx265", "options": X265, "layout": "yuv420p10le"},
    "divx.avi": {"codec": "mpeg4", "max_b_frames": 2, "gop_size": 12, "bit_rate": 2_000_000},
    "old.mpg": {"codec": "mpeg2video", "max_b_frames": 2, "gop_size": 12, "bit_rate": 2_000_000},
    "hidden.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "16", "g": "12", "b": "1M"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"auto-alt-ref": "1", "g": "12", "cpu-used": "8", "b": "1M"}},
    "av1.mp4": {"codec": "libsvtav1", "options": {"preset": "12", "g": "12"}},
    "prores.mov": {"codec": "prores_ks", "layout": "yuv422p10le"},
    "stills.avi": {"codec": "mjpeg", "layout": "yuvj420p"},
    "moving.gif": {"codec": "gif", "layout": "rgb8", "rate": 25},
    "animation.mov": {"codec": "qtrle", "layout": "rgb24"},
}


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_once_from_wherever(tmp_path: Path, name: str) -> None:
    """Frames come in order, each at its own time, and a range has the same pixels as the whole."""
    count = 40
    path = film(tmp_path / name, count, **KINDS[name])
    assert is_clip(path)
    with open_clip(path) as clip:
        rate = KINDS[name].get("rate", 30)
        assert clip.info.rate == pytest.approx(rate)
        assert not clip.info.variable_rate
        assert clip.info.times == pytest.approx(np.arange(count) / rate, abs=0.0011)
        assert clip.info.numbers.tolist() == list(range(1, count + 1))
        assert (clip.info.width, clip.info.height) == (WIDTH, HEIGHT)
        frames = list(clip.frames())
        assert [frame.index for frame in frames] == list(range(count))
        assert [number_in(frame.pixels) for frame in frames] == list(range(count))
        assert [frame.time for frame in frames] == clip.info.times.tolist()
        for first in range(0, count, 3):
            frame = next(clip.frames(first))
            assert frame.index == first
            assert np.array_equal(frame.pixels, frames[first].pixels), first
        part = list(clip.frames(13, 26))
        assert [frame.index for frame in part] == list(range(13, 27))
        assert all(np.array_equal(frame.pixels, frames[frame.index].pixels) for frame in part)
        assert not any("left out" in problem for problem in clip.problems)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    gaps=st.lists(st.integers(300, 3000), min_size=14, max_size=40),
    start=st.integers(0, 20000),
    open_gop=st.booleans(),
    suffix=st.sampled_from([".mp4", ".mkv", ".mov"]),
)
def test_variable_rate(tmp_path: Path, gaps: list[int], start: int, open_gop: bool, suffix: str) -> None:
    """Each frame has its own time, counted from the first, whatever the header's rate."""
    base = Fraction(1, 15360)
    stamps = start + np.concatenate([[0], np.cumsum(gaps)])
    options = OPEN_GOP if open_gop else B_FRAMES
    path = film(tmp_path / f"vfr{suffix}", len(stamps), stamps=stamps, base=base, options=options)
    with open_clip(path) as clip:
        clock = 0.0011 if suffix == ".mkv" else 1e-4
        assert clip.info.times == pytest.approx((stamps - start) * float(base), abs=clock)
        assert clip.info.times[0] == 0
        uneven = np.ptp(gaps) * float(base) > 0.01
        assert clip.info.variable_rate or not uneven
        middle = len(stamps) // 2
        assert [number_in(frame.pixels) for frame in clip.frames(middle)] == list(range(middle, len(stamps)))


def test_rate_of_mixed_footage(tmp_path: Path) -> None:
    """Footage of two gaps is variable, and its nominal rate is that of the more frequent one."""
    gaps = [640] * 25 + [512] * 14  # 24 and 30 frames/s in 1/15360 s
    stamps = np.concatenate([[0], np.cumsum(np.random.default_rng(0).permutation(gaps))])
    path = film(tmp_path / "a.mov", len(stamps), stamps=stamps, base=Fraction(1, 15360), rate=30)
    with open_clip(path) as clip:
        assert clip.info.variable_rate
        assert clip.info.rate == pytest.approx(24)


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), 24, 25, Fraction(30000, 1001), 30, 50, Fraction(60000, 1001)])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_nominal_rate(tmp_path: Path, rate: Fraction | int, suffix: str) -> None:
    with open_clip(film(tmp_path / f"a{suffix}", 30, rate=rate)) as clip:
        assert clip.info.rate == float(rate)
        assert not clip.info.variable_rate


@pytest.mark.parametrize("turn", [0, 90, 180, -90])
def test_rotation(tmp_path: Path, turn: int) -> None:
    path = film(tmp_path / "a.mov", 14, turn=turn)
    plain = film(tmp_path / "plain.mov", 14)
    with open_clip(path) as clip, open_clip(plain) as reference:
        expected = [np.rot90(frame.pixels, turn // 90) for frame in reference.frames()]
        assert (clip.info.height, clip.info.width) == expected[0].shape[:2]
        for frame in clip.frames():
            assert frame.pixels.flags.c_contiguous
            assert np.array_equal(frame.pixels, expected[frame.index])


def test_mirrored_by_the_header(tmp_path: Path) -> None:
    """A front camera's matrix mirrors; one that turns by an odd angle is followed to the nearest quarter and said."""
    path = film(tmp_path / "a.mov", 3)
    data = path.read_bytes()
    at = data.index(b"tkhd") + 4 + 40
    one = 1 << 16
    mirror = data[:at] + struct.pack(">9i", -one, 0, 0, 0, one, 0, WIDTH * one, 0, 1 << 30) + data[at + 36 :]
    (tmp_path / "mirror.mov").write_bytes(mirror)
    skew = data[:at] + struct.pack(">9i", one, one // 4, 0, -one // 4, one, 0, 0, 0, 1 << 30) + data[at + 36 :]
    (tmp_path / "skew.mov").write_bytes(skew)
    mirror_path, skew_path = tmp_path / "mirror.mov", tmp_path / "skew.mov"
    with open_clip(path) as clip, open_clip(mirror_path) as mirrored, open_clip(skew_path) as odd:
        plain = next(clip.frames()).pixels
        assert np.array_equal(next(mirrored.frames()).pixels, plain[:, ::-1])
        assert np.array_equal(next(odd.frames()).pixels, plain)
        assert any("quarter turn" in problem for problem in odd.problems)


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(4, 3), (213, 120)), (Fraction(3, 4), (160, 160))])
def test_pixels_that_are_not_square(tmp_path: Path, aspect: Fraction, size: tuple[int, int]) -> None:
    path = film(tmp_path / "a.mkv", 5, sample_aspect_ratio=aspect)
    with open_clip(path) as clip:
        assert (clip.info.width, clip.info.height) == size
        assert all(frame.pixels.shape == (size[1], size[0], 3) for frame in clip.frames())


@pytest.mark.parametrize(("width", "height"), [(157, 121), (143, 64), (145, 97)])
def test_odd_sizes(tmp_path: Path, width: int, height: int) -> None:
    pictures = [picture(number, width, height) for number in range(4)]
    path = film(tmp_path / "a.mkv", pictures, layout="yuv444p", options={"crf": "4"})
    with open_clip(path) as clip:
        assert (clip.info.width, clip.info.height) == (width, height)
        for frame in clip.frames():
            assert np.abs(frame.pixels.astype(int) - pictures[frame.index]).mean() < 3


@pytest.mark.parametrize("layout", ["yuv420p", "yuv420p10le", "yuv422p10le", "yuv444p"])
@pytest.mark.parametrize("matrix", [1, 5, 9])
@pytest.mark.parametrize("full", [False, True])
def test_colours(tmp_path: Path, layout: str, matrix: int, full: bool) -> None:
    """Whatever the matrix, the range and the depth, the colours are those that were meant (BT.601, 709, 2020)."""
    red, blue = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}[matrix]
    meant = np.array([[200, 40, 60], [30, 200, 90], [255, 255, 255], [5, 5, 5], [224, 172, 150]])
    depth = 10 if "10" in layout else 8
    frame = av.VideoFrame(CELL * len(meant), CELL, layout)
    for number, colour in enumerate(meant):
        r, g, b = colour / 255
        luma = red * r + (1 - red - blue) * g + blue * b
        chroma = (b - luma) / (2 - 2 * blue), (r - luma) / (2 - 2 * red)
        scale = 1 << (depth - 8)
        top = (256 * scale - 1) / scale
        values = [luma * top if full else 16 + 219 * luma, *(128 + c * (top if full else 224) for c in chroma)]
        for plane, value in zip(frame.planes, values, strict=True):
            across = len(meant)
            kind = np.uint8 if depth == 8 else np.uint16
            content = np.frombuffer(bytes(plane), kind).reshape(plane.height, -1).copy()
            step = plane.width // across
            content[:, number * step : (number + 1) * step] = round(value * scale)
            plane.update(content.tobytes())
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, layout
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 2 if full else 1
        frame.colorspace, frame.color_range = matrix, 2 if full else 1
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with open_clip(path) as clip:
        pixels = next(clip.frames()).pixels
    found = pixels[CELL // 2, CELL // 2 :: CELL].astype(int)
    assert np.abs(found - meant).max() <= 4


def test_transparent_pixels_over_grey(tmp_path: Path) -> None:
    path = tmp_path / "a.mov"
    pixels = np.zeros((64, 96, 4), np.uint8)
    pixels[:, 48:] = [200, 50, 100, 255]
    with av.open(str(path), "w") as output:
        stream = output.add_stream("qtrle", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "argb"
        output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgba").reformat(format="argb")))
        output.mux(stream.encode(None))
    with open_clip(path) as clip:
        found = next(clip.frames()).pixels
    assert found[30, 20].tolist() == [128, 128, 128]
    assert found[30, 70].tolist() == [200, 50, 100]


def test_edit_list(tmp_path: Path) -> None:
    """Frames before the cut of an edit list are neither counted nor shown, and time begins after it."""
    whole = film(tmp_path / "whole.mp4", 40, options=OPEN_GOP)
    cut = tmp_path / "cut.mp4"
    with av.open(str(whole)) as source, av.open(str(cut), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        begin = None
        for packet in source.demux(video=0):
            if packet.dts is not None:
                begin = 5 * packet.duration if begin is None else begin
                packet.stream, packet.pts, packet.dts = stream, packet.pts - begin, packet.dts - begin
                output.mux(packet)
    with av.open(str(cut)) as check:
        assert any(packet.is_discard for packet in check.demux(video=0))
    with open_clip(cut) as clip:
        shown = [number_in(frame.pixels) for frame in clip.frames()]
        assert shown == list(range(40 - len(shown), 40)) and len(shown) < 40
        assert clip.info.times == pytest.approx(np.arange(len(shown)) / 30, abs=1e-4)
        for first in range(len(shown)):
            assert number_in(next(clip.frames(first)).pixels) == shown[first]
        assert clip.problems == ()


def test_negative_decoding_times(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 20)
    with av.open(str(path)) as source:
        assert next(source.demux(video=0)).dts < 0
    with open_clip(path) as clip:
        assert clip.info.times[0] == 0
        assert [number_in(frame.pixels) for frame in clip.frames(11)] == list(range(11, 20))


def test_high_dynamic_range_and_interlacing_are_said(tmp_path: Path) -> None:
    hlg = film(tmp_path / "hlg.mkv", 3, layout="yuv420p10le", color_trc=18, color_primaries=9, colorspace=9)
    fields = film(tmp_path / "i.mp4", 6, options={"x264-params": "tff=1:log-level=-1"})
    with open_clip(hlg) as one, open_clip(fields) as other:
        assert any("HLG" in problem for problem in one.problems)
        assert any("interlaced" in problem for problem in other.problems)


@pytest.mark.parametrize("key", ["com.apple.quicktime.camera.focal_length.35mm_equivalent", "FocalLengthIn35mmFilm"])
def test_focal_length(tmp_path: Path, key: str) -> None:
    path = film(tmp_path / "a.mov", 3, metadata={key: "26"}, container={"movflags": "use_metadata_tags"}, turn=90)
    with open_clip(path) as clip:
        assert clip.info.focal_35mm == 26
        # 35 mm equivalents compare diagonals: that of the frame to 43.27 mm.
        assert clip.info.focal_px == pytest.approx(26 * np.hypot(WIDTH, HEIGHT) / np.hypot(36, 24))


def test_no_focal_length(tmp_path: Path) -> None:
    with open_clip(film(tmp_path / "a.mov", 3, metadata={"FocalLengthIn35mmFilm": "0"})) as clip:
        assert clip.info.focal_35mm is None and clip.info.focal_px is None


@pytest.mark.parametrize(
    "name", ["with space.mp4", "видео 顔 ü.mp4", "take #3.mp4", "a%04d.mp4", "http:x.mp4", "concat:a.mp4", "-i.mp4"]
)
def test_any_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    film(tmp_path / "plain.mp4", 5).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / name, Path(name)):
        assert is_clip(path)
        with open_clip(path) as clip:
            assert len(list(clip.frames())) == 5


def test_a_long_clip_is_decoded_as_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than the frames asked for are converted, so memory does not depend on the length."""
    converted = []
    real = video.ToPixels.__call__
    monkeypatch.setattr(video.ToPixels, "__call__", lambda self, frame: converted.append(1) or real(self, frame))
    with open_clip(film(tmp_path / "a.mp4", 127)) as clip:
        frames = clip.frames()
        for _ in range(3):
            next(frames)
        assert len(converted) == 3
        frames.close()
        next(clip.frames(120))
        assert len(converted) == 4


def test_iterators_do_not_disturb_each_other(tmp_path: Path) -> None:
    with open_clip(film(tmp_path / "a.mp4", 40)) as clip:
        one, other = clip.frames(), clip.frames(20)
        pairs = [(next(one).pixels, next(other).pixels) for _ in range(20)]
        assert [(number_in(a), number_in(b)) for a, b in pairs] == [(n, n + 20) for n in range(20)]
        found: list[list[int]] = []

        def read() -> None:
            found.append([number_in(frame.pixels) for frame in clip.frames(5, 30)])

        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [list(range(5, 31))] * 3


def test_ranges_outside_are_refused_and_a_closed_clip_too(tmp_path: Path) -> None:
    with open_clip(film(tmp_path / "a.mp4", 10)) as clip:
        for first, last in ((-1, 3), (4, 3), (0, 10), (10, None)):
            with pytest.raises(IndexError):
                clip.frames(first, last)
        running = clip.frames()
        next(running)
    with pytest.raises(ValueError, match="closed"):
        next(running)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
def test_beside_sound_and_a_smaller_video(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as output:
        speech = output.add_stream("aac", rate=48000, layout="mono")
        streams = [output.add_stream("libx264", rate=30, options=B_FRAMES) for _ in range(2)]
        for stream, size in zip(streams, ((80, 60), (WIDTH, HEIGHT)), strict=True):
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
        for number in range(20):
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.float32), format="fltp", layout="mono")
            sound.rate, sound.pts = 48000, 1600 * number
            output.mux(speech.encode(sound))
            for stream in streams:
                pixels = picture(number if stream.width == WIDTH else 0)
                frame = av.VideoFrame.from_ndarray(pixels).reformat(stream.width, stream.height, "yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, 30)
                output.mux(stream.encode(frame))
        for stream in (speech, *streams):
            output.mux(stream.encode(None))
    with open_clip(path) as clip:
        assert (clip.info.width, clip.info.height) == (WIDTH, HEIGHT)
        assert [number_in(frame.pixels) for frame in clip.frames()] == list(range(20))
        assert number_in(next(clip.frames(15)).pixels) == 15
        assert clip.problems == ("The file holds 2 videos; the largest one is used.",)


def test_large_pictures_decoded_several_at_once(tmp_path: Path) -> None:
    """Above full HD frames are decoded by several threads; they come in the same order with the same pixels."""
    options = {"x264-params": OPEN_GOP["x264-params"] + ":keyint=8:min-keyint=8", "preset": "ultrafast"}
    pictures = [picture(number, 2048, 1152) for number in range(26)]
    with open_clip(film(tmp_path / "a.mp4", pictures, options=options)) as clip:
        frames = [(frame.index, number_in(frame.pixels), frame.pixels[::9, ::9].copy()) for frame in clip.frames()]
        assert [(index, number) for index, number, _ in frames] == [(number, number) for number in range(26)]
        for first in (3, 9, 17, 25):
            assert np.array_equal(next(clip.frames(first)).pixels[::9, ::9], frames[first][2])
