# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien models add`, `use` and `remove`: what they do and print."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

from backend.terminal import TerminalProgress, put
from backend.weights.adding import Added, Outcome, add
from backend.weights.ledger import LEDGER, title
from backend.weights.parts import Part, parts, use
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error

_SHOWN_UNKNOWN = 5


def add_files(options: argparse.Namespace) -> None:
    """Convert files and say what became of each.

    Raises:
        MienError: What `add` raises; the first problem, once all else is done; BAD_WEIGHTS where nothing was known.
    """
    with TerminalProgress() as progress:
        outcome = add([Path(path).absolute() for path in options.paths], options.release, progress)
    put(json.dumps(_table(outcome), indent=2, ensure_ascii=False) if options.json else "\n".join(_lines(outcome)))
    if outcome.problems:
        raise outcome.problems[0]
    if not outcome.added:
        message = f"{', '.join(options.paths)} {'hold' if len(options.paths) > 1 else 'holds'} nothing that Mien uses."
        raise MienError(ErrorCode.BAD_WEIGHTS, message, "See 'mien models' for the files that it can use.")


def use_part(options: argparse.Namespace) -> None:
    """Make a part the first of its kind.

    Raises:
        MienError: USAGE for a name that none or several have.
    """
    part = _one(options.part)
    use(part)
    _say(options.json, part, "used")


def remove_part(options: argparse.Namespace) -> None:
    """Delete a part.

    Raises:
        MienError: USAGE for a name that none or several have; NOT_PERMITTED.
    """
    part = _one(options.part)
    try:
        part.path.unlink()
    except OSError as error:
        raise file_error(part.path, error, "removed") from error
    _say(options.json, part, "removed")


def _one(reference: str) -> Part:
    """The part that KIND, KIND:NAME or NAME means."""
    kind, colon, name = reference.partition(":")
    there = parts()
    if colon:
        found = [part for part in there if (part.kind, part.name) == (kind, name)]
    else:
        found = [part for part in there if part.kind == reference and not part.name]
        found = found or [part for part in there if reference in (part.kind, part.name)]
    if len(found) == 1:
        return found[0]
    if found:
        message = f"'{reference}' could be {', '.join(f'{part.kind}:{part.name}' for part in found)}."
        raise MienError(ErrorCode.USAGE, message, "Name one of them.")
    message = f"There is no part '{reference}'."
    raise MienError(ErrorCode.USAGE, message, "See 'mien models' for those that are there.")


def _say(as_json: bool, part: Part, done: str) -> None:
    if as_json:
        put(json.dumps({"kind": part.kind, "name": part.name, done: True}))
    else:
        put(f"{done:8} {title(part.kind, part.name)}")


def _lines(outcome: Outcome) -> Iterable[str]:
    file = None
    for added in outcome.added:
        if added.file != file:
            yield added.file
        file = added.file
        yield from _told(added)
    for warning in outcome.warnings:
        yield f"warning  {warning}"
    for problem in outcome.problems[1:]:  # the first ends the command
        yield f"refused  {problem}"
    unknown = outcome.unknown
    if unknown:
        more = f" and {len(unknown) - _SHOWN_UNKNOWN} more" if len(unknown) > _SHOWN_UNKNOWN else ""
        yield f"left     not needed: {', '.join(unknown[:_SHOWN_UNKNOWN])}{more}"


def _told(added: Added) -> Iterable[str]:
    part, entry = added.part, LEDGER[added.part.kind]
    state = "there" if added.before else "added"
    yield f"  {state:6} {title(part.kind, part.name)}, {part.size / 1e6:.1f} MB"
    yield f"         commercial use: {entry.commercial_use}; {entry.licence}"
    yield from (f"         {note}" for note in added.notes)


def _table(outcome: Outcome) -> dict[str, object]:
    return {
        "added": [
            {
                "kind": added.part.kind, "name": added.part.name, "title": title(added.part.kind, added.part.name),
                "file": added.file, "sha256": added.part.sha256, "path": str(added.part.path),
                "settings": dict(added.part.settings), "notes": list(added.notes), "there_before": added.before,
                "licence": LEDGER[added.part.kind].licence,
                "commercial_use": LEDGER[added.part.kind].commercial_use,
            }
            for added in outcome.added
        ],
        "problems": [
            {"code": error.code.value, "message": error.message, "remedy": error.remedy, "details": error.details}
            for error in outcome.problems
        ],
        "unknown": outcome.unknown,
        "warnings": outcome.warnings,
    }  # fmt: skip
