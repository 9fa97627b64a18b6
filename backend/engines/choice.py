# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks that a capture asks for, with what is in the store."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from backend.emotion.readout import EmotionOfCodes, EmotionOfCrops
from backend.progress import Progress, no_progress
from backend.weights.parts import find
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.options import CaptureOptions

from .coded import CodedFaces
from .deca import Deca
from .files import Ingredient
from .interface import CropReader, NetworkEngine
from .mica import MicaIdentity
from .on_flame import COMPONENTS, HEAD, check_head
from .smirk import Smirk


@dataclass(frozen=True)
class Networks:
    """What looks at the crops of a capture.

    Attributes:
        engine: A published engine; None where the landmark fit captures.
        faces: Its codes as evidence for the solve.
        mica: Who says what the head looks like, if not the engine.
        emotion: Reads the emotion off crops, beside a published engine.
        emotion_of_codes: Reads it off the engine's codes, where nothing reads it off crops.
    """

    engine: NetworkEngine | None = None
    faces: CodedFaces | None = None
    mica: MicaIdentity | None = None
    emotion: EmotionOfCrops | None = None
    emotion_of_codes: EmotionOfCodes | None = None

    @property
    def readers(self) -> tuple[CropReader, ...]:
        """What reads every crop, the engine first."""
        return tuple(reader for reader in (self.engine, self.emotion) if reader is not None)

    @property
    def ingredients(self) -> tuple[Ingredient, ...]:
        """The files that went into the takes, beside the head."""
        own = self.engine.ingredients if self.engine is not None else ()
        others = (self.mica, self.emotion, self.emotion_of_codes)
        return (*own, *(other.ingredient for other in others if other is not None))


def choose_networks(
    options: CaptureOptions, head: HeadDescription, device: torch.device, progress: Progress = no_progress
) -> Networks:
    """Load what a capture needs.

    Raises:
        MienError: MISSING_FILE for what was not added; WRONG_HEAD; BAD_HEAD for damaged files; USAGE for MICA on a head
            that is not FLAME 2020 or with the landmark fit.
    """
    if options.identity == "mica" and options.engine == "fit":
        message = "MICA's identity goes with the published engines, and the landmark fit finds its own."
        remedy = f"Choose deca, emoca or smirk on {HEAD}, or leave the identity to the engine."
        raise MienError(ErrorCode.USAGE, message, remedy)
    engine = _engine(options, head, device, progress)
    if options.identity == "mica":
        check_head(head, "MICA", COMPONENTS)
    image_part = find("emotion_network") if engine is not None else None  # the fit's takes stay free of its licence
    codes_part = find("emotion_mlp") if image_part is None and isinstance(engine, Deca) else None
    return Networks(
        engine=engine,
        faces=CodedFaces(head, device) if engine is not None else None,
        mica=MicaIdentity(device, progress) if options.identity == "mica" else None,
        emotion=EmotionOfCrops(image_part, options.boxes, device, progress) if image_part is not None else None,
        emotion_of_codes=EmotionOfCodes(codes_part) if codes_part is not None else None,
    )


def _engine(
    options: CaptureOptions, head: HeadDescription, device: torch.device, progress: Progress
) -> NetworkEngine | None:
    if options.engine == "fit":
        return None
    if options.engine == "smirk":
        return Smirk(head, options.weights, options.boxes, device, progress)
    return Deca(options.engine, head, options.weights, options.boxes, device, progress)


def stamp(options: CaptureOptions) -> tuple[object, ...]:
    """Changes with what `choose_networks` would load."""
    kinds = (options.engine, "mica", "emotion_network", "emotion_mlp", "landmark_embedding", "eyelids")
    names = (options.weights, "", "", "", "", "")
    found = [
        None if kind == "fit" else find(kind, name)  # type: ignore[arg-type]  # the engines' parts have their names
        for kind, name in zip(kinds, names, strict=True)
    ]
    return options.identity, options.boxes, *((part.kind, part.name, part.sha256) if part else None for part in found)
