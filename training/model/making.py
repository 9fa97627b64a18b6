# SPDX-License-Identifier: GPL-3.0-or-later
"""The head that a run is on, with its albedo space and mask."""

from __future__ import annotations

from typing import Literal

from torch import nn

from backend.heads import load_head
from backend.heads.albedo import AlbedoSpace
from backend.weights.parts import find
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from training.model.face import FaceModel
from training.rendering.uv import UVSpace
from training.synthetic.albedo import skin_albedo

Albedo = Literal["auto", "skins"]
"""`skins`: the space of the synthetic skins, whose codes synthetic pictures have. `auto`: that for the open head, and
for FLAME the space that the user brought."""


def face_model(head: HeadDescription, albedo: Albedo = "auto") -> FaceModel:
    """The differentiable way from codes to pictures on a head.

    Raises:
        MienError: MISSING_FILE: FLAME's albedo space or its UVs were not added.
    """
    try:
        return FaceModel(head, albedo_space(head, albedo), mask=UVSpace(head).mask)
    except ValueError as error:
        message = f"Nothing can be trained on this head: {error}."
        raise MienError(ErrorCode.MISSING_FILE, message, "Add DECA's data folder with 'mien models add'.") from error


def albedo_space(head: HeadDescription, albedo: Albedo = "auto") -> nn.Module:
    """The colours that a head can have, see `Albedo`.

    Raises:
        MienError: MISSING_FILE.
    """
    if head.id == "open" or albedo == "skins":
        return skin_albedo(head)
    part = find("albedo_space")
    if part is None:
        message = f"The head {head.id} has no albedo space, so nothing can be rendered with it."
        remedy = "Add FLAME's texture space (FLAME_texture.npz or FLAME_albedo_from_BFM.npz) with 'mien models add'."
        raise MienError(ErrorCode.MISSING_FILE, message, remedy)
    arrays = part.arrays()
    # The store keeps colours as red, green, blue and 0 to 1; files have blue first, which AlbedoSpace expects.
    return AlbedoSpace(arrays["mean"][..., ::-1], arrays["components"][:, :, ::-1])


def training_head(name: str) -> HeadDescription:
    """The head of a configuration; see `load_head`."""
    return load_head() if name == "open" else load_head(name)
