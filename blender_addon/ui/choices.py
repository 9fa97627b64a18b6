# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engines and heads can be chosen, and why the others cannot. No bpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from ..contract.messages import Models
from ..contract.models import EngineStatus, HeadStatus, PartStatus
from ..contract.options import DEFAULT_HEADS, EngineName

ENGINES: tuple[str, ...] = get_args(EngineName)
_ENGINE_TITLES = {"fit": "Landmark Fit", "deca": "DECA", "emoca": "EMOCA", "smirk": "SMIRK"}
_HEAD_TITLES = {
    "open": "Open Head", "flame2020": "FLAME 2020", "flame2023": "FLAME 2023", "flame2023_open": "FLAME 2023 Open",
}  # fmt: skip
_NOT_TOLD = "The backend tells whether this is ready once it runs. Choose Check Backend in the menu at the top"
_MICA = "mica"
_MICA_HEAD = "flame2020"


@dataclass(frozen=True)
class Choice:
    """An entry of a menu.

    Attributes:
        name: Id of the engine or head, or name of weights.
        title: For people.
        facts: What the tooltip says about it, without a final stop.
        problem: Why it cannot be chosen and what to do, without a final stop; empty where it can be.
    """

    name: str
    title: str
    facts: str
    problem: str = ""


def engine_of(models: Models, name: str) -> EngineStatus | None:
    """What the backend told of an engine; None where it told nothing."""
    return next((item for item in models.engines if item.name == name), None)


def head_of(models: Models, id_: str) -> HeadStatus | None:
    """What the backend told of a head; None where it told nothing."""
    return next((item for item in models.heads if item.id == id_), None)


def part_of(models: Models, kind: str) -> PartStatus | None:
    """What the backend told of a part, an added one first; None where it told nothing."""
    found = [item for item in models.parts if item.kind == kind]
    return next((item for item in found if item.ready), found[0] if found else None)


def engine_title(name: str, models: Models | None = None) -> str:
    """An engine's name for people; of imported takes that of their kind."""
    status = engine_of(models, name) if models else None
    return status.title if status else _ENGINE_TITLES.get(name, name.capitalize())


def head_title(id_: str, models: Models) -> str:
    """A head's name for people; a head that is a file is called by its path."""
    status = head_of(models, id_)
    return status.title if status else _HEAD_TITLES.get(id_, id_)


def engines(models: Models) -> list[Choice]:
    """All engines, in their order; before the backend told of any, the landmark fit alone can be chosen."""
    if not models.engines:
        return [
            Choice(name, _ENGINE_TITLES[name], "Needs no added files" if name == "fit" else "", _unknown(name, "fit"))
            for name in ENGINES
        ]
    return [Choice(item.name, item.title, _facts(item), _problem(item)) for item in models.engines]


def heads(models: Models, engine: str) -> list[Choice]:
    """All heads; those that the engine cannot use, and those that are not there, with the reason."""
    if not models.heads:
        default = DEFAULT_HEADS.get(engine, "open")
        return [Choice(id_, title, "", _unknown(id_, default)) for id_, title in _HEAD_TITLES.items()]
    status = engine_of(models, engine)
    return [
        Choice(item.id, item.title, _facts(item), _unfit(item, status) or _problem(item)) for item in models.heads
    ]


def weights(models: Models, engine: str) -> tuple[str, ...]:
    """Names of the weights of an engine, where there are several to choose from."""
    status = engine_of(models, engine)
    return status.weights if status and len(status.weights) > 1 else ()


def default_head(models: Models, engine: str) -> str:
    """The head that an engine captures on unless another is chosen: its first one, or the first that is there."""
    status = engine_of(models, engine)
    ids = status.heads if status and status.heads else (DEFAULT_HEADS.get(engine, "open"),)
    ready = [id_ for id_ in ids if (found := head_of(models, id_)) and found.ready]
    return ready[0] if ready else ids[0]


def capture_problem(models: Models, engine: str, head: str, chosen_weights: str = "") -> str:
    """Why nothing can be captured with this choice, and what to do, without a final stop; empty where nothing is known
    to stand in the way. Heads that are files are left to the backend.
    """
    if not models.engines:
        return ""
    status = engine_of(models, engine)
    if status is None:
        return f"The backend has no engine '{engine}'. Choose another one"
    if problem := _problem(status):
        return problem
    if chosen_weights and status.weights and chosen_weights not in status.weights:
        return f"The weights '{chosen_weights}' of {status.title} are not there. Choose others in the options"
    found = head_of(models, head)
    return "" if found is None else _unfit(found, status) or _problem(found)


def mica_problem(models: Models, head: str) -> str:
    """Why MICA cannot say what a head looks like, without a final stop; empty where it can or nothing is known."""
    if head != _MICA_HEAD:
        return "MICA works on FLAME 2020 alone. Choose that head"
    part = part_of(models, _MICA)
    if part is None or part.ready:
        return ""
    return f"{part.title} was not added. Add its files in the preferences"


def use_label(use: str) -> str:
    """What a licence says about commercial use."""
    return {"yes": "Commercial use: yes", "no": "Commercial use: no"}.get(use, "Commercial use: unclear")


def _facts(item: EngineStatus | HeadStatus) -> str:
    return f"Licence: {item.licence}. {use_label(item.commercial_use)}"


def _problem(item: EngineStatus | HeadStatus) -> str:
    return "" if item.ready else f"{item.reason} {item.remedy}".strip().rstrip(".")


def _unfit(head: HeadStatus, engine: EngineStatus | None) -> str:
    if engine is None or not engine.heads or head.id in engine.heads:
        return ""
    return f"{engine.title} does not capture on {head.title}. Choose {_listed(engine.heads)}"


def _listed(ids: Sequence[str]) -> str:
    titles = [_HEAD_TITLES.get(id_, id_) for id_ in ids]
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} or {titles[-1]}"


def _unknown(name: str, default: str) -> str:
    return "" if name == default else _NOT_TOLD
