# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of a configuration as frozen dataclasses; what is unknown or of the wrong type is told by its place."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from blender_addon.contract.errors import ErrorCode, MienError

Settings = TypeVar("Settings")


def filled(cls: type[Settings], table: object, place: str) -> Settings:
    """An instance of a dataclass from a table; what the table leaves out has its default.

    Args:
        cls: a dataclass of numbers, strings, `Literal`, mappings, tuples and other such dataclasses.
        table: what YAML gave.
        place: where the table stands, for messages ("model").

    Raises:
        MienError: USAGE, naming the entry, what is wrong with it, and what is allowed.
    """
    if not isinstance(table, Mapping):
        raise wrong(place, f"is {table!r}, not a table of settings", "Write its settings below it, indented.")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if unknown := [str(name) for name in table if name not in fields]:
        raise wrong(f"{place}.{unknown[0]}".lstrip("."), "is not a setting", f"There are: {', '.join(fields)}.")
    hints = get_type_hints(cls)
    values = {name: _value(hints[name], value, f"{place}.{name}".lstrip(".")) for name, value in table.items()}
    needed = [
        name for name, field in fields.items()
        if name not in values and field.default is field.default_factory is dataclasses.MISSING
    ]  # fmt: skip
    if needed:
        raise wrong(f"{place}.{needed[0]}".lstrip("."), "is missing", "Add it to the configuration.")
    return cls(**values)


def wrong(place: str, reason: str, remedy: str) -> MienError:
    """A setting that cannot be used."""
    return MienError(ErrorCode.USAGE, f"The setting '{place}' {reason}.", remedy, {"setting": place})


def _value(hint: Any, value: object, place: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _either([each for each in arguments if each is not type(None)], value, place)
    if origin is Literal:
        if value in arguments:
            return value
        raise wrong(place, f"is {value!r}", f"It is one of: {', '.join(str(each) for each in arguments)}.")
    if dataclasses.is_dataclass(hint):
        return filled(hint, value, place)  # type: ignore[arg-type]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _table(arguments, value, place)
    if isinstance(origin, type) and issubclass(origin, Sequence):
        if not isinstance(value, list | tuple):
            raise wrong(place, f"is {value!r}, not a list", "Write it as [a, b].")
        return tuple(_value(arguments[0], each, f"{place}[{n}]") for n, each in enumerate(value))
    return _plain(hint, value, place)


def _either(hints: Sequence[Any], value: object, place: str) -> Any:
    """A value of the first type that it fits."""
    reasons = []
    for hint in hints:
        try:
            return _value(hint, value, place)
        except MienError as error:
            reasons.append(error)
    raise reasons[0]


def _table(arguments: tuple[Any, ...], value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise wrong(place, f"is {value!r}, not a table", "Write its entries below it, indented.")
    inner = arguments[1] if len(arguments) == 2 else Any
    return {str(name): _value(inner, each, f"{place}.{name}") for name, each in value.items()}


def _plain(hint: Any, value: object, place: str) -> Any:
    if hint in (Any, object):
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):  # YAML reads 5e-5 as text
        try:
            return float(value)
        except ValueError:
            pass
    if isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool):
        return value
    names = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}
    raise wrong(place, f"is {value!r}, not {names.get(hint.__name__, hint.__name__)}", "Correct it.")
