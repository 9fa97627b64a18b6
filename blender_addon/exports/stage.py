# SPDX-License-Identifier: GPL-3.0-or-later
"""What a format's writer gets: baked copies, what they do, and where they come from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import bpy

from .baking import bake
from .copies import Copies, copied
from .sampling import Motion, sample
from .subjects import Subject, origin_of

PROVENANCE = "mien_provenance"
"""Custom property of exported meshes: where the head comes from, as JSON."""


@dataclass(frozen=True, eq=False)
class Stage:
    """Copies that move by keys alone, in the scene that Blender shows meanwhile.

    Attributes:
        subject: What was asked for.
        copies: Baked.
        motion: What they do.
        origins: Where each head comes from, by its name.
    """

    subject: Subject
    copies: Copies
    motion: Motion
    origins: Mapping[str, Mapping[str, object]]


@contextmanager
def staged(subject: Subject, scale: float) -> Iterator[Stage]:
    """Set a subject up for export; everything is gone afterwards, and the artist's scene is as it was.

    Args:
        subject: What to export.
        scale: Units to the metre.
    """
    origins = {head.mesh.name: origin_of(head) for head in subject.heads}
    with copied(subject) as copies:
        motion = sample(copies, subject.first, subject.last)
        bake(copies, motion, scale)
        for head in copies.heads:
            head.mesh[PROVENANCE] = json.dumps(origins[head.mesh.name], ensure_ascii=False)
        copies.scene.unit_settings.scale_length = 1.0 / scale
        _select(copies)
        yield Stage(subject, copies, motion, origins)


def _select(copies: Copies) -> None:
    layer = bpy.context.view_layer
    for item in copies.scene.objects:
        item.select_set(True, view_layer=layer)
    layer.objects.active = copies.heads[0].mesh
