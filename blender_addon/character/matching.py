# SPDX-License-Identifier: GPL-3.0-or-later
"""Which source drives what of a character, by a profile and by names; and why the others drive nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from ..contract.vrm import RULES
from .parts import Parts
from .profile import BoneTarget, KeyTarget, Profile, Target
from .sources import MOTIONS, PLACE, SOURCES, TOLD_BY, TURNS, WEIGHTS, label, labels
from .words import bone_meaning, key_meaning, words

NO_KEY = "No shape key of this name"
NO_BONE = "No bone of this name"


class State(Enum):
    """Of a row."""

    DRIVES = "drives"
    COVERED = "covered"
    OFF = "off"
    MISSING = "missing"


@dataclass(frozen=True)
class Link:
    """One target that is there.

    Attributes:
        target: The key, or the bone with the one name of each kind that the character has.
        meshes: The meshes whose key it is; empty for bones.
        unit: Units of the armature in which a bone's way is measured.
    """

    target: Target
    meshes: tuple[str, ...] = ()
    unit: float = 1.0


@dataclass(frozen=True)
class Found:
    """What a source does on a character.

    Attributes:
        state: Whether it drives something, others do for it, it is switched off, or it has nothing to drive.
        links: What it drives; empty in the other states.
        text: Its targets in one line, or why there are none.
        note: What else is worth knowing.
        named: Whether the character has something of its name, or the profile names something.
    """

    state: State
    links: tuple[Link, ...] = ()
    text: str = ""
    note: str = ""
    named: bool = False


def match(parts: Parts, profile: Profile, builtin: Profile | None = None) -> dict[str, Found]:
    """Match all sources, in the order of `sources.SOURCES`.

    Where two things of a character have the same meaning, the one whose name has fewer other words counts, then the one
    that is written exactly so, then the first; the note names the others.

    Args:
        parts: The character.
        profile: What the user wants.
        builtin: A profile for its kind of rig, for what the user's leaves open and no key answers.
    """
    keys = {} if profile.only else _keys_by_name(parts)
    bones = {} if profile.only else _bones_by_name(parts)
    found: dict[str, Found] = {}
    for source in SOURCES:
        row = profile.row(source)
        given, unit = row.targets, profile.unit
        if given is None and source not in keys and builtin is not None:
            given, unit = builtin.row(source).targets, builtin.unit
        if given is not None:
            answer = _given(parts, source, given, unit)
        elif source in MOTIONS:
            answer = bones.get(source, Found(State.MISSING, text=NO_BONE))
        else:
            answer = keys.get(source, Found(State.MISSING, text=NO_KEY))
        found[source] = _switched(parts, profile, source, answer)
    return _with_others(found, profile)


def missing(found: Mapping[str, Found]) -> tuple[str, ...]:
    """The sources that drive nothing, and that nothing else stands in for; VRM's only on a character that has some."""
    vrm = any(found[source].named for source in RULES)
    return tuple(
        source
        for source, answer in found.items()
        if answer.state is State.MISSING and source != PLACE and (vrm or source not in RULES)
    )


def _given(parts: Parts, source: str, targets: tuple[Target, ...], unit: tuple[tuple[str, ...], ...]) -> Found:
    """What a profile names, as far as the character has it."""
    links, problems = [], []
    for target in targets:
        if isinstance(target, KeyTarget):
            answer = _resolved_key(parts, target)
        else:
            answer = _resolved_bone(parts, source, target, unit)
        if isinstance(answer, Link):
            links.append(answer)
        else:
            problems.append(answer)
    if not links:
        return Found(
            State.MISSING, text=problems[0] if problems else "The profile names no target", named=bool(targets)
        )
    return Found(State.DRIVES, tuple(links), _text(links), "; ".join(dict.fromkeys(problems)), True)


def _resolved_key(parts: Parts, target: KeyTarget) -> Link | str:
    there = [mesh for mesh in parts.meshes if target.name in mesh.keys]
    if not there:
        return f"No shape key '{target.name}'"
    free = tuple(mesh.name for mesh in there if not mesh.keys[target.name])
    return Link(target, free) if free else _first_reason((mesh.name, mesh.keys[target.name]) for mesh in there)


