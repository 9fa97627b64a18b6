# SPDX-License-Identifier: GPL-3.0-or-later
"""What `headless.py` says on its output: the files that are whole, then a report or an error as a line of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from blender_addon.contract.errors import ErrorCode, MienError

_WROTE = "Mien wrote "
"""What a line begins with that names a target which is whole."""


@dataclass(frozen=True)
class Told:
    """What a run of the script told.

    Attributes:
        wrote: Formats whose files are whole.
        failed: Why others could not be written, by format.
        warnings: Sentences for the user.
        ended: Whether it came to its report.
    """

    wrote: tuple[str, ...]
    failed: Mapping[str, MienError] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    ended: bool = False


def read_output(output: str, formats: Iterable[str]) -> Told:
    """Read what the script printed.

    Args:
        output: All of it, also of a run that was cut off.
        formats: Which it was asked for.

    Raises:
        MienError: The error that the script reported instead of writing anything.
    """
    named = {line.removeprefix(_WROTE).strip() for line in output.splitlines() if line.startswith(_WROTE)}
    wrote = tuple(name for name in formats if name in named)
    report = last_json_line(output)
    if report is None:
        return Told(wrote)
    if report.get("ok") is False:
        raise _error(report.get("error"))
    failed, warnings = report.get("failed"), report.get("warnings")
    errors = {str(name): _error(values) for name, values in failed.items()} if isinstance(failed, dict) else {}
    return Told(wrote, errors, tuple(map(str, warnings)) if isinstance(warnings, list) else (), ended=True)


def last_json_line(output: str) -> dict[str, object] | None:
    """The last line of a program's output that is a JSON object; Blender prints lines of its own around ours."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict):
                return found
    return None


def _error(values: object) -> MienError:
    """An error as the script writes it: `code`, `message`, `remedy` and `details`."""
    fields = values if isinstance(values, dict) else {}
    code, details = fields.get("code"), fields.get("details")
    known = ErrorCode(code) if code in set(ErrorCode) else ErrorCode.BLENDER_FAILED
    message = str(fields.get("message") or "Blender did not say what went wrong.")
    remedy = str(fields.get("remedy") or "Give another Blender with --blender PATH.")
    return MienError(known, message, remedy, details if isinstance(details, dict) else None)
