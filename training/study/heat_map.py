# SPDX-License-Identifier: GPL-3.0-or-later
"""Confusion matrices as a picture: the share of each row in a cell's colour, and the numbers in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from blender_addon.contract.models import EMOTIONS

from .recognition import ANSWERS
from .scoring import Scores

_CELL, _LEFT, _TOP, _GAP = 56, 96, 128, 36
_ACROSS = 2
_GROUND, _INK, _SOFT, _FULL = (255, 255, 255), (28, 30, 33), (110, 114, 120), (23, 78, 134)


@dataclass(frozen=True, eq=False)
class Matrix:
    """A matrix to be drawn.

    Attributes:
        title: What it says.
        rows: Names of its rows, and what they are.
        columns: The same of its columns.
        values: (R, C) counts; may be fractions.
    """

    title: str
    rows: tuple[Sequence[str], str]
    columns: tuple[Sequence[str], str]
    values: np.ndarray


def matrices(scores: Scores) -> list[Matrix]:
    """Label against answer for photos and methods, then photo against render; those that hold something."""
    by_label = [
        Matrix(_title(each.source), (EMOTIONS, "label"), (ANSWERS, "answer"), each.confusion)
        for each in scores.recognised
    ]
    by_photo = [
        Matrix(f"photos and {each.method}", (ANSWERS, "photo"), (ANSWERS, "render"), each.matrix)
        for each in scores.agreements
    ]
    return [matrix for matrix in by_label + by_photo if matrix.values.any()]


def heat_map(shown: Sequence[Matrix]) -> Image.Image:
    """Draw matrices beside and below each other (RGB)."""
    panels = [_panel(matrix) for matrix in shown]
    across = min(_ACROSS, len(panels))
    width, height = max(panel.width for panel in panels), max(panel.height for panel in panels)
    down = -(-len(panels) // across)
    size = (across * width + (across + 1) * _GAP, down * height + (down + 1) * _GAP)
    picture = Image.new("RGB", size, _GROUND)
    for index, panel in enumerate(panels):
        place = (_GAP + index % across * (width + _GAP), _GAP + index // across * (height + _GAP))
        picture.paste(panel, place)
    return picture


def _panel(matrix: Matrix) -> Image.Image:
    names, across = matrix.rows[0], matrix.columns[0]
    picture = Image.new("RGB", (_LEFT + _CELL * len(across), _TOP + _CELL * len(names)), _GROUND)
    draw = ImageDraw.Draw(picture)
    draw.text((0, 0), matrix.title, _INK, _font(20))
    told = f"rows: {matrix.rows[1]}, columns: {matrix.columns[1]}; % of the row, and how many"
    draw.text((0, 26), told, _SOFT, _font(13))
    for column, name in enumerate(across):
        _upright(picture, name, (_LEFT + _CELL * column + _CELL // 2, _TOP - 8))
    for row, name in enumerate(names):
        draw.text((_LEFT - 10, _TOP + _CELL * row + _CELL // 2), name, _INK, _font(14), anchor="rm")
        total = float(matrix.values[row].sum())
        for column in range(len(across)):
            _cell(draw, (_LEFT + _CELL * column, _TOP + _CELL * row), float(matrix.values[row, column]), total)
    return picture


def _cell(draw: ImageDraw.ImageDraw, corner: tuple[int, int], value: float, total: float) -> None:
    part = value / total if total else 0.0
    colour = tuple(round(a + (b - a) * part) for a, b in zip((246, 247, 248), _FULL, strict=True))
    x, y = corner
    draw.rectangle((x + 1, y + 1, x + _CELL - 1, y + _CELL - 1), colour)
    if value:
        ink = _GROUND if part > 0.5 else _INK
        draw.text((x + _CELL // 2, y + _CELL // 2 - 8), f"{100 * part:.0f}", ink, _font(16), anchor="mm")
        draw.text((x + _CELL // 2, y + _CELL // 2 + 12), f"{value:.3g}", ink, _font(11), anchor="mm")


def _upright(picture: Image.Image, text: str, foot: tuple[int, int]) -> None:
    """Write upwards from a point."""
    font = _font(14)
    left, top, right, bottom = font.getbbox(text)
    line = Image.new("RGB", (int(right) + 2, int(bottom) + 2), _GROUND)
    ImageDraw.Draw(line).text((0, 0), text, _INK, font)
    turned = line.rotate(90, expand=True)
    picture.paste(turned, (foot[0] - turned.width // 2, foot[1] - turned.height))


def _title(source: str) -> str:
    return "photos" if source == "photo" else f"renders by {source}"


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
