# SPDX-License-Identifier: GPL-3.0-or-later
"""What the published engines have in common: crops in, codes of FLAME 2020 out."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
from torch import Tensor

from backend.networks.codes import DETAIL, EXPRESSION
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.options import EngineName

from .crops import CropStyle
from .files import Ingredient


@dataclass(frozen=True)
class Codes:
    """What an engine's networks say of B faces, as they say it; each float32. Rotations as in `FaceParams`."""

    identity: np.ndarray
    """(B,100) or (B,300) the first of FLAME's"""
    expression: np.ndarray
    """(B,50) the first of FLAME's"""
    head_rotation: np.ndarray
    """(B,3) as the crop by itself shows it"""
    jaw: np.ndarray
    """(B,3)"""
    eyelids: np.ndarray
    """(B,2) left, right; zero of engines that tell closed eyes by the expression"""
    camera: np.ndarray
    """(B,3) s, tx, ty of the crop's weak perspective"""
    detail: np.ndarray
    """(B,128) of the wrinkles; (B,0) of engines that see none"""

    def __len__(self) -> int:
        return len(self.camera)

    def __getitem__(self, faces: slice | np.ndarray) -> Codes:
        """The codes of some of the faces; the batch axis stays."""
        return Codes(**{field.name: getattr(self, field.name)[faces] for field in fields(self)})


def codes_type(identity: int, detail: bool) -> np.dtype:
    """The record of one face's codes, field by field as in `Codes`."""
    widths = {
        "identity": identity, "expression": EXPRESSION, "head_rotation": 3, "jaw": 3, "eyelids": 2, "camera": 3,
        "detail": DETAIL if detail else 0,
    }  # fmt: skip
    return np.dtype([(name, "<f4", (width,)) for name, width in widths.items()])


class CropReader(Protocol):
    """Networks that look at crops of a face, and whose answers can be kept on disk."""

    key: str
    """Changes with everything that answers depend on, but for the frame and the landmarks"""
    style: CropStyle
    dtype: np.dtype
    """Of one face's answer"""

    def read(self, crops: Tensor) -> np.ndarray:
        """Answers (B,) of type `dtype`.

        Args:
            crops: (B,3,224,224) as `style` makes them, on the engine's device.
        """
        ...


class NetworkEngine(CropReader, Protocol):
    """A published engine on one head."""

    name: EngineName
    head: HeadDescription
    ingredients: tuple[Ingredient, ...]
    """Files that it needs, beside the head"""
    sees_lids: bool
    """Whether its eyelid codes tell how far the lids are closed"""


def as_codes(records: np.ndarray) -> Codes:
    """Records (B,) of `codes_type` as codes."""
    return Codes(**{name: np.ascontiguousarray(records[name]) for name in records.dtype.names or ()})


def as_records(codes: Codes, dtype: np.dtype) -> np.ndarray:
    """The inverse of `as_codes`."""
    records = np.empty(len(codes), dtype)
    for name in dtype.names or ():
        records[name] = getattr(codes, name)
    return records


def padded(values: np.ndarray, width: int) -> np.ndarray:
    """(B,K) coefficients with zeros behind them to (B,width)."""
    result = np.zeros((len(values), width), values.dtype)
    result[:, : values.shape[1]] = values
    return result