def _resolved_bone(parts: Parts, source: str, target: BoneTarget, unit: tuple[tuple[str, ...], ...] = ()) -> Link | str:
    name = next((name for name in target.names if name in parts.bones), None)
    if name is None:
        return f"No bone '{target.names[0]}'"
    chosen = {}
    for role in ("toward", "pivot"):
        wanted = getattr(target, role)
        there = next((other for other in wanted if other in parts.bones), None)
        if wanted and there is None:
            return f"No bone '{wanted[0]}'"
        chosen[role] = (there,) if there else ()
    bone, resolved = parts.bones[name], replace(target, names=(name,), **chosen)
    moves = source == PLACE or bool(resolved.toward or resolved.pivot) or any(resolved.move)
    turns = (source in TURNS and not resolved.pivot) or any(resolved.turn)
    if moves and bone.no_move:
        return f"'{name}' {bone.no_move}"
    if turns and bone.no_turn:
        return f"'{name}' {bone.no_turn}"
    if not (moves or turns):
        return f"The profile does not say how far '{name}' goes"
    ends = [next((other for other in wanted if other in parts.bones), None) for wanted in unit]
    if any(resolved.move) and None in ends:
        return f"No bone '{unit[ends.index(None)][0]}' to measure by"
    return Link(resolved, unit=_distance(parts, ends) if any(resolved.move) and ends else bone.length)


def _distance(parts: Parts, names: Sequence[str]) -> float:
    first, second = (parts.bones[name].head for name in names)
    return float(np.linalg.norm(first - second))


def _keys_by_name(parts: Parts) -> dict[str, Found]:
    """The best keys of each source, mesh by mesh."""
    chosen: dict[str, dict[KeyTarget, list[str]]] = {}
    blocked: dict[str, list[tuple[str, str]]] = {}
    notes: dict[str, list[str]] = {}
    for mesh in parts.meshes:
        for source, ranked in _ranked_keys(mesh.keys).items():
            best = ranked[0][0]
            twins = [target for rank, target in ranked if rank == best]  # the halves of one channel
            if spare := [target.name for _, target in ranked[len(twins) :]]:
                notes.setdefault(source, []).append(f"'{spare[0]}' would fit, too")
            for target in twins:
                if reason := mesh.keys[target.name]:
                    blocked.setdefault(source, []).append((mesh.name, reason))
                    continue
                chosen.setdefault(source, {}).setdefault(target, []).append(mesh.name)
                if target.name in mesh.muted:
                    notes.setdefault(source, []).append(f"Muted on '{mesh.name}'")
                if target.share != 1.0:
                    notes.setdefault(source, []).append(f"'{target.name}' has no sides: mean of both")
    found = {
        source: Found(State.MISSING, text=_first_reason(iter(reasons)), named=True)
        for source, reasons in blocked.items()
    }
    for source, targets in chosen.items():
        links = tuple(Link(target, tuple(meshes)) for target, meshes in targets.items())
        said = notes.get(source, []) + [f"{reason} on '{mesh}'" for mesh, reason in blocked.get(source, [])]
        found[source] = Found(State.DRIVES, links, _text(links), "; ".join(dict.fromkeys(said)), True)
    return found


def _ranked_keys(names: Mapping[str, str]) -> dict[str, list[tuple[tuple[object, ...], KeyTarget]]]:
    """Keys by source, the best first, with what makes them so: equal ranks are two halves of one channel."""
    ranked: dict[str, list[tuple[tuple[object, ...], KeyTarget]]] = {}
    order: Counter[tuple[object, ...]] = Counter()
    for name in names:
        meaning = key_meaning(name)
        for source, share in meaning.sources.items() if meaning else ():
            rank = (meaning.dropped, share != 1.0, name != source)
            alike = (source, _half(name, source), *rank)
            ranked.setdefault(source, []).append(((*rank, order[alike]), KeyTarget(name, share)))
            order[alike] += 1
    for entries in ranked.values():
        entries.sort(key=lambda entry: entry[0])
    return ranked


