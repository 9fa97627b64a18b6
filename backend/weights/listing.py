# SPDX-License-Identifier: GPL-3.0-or-later
"""What `mien models` prints: engines, heads and parts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from backend.terminal import put
from backend.weights.parts import parts_dir
from backend.weights.readiness import models
from blender_addon.contract.messages import Models
from blender_addon.contract.models import EngineStatus, HeadStatus, PartStatus

_STATE = {True: "ready", False: "missing"}
_INDENT = " " * 9


def show_models(as_json: bool) -> None:
    """Print all engines, heads and parts as they are now.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED: the output cannot be written.
    """
    known = models()
    put(json.dumps(asdict(known), indent=2, ensure_ascii=False) if as_json else "\n".join(_lines(known)))


def _lines(known: Models) -> Iterable[str]:
    yield "Engines"
    for engine in known.engines:
        yield from _entry(engine.ready, engine.name, engine.title, _about_engine(engine))
        yield from _missing(engine)
    yield "\nHeads"
    for head in known.heads:
        yield from _entry(head.ready, head.id, head.title, [_terms(head)])
        yield from _missing(head)
    yield f"\nParts, in {parts_dir()}"
    for part in known.parts:
        reference = f"{part.kind}:{part.name}" if part.name else part.kind
        yield from _entry(part.ready, reference, part.title, [_terms(part), _about_part(part)])
    yield "\nOf several parts of a kind the first one listed is used; 'mien models use NAME' chooses another."


def _entry(ready: bool, name: str, title: str, details: Iterable[str]) -> Iterable[str]:
    yield f"{_STATE[ready]:7}  {name:22} {title}"
    yield from (f"{_INDENT}{detail}" for detail in details)


def _terms(entry: EngineStatus | HeadStatus | PartStatus) -> str:
    return f"commercial use: {entry.commercial_use}; {entry.licence}"


def _about_engine(engine: EngineStatus) -> list[str]:
    details = [_terms(engine), f"heads: {', '.join(engine.heads)}"]
    if engine.weights:
        details.append(f"weights: {', '.join(engine.weights)}")
    extras = [word for word, seen in (("wrinkles", engine.sees_wrinkles), ("emotion", engine.sees_emotion)) if seen]
    return details + ([f"also tells: {', '.join(extras)}"] if extras else [])


def _missing(entry: EngineStatus | HeadStatus) -> list[str]:
    return [f"{_INDENT}{sentence}" for sentence in (entry.reason, entry.remedy) if sentence]


def _about_part(part: PartStatus) -> str:
    return f"{part.adds}; from {part.origin}" if part.ready else f"{part.adds}; see {part.where}"
