# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles as JSON files, described in docs/characters.md."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from ..contract.errors import ErrorCode, MienError
from ..contract.files import atomic_write, file_error
from .profile import BoneTarget, KeyTarget, Profile, Response, Row, Target, bad_profile
from .sources import SOURCES

SCHEMA = 1
MOST_BYTES = 1 << 20
_NOTHING = (0.0, 0.0, 0.0)


def save_profile(path: str | os.PathLike[str], profile: Profile) -> None:
    """Write a profile (see `files.atomic_write` for errors)."""
    text = json.dumps(to_json(profile), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    atomic_write(path, lambda file: file.write(text.encode("utf-8")))


def load_profile(path: str | os.PathLike[str]) -> Profile:
    """Read a profile.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED; TOO_LARGE for more than a mebibyte; UNKNOWN_SCHEMA; BAD_PROFILE, naming
            the file and the entry.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise file_error(path, error, "read") from error
    if len(data) > MOST_BYTES:
        message = f"{path} is larger than any profile."
        raise MienError(ErrorCode.TOO_LARGE, message, "Choose a profile that Mien wrote.", {"path": str(path)})
    try:
        return from_json(_parsed(data))
    except MienError as error:
        details = {**error.details, "path": str(path)}
        raise MienError(error.code, f"{path}: {error.message}", error.remedy, details) from error


def _parsed(data: bytes) -> object:
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise bad_profile("This is not a JSON file.", "json", "Choose a profile that Mien wrote.") from error


def _no_constant(text: str) -> float:
    raise ValueError(text)  # NaN and Infinity are no JSON


def to_json(profile: Profile) -> dict[str, object]:
    """JSON-able values; rows and entries that are plain are left out."""
    rows = {source: _row_values(profile.rows[source]) for source in SOURCES if source in profile.rows}
    return {
        "schema": SCHEMA,
        "name": profile.name,
        "facing": profile.facing,
        "place": profile.place,
        "widen": profile.widen,
        "only": profile.only,
        **({"unit": [_one_or_list(names) for names in profile.unit]} if profile.unit else {}),
        "channels": {source: values for source, values in rows.items() if values},
    }


def from_json(values: object) -> Profile:
    """Inverse of `to_json`.

    Raises:
        MienError: UNKNOWN_SCHEMA (checked first) or BAD_PROFILE.
    """
    table = _table(values, "The profile")
    schema = table.get("schema")
    if type(schema) is not int or schema != SCHEMA:
        message = f"The profile has schema {schema!r:.40}, this version of Mien reads {SCHEMA}."
        raise MienError(ErrorCode.UNKNOWN_SCHEMA, message, "Open it with the version of Mien that wrote it.")
    _require_known(table, ("schema", "name", "facing", "place", "widen", "only", "unit", "channels"), "The profile")
    for name in ("place", "widen", "only"):
        if not isinstance(table.get(name, False), bool):
            raise bad_profile(f"The profile's '{name}' is neither true nor false.", "type")
    channels = _table(table.get("channels", {}), "The profile's 'channels'")
    rows = {source: _told(f"Channel '{source:.60}'", _row, entry) for source, entry in channels.items()}
    given = {name: table[name] for name in ("name", "facing", "place", "widen", "only") if name in table}
    if "unit" in table:
        given["unit"] = _unit(table["unit"])
    return Profile(**given, rows=rows)  # type: ignore[arg-type]  # checked on construction


def targets_text(targets: tuple[Target, ...] | None) -> str:
    """Targets as one line of JSON; empty for None."""
    return "" if targets is None else json.dumps([_target_values(target) for target in targets])


def targets_of(text: str) -> tuple[Target, ...] | None:
    """Inverse of `targets_text`.

    Raises:
        MienError: BAD_PROFILE.
    """
    return _targets(_parsed(text.encode("utf-8"))) if text else None


def _row_values(row: Row) -> dict[str, object]:
    values: dict[str, object] = {}
    if row.gain != 1.0:
        values["gain"] = row.gain
    if row.offset:
        values["offset"] = row.offset
    if row.response.points:
        values["curve"] = [list(point) for point in row.response.points]
    elif row.response.exponent != 1.0:
        values["curve"] = row.response.exponent
    if row.use is not None:
        values["use"] = row.use
    if row.targets is not None:
        values["targets"] = [_target_values(target) for target in row.targets]
    return values


def _target_values(target: Target) -> dict[str, object]:
    share: dict[str, object] = {} if target.share == 1.0 else {"share": target.share}
    if isinstance(target, KeyTarget):
        return {"key": target.name, **share}
    values: dict[str, object] = {"bone": _one_or_list(target.names)}
    values |= {name: list(getattr(target, name)) for name in ("move", "turn") if getattr(target, name) != _NOTHING}
    values |= {name: _one_or_list(getattr(target, name)) for name in ("toward", "pivot") if getattr(target, name)}
    return values | share


def _row(values: object) -> Row:
    table = _table(values, "It")
    _require_known(table, ("gain", "offset", "curve", "use", "targets"), "It")
    given = {name: table[name] for name in ("gain", "offset", "use") if name in table}
    if not isinstance(given.get("use"), (bool, type(None))):
        raise bad_profile("Its 'use' is neither true nor false.", "type")
    if "curve" in table:
        given["response"] = _response(table["curve"])
    if "targets" in table:
        given["targets"] = _targets(table["targets"])
    return Row(**given)


def _response(values: object) -> Response:
    if not isinstance(values, list):
        return Response(exponent=values)  # type: ignore[arg-type]  # checked on construction
    if not values or any(not isinstance(point, list) or len(point) != 2 for point in values):
        raise bad_profile("Its 'curve' is neither an exponent nor a list of points.", "curve")
    return Response(points=tuple((point[0], point[1]) for point in values))


def _targets(values: object) -> tuple[Target, ...]:
    if not isinstance(values, list):
        raise bad_profile("Its 'targets' is not a list.", "type")
    return tuple(_target(_table(entry, "A target")) for entry in values)


def _target(table: Mapping[str, Any]) -> Target:
    if "key" in table:
        _require_known(table, ("key", "share"), "A target")
        return KeyTarget(table["key"], table.get("share", 1.0))
    _require_known(table, ("bone", "move", "turn", "toward", "share", "pivot"), "A target")
    given: dict[str, Any] = {name: _vector(table[name]) for name in ("move", "turn") if name in table}
    given |= {name: _names(table[name]) for name in ("toward", "pivot") if name in table}
    return BoneTarget(_names(table.get("bone")), **given, share=table.get("share", 1.0))


def _unit(value: object) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, list) or len(value) != 2:
        raise bad_profile("The profile's 'unit' is not a list of two bones.", "unit")
    return tuple(_names(entry) for entry in value)


def _names(value: object) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    if not all(isinstance(name, str) for name in names) or len(names) > 16:
        raise bad_profile("A target names neither a key nor a bone.", "target")
    return tuple(names)


def _vector(value: object) -> tuple[float, float, float]:
    if not isinstance(value, list) or len(value) != 3:
        raise bad_profile("An amount of a target is not a list of three numbers.", "target")
    return (value[0], value[1], value[2])


def _one_or_list(names: tuple[str, ...]) -> str | list[str]:
    return names[0] if len(names) == 1 else list(names)


def _table(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise bad_profile(f"{what} is not a table of entries.", "type")
    return value


def _require_known(table: Mapping[str, Any], names: tuple[str, ...], what: str) -> None:
    if unknown := [name for name in table if name not in names]:
        raise bad_profile(f"{what} has an unknown entry '{min(unknown):.60}'.", "unknown")


def _told(what: str, read: Callable[[object], Row], value: object) -> Row:
    """A row, with the channel's name in front of what is wrong with it."""
    try:
        return read(value)
    except MienError as error:
        raise bad_profile(f"{what}: {error.message}", str(error.details["cause"]), error.remedy) from error
