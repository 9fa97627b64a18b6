# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien import`: another program's file becomes a take file."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path

from backend.exports.flame_motion import Shot
from backend.exports.importing import Imported, ImportOptions, import_take
from backend.exports.kinds import KINDS
from backend.heads import load_head
from backend.outputs import TAKE, check_writable
from backend.progress import Progress
from backend.retarget.arkit import with_arkit
from backend.terminal import TerminalProgress, put
from blender_addon.contract.arkit import SOLVED, has_arkit
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.provenance import provenance
from blender_addon.contract.take import Take


def import_file(options: argparse.Namespace) -> None:
    """Run `mien import`.

    Args:
        options: As `backend.exports.command` parses them.

    Raises:
        MienError: USAGE, BAD_IMPORT, and what reading and writing files raise.
    """
    path = Path(options.file)
    if options.kind is not None and options.kind not in KINDS:
        remedy = f"Use one of: {', '.join(KINDS)}."
        raise MienError(ErrorCode.USAGE, f"There is no kind {options.kind!r}.", remedy)
    out = Path(options.out).absolute() if options.out else path.absolute().parent / f"{_stem(path)}{TAKE}"
    if os.path.exists(out) and os.path.exists(path) and os.path.samefile(out, path):
        raise MienError(ErrorCode.USAGE, f"{out} would be written over itself.", "Name another file with --out.")
    with TerminalProgress() as progress:
        progress("import", 0.0, f"reading {path.name}")
        known = ImportOptions(
            kind=options.kind,
            head=options.head,
            fps=options.fps,
            identity=Take.load(options.identity) if options.identity else None,
            shot=Shot(options.size, options.focal),
        )
        imported = _with_arkit(import_take(path, known), options.head, progress)
        check_writable(out)
        imported.take.save(out)
    _tell(imported, out, options.json)


def _with_arkit(imported: Imported, head: str | None, progress: Progress) -> Imported:
    """With ARKit's weights, where the head is known and its channels are others; a note says where that cannot be."""
    take = imported.take
    if head is None or has_arkit(take.meta.channels) or SOLVED in take.extra:
        return imported
    try:
        return replace(imported, take=with_arkit(take, load_head(head), progress=progress))
    except MienError as error:
        if error.code is not ErrorCode.BAD_HEAD:
            raise
        return replace(imported, notes=(*imported.notes, f"ARKit's weights are left out: {error.message}"))


def _stem(path: Path) -> str:
    """What the take is named after: the file's name without its ending, a folder's whole name."""
    name = path.absolute().name
    return name.removesuffix(TAKE) if name.endswith(TAKE) else name if os.path.isdir(path) else path.stem


def _tell(imported: Imported, out: Path, as_json: bool) -> None:
    take = imported.take
    if as_json:
        report = {"take": str(out), "kind": imported.kind, "frames": len(take), "notes": list(imported.notes)}
        put(json.dumps(report | provenance(take.meta), indent=2))
        return
    rate = f" at {take.meta.rate:g} a second" if take.meta.rate else ""
    frames = "1 frame" if len(take) == 1 else f"{len(take)} frames"
    lines = [f"{imported.kind}: {frames}{rate}, on the head '{take.meta.head_id}'", *imported.notes]
    put("\n".join([*lines, "Written:", f"  {out}"]))
