# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engines and heads are ready, and what the others lack. Needs no torch, and reads no arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from backend.weights.ledger import LEDGER, title
from backend.weights.parts import Part, PartKind, parts
from backend.weights.revision import flame_additions, flame_revision
from blender_addon.contract.head import CommercialUse
from blender_addon.contract.messages import Models
from blender_addon.contract.models import EngineStatus, HeadStatus, PartStatus

Store = Mapping[PartKind, Sequence[Part]]
FLAMES: tuple[PartKind, ...] = ("flame2020", "flame2023", "flame2023_open")
_OPEN_HEAD_HASH = Path(__file__).resolve().parents[1] / "heads" / "open_head" / "SHA256"
_OWN_LICENCE = "GPL-3.0-or-later"
_STRICTNESS: Mapping[CommercialUse, int] = {"yes": 0, "unclear": 1, "no": 2}


@dataclass(frozen=True)
class Network:
    """An engine that runs published networks.

    Attributes:
        kind: Its part, and its name.
        title: For people.
        identities: How many of FLAME's identity coefficients it gives.
        wrinkles: Whether its networks can make displacement maps.
        emotions: The parts of which any tells the emotion.
    """

    kind: PartKind
    title: str
    identities: int
    wrinkles: bool
    emotions: tuple[PartKind, ...]


NETWORKS = (
    Network("deca", "DECA", 100, True, ("emotion_network", "emotion_mlp")),
    Network("emoca", "EMOCA", 100, True, ("emotion_network", "emotion_mlp")),
    Network("smirk", "SMIRK", 300, False, ("emotion_network",)),
)


def models() -> Models:
    """All engines, heads and parts that Mien knows of, as the data folder is now."""
    store: dict[PartKind, list[Part]] = {kind: [] for kind in get_args(PartKind)}
    for part in parts():
        store[part.kind].append(part)
    engines = (_fit(), *(_network(network, store) for network in NETWORKS))
    return Models(engines, (_open_head(), *(_flame(kind, store) for kind in FLAMES)), tuple(_listed(store)))


def _fit() -> EngineStatus:
    return EngineStatus("fit", "Landmark Fit", True, "", "", _OWN_LICENCE, "yes", ("open", *FLAMES))


def _network(network: Network, store: Store) -> EngineStatus:
    """An engine and what it needs: its networks, FLAME 2020 with enough identities, and its landmarks."""
    needed: tuple[PartKind, ...] = (network.kind, "flame2020", "landmark_embedding")
    missing = [kind for kind in needed if not store[kind]]
    if any(_identities(part) < network.identities for part in store["flame2020"][:1]):  # the one that is used
        missing.append("flame2020")
    strictest = max(needed, key=lambda kind: _STRICTNESS[LEDGER[kind].commercial_use])
    weights = tuple(part.name or network.kind for part in store[network.kind])
    return EngineStatus(
        network.kind,
        network.title,
        not missing,
        _reason(missing, network.title, store),
        _remedy(missing),
        LEDGER[strictest].licence,
        LEDGER[strictest].commercial_use,
        ("flame2020",),
        weights,
        sees_wrinkles=network.wrinkles and not missing and bool(store["head_template"]),
        sees_emotion=not missing and any(store[kind] for kind in network.emotions),
    )


def _identities(part: Part) -> int:
    """Identity coefficients of a head; the full number where the part does not say."""
    return int(part.settings.get("identities", 300))


def _reason(missing: Sequence[PartKind], engine: str, store: Store) -> str:
    if not missing:
        return ""
    if missing == ["flame2020"] and store["flame2020"]:
        return f"{engine} needs the whole FLAME 2020; the one in use, out of an EMOCA checkpoint, has fewer identities."
    names = [f"{title(kind)} ({LEDGER[kind].file})" for kind in missing]
    return f"{engine} lacks {_joined(names)}."


def _remedy(missing: Sequence[PartKind]) -> str:
    if not missing:
        return ""
    places = _joined(list(dict.fromkeys(LEDGER[kind].where for kind in missing)))
    return f"Get what is missing from {places}, then add it with 'mien models add FILE'."


def _joined(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + (" and " if len(words) > 1 else "") + words[-1]


def _open_head() -> HeadStatus:
    sha256 = _OPEN_HEAD_HASH.read_text(encoding="ascii").split()[0]
    return HeadStatus("open", "Open Head", sha256, "", "CC0-1.0", "yes", ready=True)


def _flame(kind: PartKind, store: Store) -> HeadStatus:
    entry = LEDGER[kind]
    if not store[kind]:
        missing = f"{entry.title} ({entry.file}) is missing."
        return HeadStatus(
            kind, entry.title, "", "", entry.licence, entry.commercial_use, False, missing, _remedy([kind])
        )
    sha256, revision = store[kind][0].sha256, flame_revision(flame_additions(kind))
    return HeadStatus(kind, entry.title, sha256, revision, entry.licence, entry.commercial_use, ready=True)


def _listed(store: Store) -> list[PartStatus]:
    """Every part that is there, and one line for each kind of which there is none."""
    lines = []
    for kind, entry in LEDGER.items():
        rest = (entry.licence, entry.commercial_use, entry.where, entry.adds)
        for part in store[kind]:
            label = title(kind, part.name)
            lines.append(PartStatus(kind, part.name, label, True, part.origin, part.sha256, *rest))
        if not store[kind]:
            lines.append(PartStatus(kind, "", entry.title, False, "", "", *rest))
    return lines
