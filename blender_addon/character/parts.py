# SPDX-License-Identifier: GPL-3.0-or-later
"""What a character has, as plain values. `targets` reads them from Blender."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class MeshKeys:
    """One mesh of a character.

    Attributes:
        name: Of the mesh object.
        keys: Why each shape key cannot be keyed, by its name; "" for one that can.
        muted: Names of keys that show nothing until they are unmuted.
    """

    name: str
    keys: Mapping[str, str]
    muted: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Bone:
    """One bone at rest.

    Attributes:
        head: (3,) where it begins, in the armature.
        rest: (3, 3) its orientation in the armature; the columns are its axes.
        length: Of the bone.
        no_turn, no_move: Why it cannot be turned, or moved, by keys; "" where it can.
    """

    head: np.ndarray
    rest: np.ndarray
    length: float
    no_turn: str = ""
    no_move: str = ""


@dataclass(frozen=True, eq=False)
class Parts:
    """A character.

    Attributes:
        meshes: Those with shape keys.
        bones: By name; empty without an armature.
        scale: Metres in one unit of the armature, as the scene measures.
        moved: Bones whose vertices shape keys move by themselves, with the name of one such key.
    """

    meshes: tuple[MeshKeys, ...] = ()
    bones: Mapping[str, Bone] = field(default_factory=dict)
    scale: float = 1.0
    moved: Mapping[str, str] = field(default_factory=dict)
