# SPDX-License-Identifier: GPL-3.0-or-later
"""Footage that is broken says what is wrong; what is whole of it is used."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from backend.media.clip import frame_range, is_clip, open_clip
from blender_addon.contract.errors import ErrorCode, MienError
from tests.backend.media.films import film, number_in, picture, sound

NOT_ROOT = pytest.mark.skipif(
    sys.platform == "win32" or (hasattr(os, "geteuid") and os.geteuid() == 0), reason="needs permissions that bind"
)


def refused(path: Path | str, **options: float) -> MienError:
    with pytest.raises(MienError) as caught:
        open_clip(path, **options)
    error = caught.value
    assert str(path) in error.message or error.code is ErrorCode.USAGE
    assert error.remedy.endswith(".") and error.message.endswith(".")
    return error


def cause(path: Path) -> object:
    error = refused(path)
    assert error.code is ErrorCode.BAD_CLIP
    return error.details["cause"]


def test_missing(tmp_path: Path) -> None:
    assert refused(tmp_path / "a.mp4").code is ErrorCode.MISSING_FILE
    assert refused(tmp_path / "a.####.png").code is ErrorCode.MISSING_FILE
    with pytest.raises(MienError, match="no cannot be read") as caught:
        open_clip(tmp_path / "no" / "a.####.png")
    assert caught.value.code is ErrorCode.MISSING_FILE


@NOT_ROOT
def test_not_permitted(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 3)
    path.chmod(0)
    assert refused(path).code is ErrorCode.NOT_PERMITTED


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    assert cause(tmp_path / "a.mp4") == "no_file"
    assert cause(Path("/dev/zero")) == "no_file"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (b"some notes about a video\n" * 40, "not_a_clip"),
        (bytes(range(256)) * 64, "not_a_clip"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nvictim.mp4\n", "playlist"),
        (b"ffconcat version 1.0\nfile victim.mp4\n", "playlist"),
        (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n", "playlist"),
        (b"\xef\xbb\xbf#EXTM3U\nvictim.mp4\n", "not_a_clip"),
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".sdp", ".txt", ".ffconcat"])
def test_no_video(tmp_path: Path, content: bytes, expected: str, suffix: str) -> None:
    """Lists that would make FFmpeg open other files or addresses are no videos, whatever their name."""
    film(tmp_path / "victim.mp4", 3)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    assert cause(path) == expected
    assert is_clip(path) == (suffix == ".mp4")


@pytest.mark.parametrize("name", ["http://127.0.0.1:9/a.mp4", "concat:a.mp4|a.mp4", "data:text/plain,hello", "pipe:0"])
def test_an_address_is_only_a_missing_file(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    film(tmp_path / "a.mp4", 3)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MienError) as caught:
        open_clip(name)
    assert caught.value.code is ErrorCode.MISSING_FILE


def test_sound_only(tmp_path: Path) -> None:
    assert cause(sound(tmp_path / "a.mp4")) == "audio_only"
    assert cause(sound(tmp_path / "a.mkv")) == "audio_only"


def test_no_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=30)
        stream.width, stream.height = 64, 64
        output.start_encoding()
    assert cause(path) in ("no_frames", "not_a_clip")


def test_one_frame(tmp_path: Path) -> None:
    with open_clip(film(tmp_path / "a.mp4", 1, rate=25)) as clip:
        assert clip.info.times.tolist() == [0.0]
        assert clip.info.rate == 25
        assert [number_in(frame.pixels) for frame in clip.frames()] == [0]


def test_recording_that_was_never_finished(tmp_path: Path) -> None:
    """An MP4 whose index at its end is missing: nothing can be read, and that is said."""
    data = film(tmp_path / "whole.mp4").read_bytes()
    path = tmp_path / "a.mp4"
    for length in (len(data) // 3, data.index(b"moov") - 4, data.index(b"moov") + 40):
        path.write_bytes(data[:length])
        error = refused(path)
        assert error.details["cause"] == "truncated"
        assert "cut off" in error.message


@pytest.mark.parametrize(
    ("name", "container"), [("a.mp4", {"movflags": "+faststart"}), ("a.mkv", {}), ("a.avi", {}), ("a.ts", {})]
)
@pytest.mark.parametrize("kept", [0.35, 0.6, 0.9])
def test_cut_off(tmp_path: Path, name: str, container: dict[str, str], kept: float) -> None:
    """What is there of a file that was cut off is read, and its end is named."""
    pictures = [picture(number) for number in range(60)]
    codec = {"codec": "mpeg4", "bit_rate": 3_000_000} if name.endswith("avi") else {}
    whole = film(tmp_path / f"whole{Path(name).suffix}", pictures, container=container, **codec)
    path = tmp_path / name
    data = whole.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with open_clip(path) as clip:
        count = len(clip.info.times)
        assert 5 < count < 60
        shown = [number_in(frame.pixels) for frame in clip.frames()]
        assert shown == sorted(shown)
        assert set(shown) <= set(range(60)) and len(shown) >= count - 4
        if not name.endswith(".ts"):  # a stream without a header promises nothing
            assert any("cut off" in problem or "lasts" in problem for problem in clip.problems)


def test_damage_in_the_middle(tmp_path: Path) -> None:
    """Frames that cannot be decoded are left out and named; all others keep their index and time."""
    path = film(tmp_path / "a.mkv", 60)
    with av.open(str(path)) as source:
        places = [(packet.pos, packet.size) for packet in source.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    start, size = places[30]
    data[start + 8 : start + size - 4] = b"\xff" * (size - 12)
    path.write_bytes(data)
    with open_clip(path) as clip:
        assert len(clip.info.times) == 60
        assert clip.problems == ()
        frames = list(clip.frames())
        lost = sorted(set(range(60)) - {frame.index for frame in frames})
        assert 1 <= len(lost) <= 13
        good = [frame for frame in frames if frame.index < 24 or frame.index >= 48]
        assert all(number_in(frame.pixels) == frame.index for frame in good)
        assert any("cannot be decoded" in problem for problem in clip.problems)
        assert str(lost[0] + 1) in clip.problems[-1]
        # Beginning at a lost frame gives the next whole one.
        assert next(clip.frames(lost[0])).index not in lost


def test_beginning_in_the_middle_of_a_group(tmp_path: Path) -> None:
    """Frames at the start that build on what is not there are left out of the count."""
    whole = film(tmp_path / "whole.mkv", 40)
    path = tmp_path / "a.mkv"
    with av.open(str(whole)) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.dts is not None and number >= 6:
                packet.stream = stream
                output.mux(packet)
    with open_clip(path) as clip:
        shown = [number_in(frame.pixels) for frame in clip.frames()]
        assert shown == list(range(40 - len(shown), 40))
        assert clip.info.times[0] == 0 and len(clip.info.times) == len(shown)
        assert any("before the start of the file" in problem for problem in clip.problems)


def test_wrong_length_in_the_header(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", 30)
    data = path.read_bytes()
    assert b"00:00:01.000000000" in data
    path.write_bytes(data.replace(b"00:00:01.000000000", b"00:00:12.000000000"))
    with open_clip(path) as clip:
        assert clip.info.times[-1] == pytest.approx(29 / 30, abs=1e-3)
        assert len(list(clip.frames())) == 30
        assert any("12.0 s" in problem and "1.0 s" in problem for problem in clip.info.problems)


def test_a_rate_for_a_video_is_said_not_to_be_used(tmp_path: Path) -> None:
    with open_clip(film(tmp_path / "a.mp4", 3), fps=12) as clip:
        assert clip.info.rate == 30
        assert any("12" in problem for problem in clip.problems)


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_impossible_rates(tmp_path: Path, fps: float) -> None:
    assert refused(tmp_path, fps=fps).code is ErrorCode.USAGE


@pytest.mark.parametrize("name", ["shot.1001.png", "a.jpg", "a.webp", "a.gif", "a.tif"])
def test_a_single_picture_is_no_clip(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    Image.fromarray(picture(1)).save(path)
    Image.fromarray(picture(2)).save(tmp_path / "shot.1002.png")
    assert not is_clip(path)
    assert cause(path) == "still"


def test_what_is_a_clip(tmp_path: Path) -> None:
    assert is_clip(tmp_path) and is_clip(tmp_path / "a.####.png") and is_clip(tmp_path / "a.%04d.exr")
    assert is_clip(tmp_path / "missing.MOV")
    assert not is_clip(tmp_path / "missing.png") and not is_clip(tmp_path / "missing")
    film(tmp_path / "a.mp4", 3).rename(tmp_path / "unnamed")
    assert is_clip(tmp_path / "unnamed")
    frames = [Image.fromarray(picture(number)) for number in range(3)]
    for suffix in ("gif", "png"):
        frames[0].save(tmp_path / f"moving.{suffix}", save_all=True, append_images=frames[1:], duration=100)
        assert is_clip(tmp_path / f"moving.{suffix}")
        with open_clip(tmp_path / f"moving.{suffix}") as clip:
            assert clip.info.times == pytest.approx([0, 0.1, 0.2])


def test_ranges(tmp_path: Path) -> None:
    with open_clip(film(tmp_path / "a.mp4", 20)) as clip:
        assert frame_range(clip.info, None, None) == (0, 19)
        assert frame_range(clip.info, 1, 20) == (0, 19)
        assert frame_range(clip.info, 5, 5) == (4, 4)
        for low, high in ((0, 5), (5, 21), (9, 8), (-3, None), (None, 99)):
            with pytest.raises(MienError) as caught:
                frame_range(clip.info, low, high)
            assert caught.value.code is ErrorCode.USAGE
            assert "1 to 20" in caught.value.remedy


def test_noise_is_never_a_crash(tmp_path: Path) -> None:
    """Whatever bytes are changed, a clip is read or refused with a reason."""
    random = np.random.default_rng(0)
    whole = {suffix: film(tmp_path / f"whole{suffix}", 12).read_bytes() for suffix in (".mp4", ".mkv", ".avi")}
    outcomes = set()
    for trial in range(60):
        suffix = list(whole)[trial % 3]
        data = bytearray(whole[suffix])
        for place in random.integers(0, len(data), 1 + trial // 4):
            data[place] = random.integers(0, 256)
        path = tmp_path / f"a{suffix}"
        path.write_bytes(data)
        try:
            with open_clip(path) as clip:
                assert np.all(np.diff(clip.info.times) > 0)
                shown = {frame.index: frame.pixels.copy() for frame in clip.frames()}
                assert list(shown) == sorted(shown)
                for again in clip.frames():
                    assert np.array_equal(again.pixels, shown.pop(again.index))
                assert not shown
                outcomes.add("read")
        except MienError as error:
            assert error.code in (ErrorCode.BAD_CLIP, ErrorCode.TOO_LARGE)
            outcomes.add("refused")
    assert "read" in outcomes
