# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of every kind are read to the same pixels; files that are none say why."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms

from backend.media import images
from backend.media.colour import BACKDROP
from backend.media.images import read_image
from blender_addon.contract.errors import ErrorCode, MienError

WIDTH, HEIGHT = 96, 72


def pattern(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(H,W,3) uint8, smooth and without any symmetry."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    return (255 * np.stack([x, y, (x * y + x**2) / 2], axis=-1)).round().astype(np.uint8)


def grey() -> np.ndarray:
    return pattern().astype(np.float64).mean(axis=-1).round().astype(np.uint8)


def save(path: Path, pixels: np.ndarray, mode: str | None = None, **options: object) -> Path:
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(path, **options)
    return path


def off(one: np.ndarray, other: np.ndarray) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("a.png", 0), ("a.bmp", 0), ("a.tif", 0), ("a.jpg", 6), ("a.webp", 12), ("a.tga", 0), ("a.ppm", 0), ("a.jp2", 0),
     ("a.avif", 12), ("a.qoi", 0)],
)  # fmt: skip
def test_formats(tmp_path: Path, name: str, tolerance: int) -> None:
    options = {"quality": 98} if name.endswith(("jpg", "webp", "avif")) else {}
    if name.endswith("jpg"):
        options["subsampling"] = 0
    photo = read_image(save(tmp_path / name, pattern(), **options))
    assert photo.pixels.dtype == np.uint8 and photo.pixels.flags.c_contiguous
    assert off(photo.pixels, pattern()) <= tolerance
    assert photo.path == tmp_path / name
    assert photo.focal_35mm is None and photo.focal_px is None


def test_heic(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    path = save(tmp_path / "a.heic", pattern(), quality=98)
    assert off(read_image(path).pixels, pattern()) <= 16


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "I;16", "I", "F"])
def test_modes(tmp_path: Path, mode: str) -> None:
    one = grey()
    expected = np.repeat(one[..., None], 3, axis=-1)
    path = tmp_path / "a.tif" if mode == "F" else tmp_path / "a.png"
    if mode == "I;16":
        save(path, one.astype(np.uint16) * 257)
    elif mode == "I":
        save(tmp_path / "a.tif", one.astype(np.int32) * 257)
        path = tmp_path / "a.tif"
    elif mode == "F":
        save(path, one.astype(np.float32) / 255)
    elif mode == "1":
        expected = np.where(expected < 128, 0, 255).astype(np.uint8)
        save(path, expected, "1")
    elif mode == "P":
        save(path, one, "P")  # from grey levels, which keeps all of them in the palette
    else:
        save(path, expected, mode)
    assert off(read_image(path).pixels, expected) <= 1


def test_lab(tmp_path: Path) -> None:
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    ImageCms.applyTransform(Image.fromarray(pattern()), to_lab).save(tmp_path / "a.tif")
    # Eight-bit Lab clips the most saturated colours.
    assert np.abs(read_image(tmp_path / "a.tif").pixels.astype(int) - pattern()).mean() < 3


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_colour(tmp_path: Path, channels: int, suffix: str) -> None:
    deep = pattern().astype(np.uint16) * 257
    if channels == 4:
        deep = np.dstack([deep, np.full((HEIGHT, WIDTH), 65535, dtype=np.uint16)])
    path = tmp_path / f"a.{suffix}"
    order = [2, 1, 0, 3][:channels]
    assert cv2.imwrite(str(path), deep[..., order])
    assert off(read_image(path).pixels, pattern()) <= 1


@pytest.mark.parametrize(("opacity", "weight"), [(255, 1.0), (0, 0.0), (64, 64 / 255)])
def test_transparency_lies_over_mid_grey(tmp_path: Path, opacity: int, weight: float) -> None:
    rgba = np.dstack([pattern(), np.full((HEIGHT, WIDTH), opacity, dtype=np.uint8)])
    expected = weight * pattern() + (1 - weight) * BACKDROP
    assert off(read_image(save(tmp_path / "a.png", rgba)).pixels, expected.round().astype(np.uint8)) <= 1


def test_a_transparent_palette_entry(tmp_path: Path) -> None:
    picture = Image.fromarray(np.where(np.arange(WIDTH * 80).reshape(80, WIDTH) % WIDTH < 40, 0, 1).astype(np.uint8))
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.save(tmp_path / "a.png", transparency=0)
    pixels = read_image(tmp_path / "a.png").pixels
    assert (pixels[:, :40] == BACKDROP).all()
    assert (pixels[:, 40:] == (200, 100, 50)).all()


def test_cmyk(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", pattern(), "CMYK", quality=98, subsampling=0)
    assert off(read_image(path).pixels, pattern()) <= 8


def test_only_the_first_frame(tmp_path: Path) -> None:
    first, second = (Image.fromarray(np.full((80, 80, 3), value, dtype=np.uint8)) for value in (40, 200))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second], duration=100)
    assert (read_image(tmp_path / "a.gif").pixels == 40).all()


