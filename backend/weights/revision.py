# SPDX-License-Identifier: GPL-3.0-or-later
"""Which state a FLAME head is in: the parts beside its model that came to it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from backend.weights.parts import Part, PartKind, parts

_ADDITIONS: tuple[PartKind, ...] = ("head_template", "landmark_embedding", "mediapipe_embedding")
_LIDS: PartKind = "eyelids"


def flame_additions() -> tuple[Part, ...]:
    """The parts that come to a FLAME head now: of each kind the one that is used, of the eyelids both."""
    chosen = [found[0] for kind in _ADDITIONS if (found := parts(kind))]
    return (*chosen, *sorted(parts(_LIDS), key=lambda part: part.name))


def flame_revision(additions: Iterable[Part] | None = None) -> str:
    """`HeadDescription.revision` of a FLAME head.

    Args:
        additions: The parts that came to it; those of `flame_additions` where None.

    Returns:
        SHA-256 over the sorted lines "kind:name:sha256" of the parts; empty where there are none.
    """
    lines = sorted(
        f"{part.kind}:{part.name}:{part.sha256}" for part in (flame_additions() if additions is None else additions)
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines else ""
