# SPDX-License-Identifier: GPL-3.0-or-later
"""The formats that takes go to: those written here, and those that only Blender writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from backend.outputs import TAKE, write_json, write_together
from blender_addon.contract.arkit import require_arkit
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.provenance import PROVENANCE, provenance
from blender_addon.contract.take import Take

from .arkit_files import write_arkit_json, write_csv
from .facs import write_facs
from .folders import write_folder
from .gaussian_avatars import CAMERAS, write_gaussian_avatars
from .livelink import write_livelink
from .motion import write_motion
from .vhap import require_flame, require_vhap, write_vhap
from .vrm import write_vrm
from .vrma import write_vrma, write_vrma_arkit


def _any_take(take: Take) -> None:
    """Every take can be written."""


@dataclass(frozen=True)
class Format:
    """A format that takes are written to.

    Attributes:
        title: What it is, for people.
        suffix: What the file's name ends in, with the dot.
        write: Writes a take to a path that is not there yet.
        check: Raises CANNOT_EXPORT for a take that cannot be told in this format.
        carries_provenance: Whether the file itself says where the take comes from; else a file beside it does.
        key_file: The file by which a folder of this format is known; empty for formats of one file.
        of_flame: Whether it is FLAME's, so that no take on the open head can be told in it.
    """

    title: str
    suffix: str
    write: Callable[[Take, Path], None]
    check: Callable[[Take], None] = _any_take
    carries_provenance: bool = True
    key_file: str = ""
    of_flame: bool = False


TAKE_FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "npz": Format("Mien take", TAKE, lambda take, path: take.save(path)),
        "livelink": Format("Live Link Face CSV", ".livelink.csv", write_livelink, require_arkit, False),
        "arkit-csv": Format("ARKit 52 CSV", ".arkit.csv", write_csv, require_arkit, False),
        "arkit-json": Format("ARKit 52 JSON", ".arkit.json", write_arkit_json, require_arkit),
        "facs": Format("FACS action units CSV", ".facs.csv", write_facs, require_arkit, False),
        "vrm": Format("VRM expression curves", ".vrm.json", write_vrm, require_arkit),
        "vrma": Format("VRM Animation of the presets", ".vrma", write_vrma, require_arkit),
        "vrma-arkit": Format("VRM Animation of ARKit's names", ".arkit.vrma", write_vrma_arkit, require_arkit),
        "vhap": Format("VHAP parameters", ".vhap.npz", write_vhap, require_vhap, of_flame=True),
        "gaussian-avatars": Format(
            "GaussianAvatars folder",
            ".gaussian-avatars",
            write_gaussian_avatars,
            require_flame,
            key_file=CAMERAS,
            of_flame=True,
        ),
        "motion": Format("Head, neck, jaw and eye motion CSV", ".motion.csv", write_motion, carries_provenance=False),
    }
)
"""By the name that the command line and manifests give them."""

SCENE_FORMATS: Mapping[str, str] = MappingProxyType(
    {"blend": ".blend", "fbx": ".fbx", "glb": ".glb", "usd": ".usdc", "abc": ".abc", "mdd": ".mdd"}
)
"""Suffixes of the formats that Blender writes."""


def check_formats(names: Iterable[str], head: str = "") -> tuple[str, ...]:
    """The names, if all are formats.

    Args:
        names: The formats.
        head: Where it is known before there are takes, the head that they will be on: "open" or a file.

    Raises:
        MienError: USAGE; CANNOT_EXPORT for a format that no take on the head can be told in.
    """
    names = tuple(names)
    known = (*TAKE_FORMATS, *SCENE_FORMATS)
    if unknown := [name for name in names if name not in known]:
        raise MienError(ErrorCode.USAGE, f"There is no format {unknown[0]!r}.", f"Use one of: {', '.join(known)}.")
    if head == "open" and (wrong := [name for name in names if name in TAKE_FORMATS and TAKE_FORMATS[name].of_flame]):
        message = f"The format {wrong[0]!r} is FLAME's, and takes on the open head cannot be told in it."
        raise MienError(ErrorCode.CANNOT_EXPORT, message, f"Leave {wrong[0]} out, or name a FLAME head.")
    return names


def export_take(take: Take, name: str, folder: Path, stem: str) -> list[Path]:
    """Write a take to one of `TAKE_FORMATS`, whole or not at all.

    Args:
        take: The take.
        name: The format's name.
        folder: Where to.
        stem: Name of the file without the format's suffix.

    Returns:
        What was written: the file or folder, and `<file>.json` where the format cannot say where a take comes from.

    Raises:
        MienError: CANNOT_EXPORT, NO_SPACE, NOT_PERMITTED or MISSING_FILE.
    """
    return write_as(take, name, folder / f"{stem}{TAKE_FORMATS[name].suffix}")


def write_as(take: Take, name: str, target: Path) -> list[Path]:
    """`export_take` to a path of any name."""
    chosen = TAKE_FORMATS[name]
    chosen.check(take)
    if chosen.key_file:
        write_folder(target, partial(chosen.write, take), chosen.key_file, PROVENANCE)
        return [target]
    files: dict[Path, Callable[[Path], None]] = {target: partial(chosen.write, take)}
    if not chosen.carries_provenance:
        files[sidecar(target)] = partial(write_json, values=provenance(take.meta))
    write_together(files)
    return list(files)


def sidecar(path: Path) -> Path:
    """The file that says where another comes from."""
    return path.with_name(f"{path.name}.json")