def _half(name: str, source: str) -> str:
    """Which half of a channel without sides a key is; "" for a whole."""
    return words(name)[1] if not words(source)[1] else ""


def _bones_by_name(parts: Parts) -> dict[str, Found]:
    ranked: dict[str, list[tuple[int, int, str]]] = {}
    for name in parts.bones:
        if meaning := bone_meaning(name):
            helper = int(name.startswith(("ORG-", "MCH-", "DEF-")))
            (source,) = meaning.sources
            ranked.setdefault(source, []).append((helper, meaning.dropped, name))
    found = {}
    for source, entries in ranked.items():
        names = [name for _, _, name in sorted(entries, key=lambda entry: entry[:2])]
        answer = _resolved_bone(parts, source, BoneTarget((names[0],)))
        note = f"'{names[1]}' would fit, too" if len(names) > 1 else ""
        if isinstance(answer, Link):
            found[source] = Found(State.DRIVES, (answer,), _text([answer]), note, True)
        else:
            found[source] = Found(State.MISSING, text=answer, named=True)
    if "head" in ranked:
        name = min(ranked["head"], key=lambda entry: entry[:2])[2]
        answer = _resolved_bone(parts, PLACE, BoneTarget((name,)))
        place = Found(State.DRIVES, (answer,), _text([answer])) if isinstance(answer, Link) else None
        found[PLACE] = place or Found(State.MISSING, text=str(answer))
    return found


def _switched(parts: Parts, profile: Profile, source: str, found: Found) -> Found:
    """The row, switched off where the profile or the character's own keys say so."""
    if found.state is not State.DRIVES:
        return found
    use = profile.row(source).use
    if use is None and source == PLACE:
        use = profile.place
        if not use:
            return Found(State.OFF, text="Head Position is off", note=found.text, named=True)
    if use is False:
        return Found(State.OFF, text="Switched off", note=found.text, named=True)
    bones = [link.target.names[0] for link in found.links if isinstance(link.target, BoneTarget)]
    keys = [parts.moved[name] for name in bones if name in parts.moved]
    if use is None and source in TURNS and keys:
        return Found(State.OFF, text=f"The key '{keys[0]}' moves that", note=found.text, named=True)
    return found


def _with_others(found: dict[str, Found], profile: Profile) -> dict[str, Found]:
    """Rows that depend on others: what stands in for a channel, and expressions whose channels have their own keys."""
    result = dict(found)
    for source, rule in RULES.items():
        answer = result[source]
        if answer.state is not State.DRIVES or profile.row(source).use:
            continue
        own = [name for name, part in rule.weights.items() if part > 0 and found[name].state is State.DRIVES]
        sides = [name for name in ("blinkLeft", "blinkRight") if found[name].state is State.DRIVES]
        if own or (source == "blink" and sides):
            reason = f"{labels((own or sides)[:1])} has a key of its own"
            result[source] = Found(State.OFF, text=reason, note=answer.text, named=True)
    for source in WEIGHTS:
        if result[source].state is not State.MISSING or source in RULES:
            continue
        turn = TOLD_BY.get(source)
        stand_ins = [name for name, rule in RULES.items()
                     if rule.weights.get(source, 0) > 0 and result[name].state is State.DRIVES]  # fmt: skip
        if turn and result[turn].state is State.DRIVES:
            result[source] = Found(State.COVERED, text=f"By {label(turn)}", named=True)
        elif stand_ins:
            result[source] = Found(State.COVERED, text=f"By {labels(stand_ins)}", named=True)
    return result


def _first_reason(reasons: Iterator[tuple[str, str]]) -> str:
    mesh, reason = next(reasons)
    return f"{reason} on '{mesh}'"


def _text(links: tuple[Link, ...] | list[Link]) -> str:
    names = [link.target.name if isinstance(link.target, KeyTarget) else link.target.names[0] for link in links]
    unique = list(dict.fromkeys(names))
    return unique[0] if len(unique) == 1 else f"{unique[0]} +{len(unique) - 1}"
