# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parts make a FLAME head: its model, and what came to it, as one hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from backend.weights.ledger import LEDGER
from backend.weights.parts import Part, PartKind, parts

_ADDITIONS: tuple[PartKind, ...] = ("head_template", "landmark_embedding", "mediapipe_embedding")
_LIDS: PartKind = "eyelids"


def flame_additions(release: PartKind) -> tuple[Part, ...]:
    """The parts that come to a release of FLAME now: of each kind the one that is used, of the eyelids both.

    A head that may be used commercially gets nothing that may not: it would no longer be what its licence says.
    """
    kinds = [kind for kind in (*_ADDITIONS, _LIDS) if goes_with(kind, release)]
    chosen = [found[0] for kind in kinds if kind != _LIDS and (found := parts(kind))]
    lids = parts(_LIDS) if _LIDS in kinds else ()
    return (*chosen, *sorted(lids, key=lambda part: part.name))


def goes_with(kind: PartKind, release: PartKind) -> bool:
    """Whether a kind of part may come to a release of FLAME without changing what its licence allows."""
    return LEDGER[release].commercial_use != "yes" or LEDGER[kind].commercial_use == "yes"


def flame_revision(additions: Iterable[Part]) -> str:
    """`HeadDescription.revision` of a FLAME head.

    Args:
        additions: The parts that came to it; see `flame_additions`.

    Returns:
        SHA-256 over the sorted lines "kind:name:sha256" of the parts; empty where there are none.
    """
    lines = sorted(f"{part.kind}:{part.name}:{part.sha256}" for part in additions)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines else ""