ORIENTED = {
    1: lambda pixels: pixels,
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: np.fliplr(np.rot90(pixels, -1)),
    6: lambda pixels: np.rot90(pixels, 1),
    7: lambda pixels: np.fliplr(np.rot90(pixels, 1)),
    8: lambda pixels: np.rot90(pixels, -1),
}
"""How a camera that notes the orientation stores the upright picture."""


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("orientation", ORIENTED)
def test_every_orientation_is_turned_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = np.ascontiguousarray(ORIENTED[orientation](pattern()))
    options = {"lossless": True} if suffix == "webp" else {}
    path = save(tmp_path / f"a.{suffix}", stored, exif=exif, **options)
    assert off(read_image(path).pixels, pattern()) == 0


def test_a_senseless_orientation_is_ignored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 77
    assert off(read_image(save(tmp_path / "a.png", pattern(), exif=exif)).pixels, pattern()) == 0


def wide_gamut_profile() -> bytes:
    """A matrix profile whose red and green are swapped: its effect cannot be missed."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", profile[128:132])[0]
    entries = {bytes(profile[132 + 12 * k : 136 + 12 * k]): 132 + 12 * k for k in range(count)}
    red, green = entries[b"rXYZ"] + 4, entries[b"gXYZ"] + 4
    profile[red : red + 8], profile[green : green + 8] = profile[green : green + 8], profile[red : red + 8]
    return bytes(profile)


def test_an_embedded_profile_is_converted(tmp_path: Path) -> None:
    pixels = np.zeros((80, 80, 3), dtype=np.uint8)
    pixels[..., 0] = 200
    plain = read_image(save(tmp_path / "plain.png", pixels)).pixels
    profiled = read_image(save(tmp_path / "profiled.png", pixels, icc_profile=wide_gamut_profile())).pixels
    assert (plain[0, 0] == (200, 0, 0)).all()
    assert profiled[0, 0, 1] > 180 and profiled[0, 0, 0] < 20


def test_an_srgb_profile_changes_nothing(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert off(read_image(save(tmp_path / "a.png", pattern(), icc_profile=srgb)).pixels, pattern()) <= 1


@pytest.mark.parametrize("profile", [b"junk", b"\0" * 200])
def test_a_broken_profile_is_told_and_left_out(
    tmp_path: Path, profile: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert off(read_image(save(tmp_path / "a.png", pattern(), icc_profile=profile)).pixels, pattern()) == 0
    assert "profile" in caplog.text


def test_a_profile_of_another_kind_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = read_image(save(tmp_path / "a.png", grey(), icc_profile=srgb))
    assert off(photo.pixels[..., 0], grey()) == 0
    assert "another kind" in caplog.text


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(width=st.integers(64, 300), height=st.integers(64, 300), orientation=st.sampled_from(sorted(ORIENTED)))
def test_any_size_and_orientation(tmp_path: Path, width: int, height: int, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    expected = pattern(width, height)
    path = save(tmp_path / "a.png", np.ascontiguousarray(ORIENTED[orientation](expected)), exif=exif)
    assert off(read_image(path).pixels, expected) == 0


def with_lens(**tags: object) -> Image.Exif:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update({ExifTags.Base[name]: value for name, value in tags.items()})
    return exif


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_35_mm_equivalent_compares_diagonals(tmp_path: Path, orientation: int) -> None:
    exif = with_lens(FocalLengthIn35mmFilm=50, FocalLength=6.1)
    exif[ExifTags.Base.Orientation] = orientation
    photo = read_image(save(tmp_path / "a.jpg", pattern(120, 80), exif=exif))
    assert photo.focal_35mm == 50
    # 3:2 like the film: the frame is 36 mm wide, so 50 mm are 50/36 of its longer side.
    assert photo.focal_px == pytest.approx(120 * 50 / 36)


@pytest.mark.parametrize(("unit", "per_millimetre"), [(2, 25.4), (3, 10), (4, 1), (None, 25.4)])
def test_the_sensor_resolution_gives_the_focal_length(tmp_path: Path, unit: int | None, per_millimetre: float) -> None:
    # A 50 mm lens on a 36 mm wide sensor of 6000 pixels; the picture was reduced to 120.
    tags = {"FocalLength": 50.0, "FocalPlaneXResolution": 6000 / 36 * per_millimetre, "ExifImageWidth": 6000}
    if unit is not None:
        tags["FocalPlaneResolutionUnit"] = unit
    photo = read_image(save(tmp_path / "a.jpg", pattern(120, 80), exif=with_lens(**tags)))
    assert photo.focal_px == pytest.approx(120 * 50 / 36, rel=1e-4)
    assert photo.focal_35mm == pytest.approx(50, rel=1e-4)


@pytest.mark.parametrize("tags", [{"FocalLengthIn35mmFilm": 0}, {"FocalLength": 4.2}, {"FocalPlaneXResolution": 10.0}])
def test_an_unknown_focal_length_is_none(tmp_path: Path, tags: dict[str, object]) -> None:
    photo = read_image(save(tmp_path / "a.jpg", pattern(), exif=with_lens(**tags)))
    assert photo.focal_35mm is None and photo.focal_px is None


@pytest.mark.parametrize("name", ["ein Bild.png", "写真 1.png", "портрет.png", "صورة.png", "😀.png"])
def test_paths_in_any_script(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "mes photos é"
    folder.mkdir()
    assert off(read_image(str(save(folder / name, pattern()))).pixels, pattern()) == 0


def error_of(path: Path) -> MienError:
    with pytest.raises(MienError) as caught:
        read_image(path)
    error = caught.value
    assert str(path) in error.message and error.remedy
    return error


def test_a_missing_file(tmp_path: Path) -> None:
    assert error_of(tmp_path / "none.jpg").code is ErrorCode.MISSING_FILE


def refused(path: Path, cause: str) -> MienError:
    error = error_of(path)
    assert error.code is ErrorCode.BAD_IMAGE
    assert error.details["cause"] == cause
    return error


def test_a_folder(tmp_path: Path) -> None:
    refused(tmp_path, "folder")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    refused(tmp_path / "a.jpg", "empty")


@pytest.mark.parametrize("content", [b"not a picture at all\n" * 20, b"%PDF-1.7\n", b"%!PS-Adobe-3.0 EPSF-3.0\n" * 9])
def test_something_else_called_jpg(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    refused(tmp_path / "a.jpg", "not_a_picture")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "gif", "avif"])
@pytest.mark.parametrize("kept", [0.3, 0.8])
def test_a_truncated_file(tmp_path: Path, suffix: str, kept: float) -> None:
    noisy = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    path = save(tmp_path / f"a.{suffix}", noisy)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    error = error_of(path)
    assert error.code is ErrorCode.BAD_IMAGE
    assert error.details["cause"] in ("damaged", "not_a_picture")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.floats(0, 0.999), value=st.integers(0, 255), suffix=st.sampled_from(["jpg", "png", "tif", "bmp"]))
def test_a_changed_byte_gives_a_picture_or_a_typed_error(
    tmp_path: Path, position: float, value: int, suffix: str
) -> None:
    path = save(tmp_path / f"a.{suffix}", pattern())
    content = bytearray(path.read_bytes())
    content[int(position * len(content))] = value
    path.write_bytes(content)
    try:
        photo = read_image(path)
    except MienError as error:
        assert error.code in (ErrorCode.BAD_IMAGE, ErrorCode.TOO_LARGE)
    else:
        assert photo.pixels.ndim == 3 and photo.pixels.dtype == np.uint8


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    code = f"from backend.media.images import read_image; read_image({str(tmp_path / 'a.jpg')!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "is a pipe or a device" in done.stderr


@pytest.mark.parametrize("size", [(63, 200), (200, 63), (1, 1)])
def test_too_small(tmp_path: Path, size: tuple[int, int]) -> None:
    refused(save(tmp_path / "a.png", pattern(*size)), "too_small")


def test_the_smallest_size(tmp_path: Path) -> None:
    assert read_image(save(tmp_path / "a.png", pattern(64, 64))).pixels.shape == (64, 64, 3)


def claimed_png(width: int, height: int) -> bytes:
    """The beginning of a PNG of any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(20000, 10001), (40000, 40000), (2**31 - 1, 2**31 - 1)])
