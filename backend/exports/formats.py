# SPDX-License-Identifier: GPL-3.0-or-later
"""The formats that takes go to: those written here, and those that only Blender writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.take import Take


@dataclass(frozen=True)
class Format:
    """A format that takes are written to.

    Attributes:
        title: What it is, for people.
        suffix: What the file's name ends in, with the dot.
        write: Writes a take to a path that is not there yet.
        check: Raises CANNOT_EXPORT for a take that cannot be told in this format.
    """

    title: str
    suffix: str
    write: Callable[[Take, Path], None]
    check: Callable[[Take], None]


def _any_take(take: Take) -> None:
    """Every take can be written."""


TAKE_FORMATS: Mapping[str, Format] = MappingProxyType(
    {"npz": Format("Mien take", ".take.npz", lambda take, path: take.save(path), _any_take)}
)
"""By the name that the command line and manifests give them."""

SCENE_FORMATS: Mapping[str, str] = MappingProxyType(
    {"blend": ".blend", "fbx": ".fbx", "glb": ".glb", "usd": ".usdc", "abc": ".abc", "mdd": ".mdd"}
)
"""Suffixes of the formats that Blender writes."""


def check_formats(names: Iterable[str]) -> tuple[str, ...]:
    """The names, if all are formats.

    Raises:
        MienError: USAGE.
    """
    names = tuple(names)
    known = (*TAKE_FORMATS, *SCENE_FORMATS)
    if unknown := [name for name in names if name not in known]:
        raise MienError(ErrorCode.USAGE, f"There is no format {unknown[0]!r}.", f"Use one of: {', '.join(known)}.")
    return names


def export_take(take: Take, name: str, folder: Path, stem: str) -> list[Path]:
    """Write a take to one of `TAKE_FORMATS`, whole or not at all.

    Args:
        take: The take.
        name: The format's name.
        folder: Where to.
        stem: Name of the file without the format's suffix.

    Returns:
        What was written.

    Raises:
        MienError: CANNOT_EXPORT, NO_SPACE, NOT_PERMITTED or MISSING_FILE.
    """
    chosen = TAKE_FORMATS[name]
    chosen.check(take)
    target = folder / f"{stem}{chosen.suffix}"
    chosen.write(take, target)
    return [target]
