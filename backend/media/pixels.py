# SPDX-License-Identifier: GPL-3.0-or-later
"""Decoded video frames of any kind as upright 8-bit sRGB with square pixels."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from PIL import Image

from backend.media.colour import to_srgb

_MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
"""Matrices for the codes of ISO/IEC 23091-2 in the stream."""
_HIGH_DEFINITION = 720
"""Lines from which a video that does not say so is taken as BT.709 instead of BT.601, as players do."""
_HIGH_DYNAMIC = {16: "PQ", 18: "HLG"}
_SQUEEZED_MOST = 8
"""Pixels longer than this are a broken header."""


@dataclass(frozen=True)
class Layout:
    """How stored pictures are to be shown.

    Attributes:
        width: Pixels of the stored picture after scaling to square pixels, before it is turned.
        height: Likewise.
        transposed: Rows become columns, before the flips.
        mirrored: Flipped left to right.
        inverted: Flipped top to bottom.
        problems: What of it cannot be followed, in plain sentences.
    """

    width: int
    height: int
    transposed: bool
    mirrored: bool
    inverted: bool
    problems: tuple[str, ...]

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height as displayed."""
        return (self.height, self.width) if self.transposed else (self.width, self.height)


def layout(frame: VideoFrame, aspect: Fraction | None) -> Layout:
    """What a video's first frame says about how its pictures are shown.

    Args:
        frame: With its display matrix, if it has one.
        aspect: Width of a stored pixel over its height, or None.
    """
    problems = []
    width, height = frame.width, frame.height
    aspect = aspect or Fraction(1)
    if not Fraction(1, _SQUEEZED_MOST) <= aspect <= _SQUEEZED_MOST:
        problems.append(f"The header's pixel shape of {aspect} is impossible; the pixels are taken as square.")
    elif aspect > 1:
        width = max(round(width * aspect), 1)
    elif aspect < 1:
        height = max(round(height / aspect), 1)
    transposed, mirrored, inverted, exact = _orientation(frame)
    if not exact:
        problems.append("The header turns the picture by an angle that is no quarter turn; the nearest one is used.")
    if curve := _HIGH_DYNAMIC.get(frame.color_trc):
        problems.append(
            f"The video is high dynamic range ({curve}); its brightness is not converted, so colours look flat."
        )
    if frame.interlaced_frame:
        problems.append("The video is interlaced; moving edges are combed, so fast motion is less exact.")
    return Layout(width, height, transposed, mirrored, inverted, tuple(problems))


def _orientation(frame: VideoFrame) -> tuple[bool, bool, bool, bool]:
    """Transposed, mirrored, inverted, and whether that is all the display matrix says.

    The matrix (a b u; c d v; x y w) takes a stored point to x' = a x + c y, y' = b x + d y (ISO/IEC 14496-12, 8.3.2).
    """
    data = next((item for item in frame.side_data if item.type is Type.DISPLAYMATRIX), None)
    if data is None:
        return False, False, False, True
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(data), dtype=np.int32)[:5])
    straight, turned = abs(a) + abs(d), abs(b) + abs(c)
    if straight == turned == 0:
        return False, False, False, True  # written by programs that mean none
    exact = min(straight, turned) <= 0.01 * max(straight, turned)
    if straight >= turned:
        return False, a < 0, d < 0, exact
    return True, c < 0, b < 0, exact


class ToPixels:
    """Converts the frames of one video; one object per thread."""

    def __init__(self, shown: Layout) -> None:
        self._layout = shown
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> np.ndarray:
        """Pixels of a frame.

        The stream's matrix and range are respected, more than 8 bits are rounded to 8, transparent pixels laid over
        mid grey. A frame of another size than the first is scaled to the first one's.

        Args:
            frame: Decoded; it is not changed.

        Returns:
            (H,W,3) uint8, contiguous, upright.
        """
        shown = self._layout
        matrix = _MATRICES.get(frame.colorspace)
        if matrix is None:
            matrix = Colorspace.ITU709 if frame.height >= _HIGH_DEFINITION else Colorspace.ITU601
        scaled = (frame.width, frame.height) != (shown.width, shown.height)
        transparent = _has_alpha(frame)
        rgb = self._reformatter.reformat(
            frame,
            width=shown.width,
            height=shown.height,
            format="rgba" if transparent else "rgb24",
            src_colorspace=matrix,
            dst_colorspace=matrix,
            interpolation=Interpolation.BICUBIC if scaled else Interpolation.BILINEAR,
            threads=1,
        )
        pixels = rgb.to_ndarray()
        if transparent:
            pixels = to_srgb(Image.fromarray(pixels))
        if shown.transposed:
            pixels = cv2.transpose(pixels)
        if shown.mirrored or shown.inverted:
            pixels = cv2.flip(pixels, -1 if shown.mirrored and shown.inverted else int(shown.mirrored))
        return np.ascontiguousarray(pixels)


def _has_alpha(frame: VideoFrame) -> bool:
    name = frame.format.name
    return name.startswith(("yuva", "rgba", "argb", "bgra", "abgr", "gbrap", "ya", "pal8", "ayuv", "vuya"))
