# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien convert`: what was asked for is checked as a whole first, then done and written."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

from backend.heads import load_head
from backend.outputs import TAKE, check_writable, take_stem, write_json, write_together
from backend.terminal import TerminalProgress, put
from blender_addon.contract.arkit import has_arkit
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.provenance import provenance
from blender_addon.contract.take import Take

from .arkit import with_arkit
from .converting import Converted, convert
from .heads_of_takes import head_of
from .pairing import same_mesh

REPORT = ".convert.json"


def convert_file(options: argparse.Namespace) -> None:
    """Run `mien convert`.

    Args:
        options: As `backend.retarget.command` parses them.

    Raises:
        MienError: USAGE, WRONG_HEAD, and what reading, registering and writing raise. Nothing is written then.
    """
    path = Path(options.take)
    if options.neutral is not None and not options.arkit:
        raise MienError(ErrorCode.USAGE, "--neutral is only for --arkit.", "Leave --neutral out.")
    take = Take.load(path)
    if options.arkit:
        _add_arkit(path, take, options)
    else:
        _to_head(path, take, options)


def _add_arkit(path: Path, take: Take, options: argparse.Namespace) -> None:
    if has_arkit(take.meta.channels):
        message = f"The take of {take.meta.source} is on the head '{take.meta.head_id}', whose channels are ARKit's."
        raise MienError(ErrorCode.USAGE, message, "Export it as it is: there is nothing to add.")
    neutral = None if options.neutral is None else options.neutral - 1
    if neutral is not None and neutral >= len(take):
        message = f"Frame {options.neutral} was named, and the take has {len(take)}."
        raise MienError(ErrorCode.USAGE, message, f"Name a frame from 1 to {len(take)}.")
    out = Path(options.out).absolute() if options.out else path.absolute()
    check_writable(out)
    with TerminalProgress() as progress:
        head = head_of(take, options.head)
        made = with_arkit(_moved(take, path, out), head, neutral, progress=progress)
        made.save(out)
    if options.json:
        put(json.dumps({"take": str(out), "frames": len(made)} | provenance(made.meta), indent=2))
    else:
        put(f"ARKit's weights of {len(made)} frames were added.\nWritten:\n  {out}")


def _to_head(path: Path, take: Take, options: argparse.Namespace) -> None:
    with TerminalProgress() as progress:
        target = load_head(options.to_head)
        source = target if take.meta.head_sha256 == target.sha256 else head_of(take, options.head)
        out, report = _places(path, target.id, options.out)
        if os.path.exists(out) and os.path.samefile(out, path):
            raise MienError(ErrorCode.USAGE, f"{out} would be written over itself.", "Name another file with --out.")
        check_writable(out)
        moved = _moved(take, path, out) if same_mesh(source, target) else take  # on another mesh maps are left out
        made = convert(moved, source, target, progress)
        facts = _facts(made, path, out, source.id)
        write_together({out: made.take.save, report: partial(write_json, values=facts)})
    put(json.dumps(facts, indent=2) if options.json else _summary(made, out, report, source.id))


def _places(take: Path, head_id: str, out: str | None) -> tuple[Path, Path]:
    """Where the take and the report go."""
    if out is not None:
        made = Path(out).absolute()
        return made, made.with_name(f"{take_stem(made)}{REPORT}")
    stem = f"{take_stem(take)}.{head_id}"
    folder = take.absolute().parent
    return folder / f"{stem}{TAKE}", folder / f"{stem}{REPORT}"


def _moved(take: Take, path: Path, out: Path) -> Take:
    """The take whose displacement maps are found from the folder that it goes to.

    Raises:
        MienError: USAGE where that is on another drive.
    """
    here, there = path.absolute().parent, out.parent
    if here == there or not take.meta.displacement:
        return take
    try:
        maps = tuple(Path(os.path.relpath(here / name, there)).as_posix() for name in take.meta.displacement)
    except ValueError as error:  # of Windows alone
        message = f"{out} is on another drive than the displacement maps of {path}, which a take names from its folder."
        raise MienError(ErrorCode.USAGE, message, "Name a file on the drive of the take with --out.") from error
    return replace(take, meta=replace(take.meta, displacement=maps))


def _facts(made: Converted, path: Path, out: Path, source: str) -> dict[str, object]:
    residual = made.residual
    return {
        "take": str(out),
        "converted_from": str(path.absolute()),
        "from_head": source,
        "frames": len(made.take),
        "residual_mm": {
            "mean": round(residual.mean, 4),
            "p95": round(residual.p95, 4),
            "max": round(residual.most, 4),
            "max_frame": residual.most_frame + 1,
            "without_expression": round(residual.rest, 4),
        },
        "notes": list(made.notes),
    } | provenance(made.take.meta)


def _summary(made: Converted, out: Path, report: Path, source: str) -> str:
    residual, meta = made.residual, made.take.meta
    lines = [
        f"{len(made.take)} frames from the head '{source}' to '{meta.head_id}'.",
        f"Distance over the face: {residual.mean:.2f} mm on the average, 95 % below {residual.p95:.2f} mm; "
        f"frame {residual.most_frame + 1} is the worst with {residual.most:.2f} mm. Without expression it is "
        f"{residual.rest:.2f} mm.",
        f"Licences: {', '.join(meta.licences)}; commercial use: {meta.commercial_use}.",
        *made.notes,
    ]
    return "\n".join([*lines, "Written:", f"  {out}", f"  {report}"])
