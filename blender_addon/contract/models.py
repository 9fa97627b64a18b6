# SPDX-License-Identifier: GPL-3.0-or-later
"""What the backend can work with: engines, heads and the parts that they are made of; ready, or what is missing.

Printed by `mien models`, shown by the panel's menus and by the add-on's preferences.
"""

from __future__ import annotations

from dataclasses import dataclass

from .head import CommercialUse

EMOTIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
"""What the emotion networks tell apart, in their order (AffectNet's)."""


@dataclass(frozen=True)
class PartStatus:
    """A file that users bring.

    Attributes:
        kind: Short name ("flame2020", "deca", "landmark_embedding"); see `backend.weights.parts`.
        name: Which one, where there may be several ("EMOCA_v2_lr_mse_20"); else empty.
        title: For people ("FLAME 2020", "DECA's networks").
        ready: Whether it was added.
        origin: Name of the file that it came from; empty where it is not there.
        sha256: Hash of that file, or empty.
        licence: Its name.
        commercial_use: What the licence says.
        where: Address at which one registers for it or finds it.
        adds: What one gets with it, a phrase ("wrinkles of DECA and EMOCA").
    """

    kind: str
    name: str
    title: str
    ready: bool
    origin: str
    sha256: str
    licence: str
    commercial_use: CommercialUse
    where: str
    adds: str


@dataclass(frozen=True)
class EngineStatus:
    """An engine.

    Attributes:
        name: As in `options.EngineName`.
        title: For people ("EMOCA").
        ready: Whether captures can use it now.
        reason: A sentence that says what is missing; empty where nothing is.
        remedy: A sentence that says what to do about it; empty where nothing is missing.
        licence: The strictest of what it needs.
        commercial_use: What that says.
        heads: Ids of the heads it captures on, its default first.
        weights: Names of its weights that are there, the one that is used unless asked otherwise first.
        sees_wrinkles: Whether it makes displacement maps with what is there now.
        sees_emotion: Whether takes tell the emotion with what is there now.
    """

    name: str
    title: str
    ready: bool
    reason: str
    remedy: str
    licence: str
    commercial_use: CommercialUse
    heads: tuple[str, ...]
    weights: tuple[str, ...] = ()
    sees_wrinkles: bool = False
    sees_emotion: bool = False


@dataclass(frozen=True)
class HeadStatus:
    """A head.

    Attributes:
        id: Short name ("open", "flame2020").
        title: For people ("Open Head", "FLAME 2020").
        sha256: Hash that takes refer to; empty where the head is not there.
        revision: See `HeadDescription.revision`.
        licence: Its name.
        commercial_use: What the licence says.
        ready: Whether it is there.
        reason: A sentence that says what is missing; empty where nothing is.
        remedy: A sentence that says what to do about it; empty where nothing is missing.
    """

    id: str
    title: str
    sha256: str
    revision: str
    licence: str
    commercial_use: CommercialUse
    ready: bool
    reason: str = ""
    remedy: str = ""