def test_too_large(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "a.png").write_bytes(claimed_png(*size))
    assert error_of(tmp_path / "a.png").code is ErrorCode.TOO_LARGE


def test_pillow_adds_no_warning_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(claimed_png(20000, 10001))
    code = f"from backend.media.images import read_image; read_image({str(tmp_path / 'a.png')!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "is too large" in done.stderr
    assert "Warning" not in done.stderr


@pytest.mark.slow
def test_a_hundred_megapixels(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (11600, 8700), (120, 90, 60)).save(path)
    pixels = read_image(path).pixels
    assert pixels.shape == (8700, 11600, 3)


def test_a_picture_that_exceeds_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(picture: Image.Image) -> np.ndarray:
        raise MemoryError

    monkeypatch.setattr(images, "to_srgb", exhausted)
    assert error_of(save(tmp_path / "a.png", pattern())).code is ErrorCode.TOO_LARGE


@pytest.mark.skipif(
    sys.platform == "win32" or (hasattr(os, "geteuid") and os.geteuid() == 0), reason="this user may read everything"
)
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", pattern())
    path.chmod(0)
    assert error_of(path).code is ErrorCode.NOT_PERMITTED


def test_a_refused_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.png", pattern())

    def refuse(self: Path, *_: object, **__: object) -> io.BytesIO:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    assert error_of(path).code is ErrorCode.NOT_PERMITTED


def test_heic_without_the_plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200))
    images._prepare_pillow()
    monkeypatch.setattr(images, "_registered_heic", lambda: False)
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "HEIF"])
    assert "pillow-heif" in refused(path, "no_heic").remedy
