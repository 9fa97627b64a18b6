# SPDX-License-Identifier: GPL-3.0-or-later
"""The sub-command `batch`: its arguments. What it needs is imported when it runs, so that help is instant."""

from __future__ import annotations

import argparse

from backend.arguments import add_device, add_engine, named, positive
from blender_addon.contract.errors import EXIT_CODES, ErrorCode
from blender_addon.contract.options import DEFAULT_SMOOTHING


def add_batch(commands: argparse._SubParsersAction) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "batch",
        help="capture many shots, on this machine or on a farm",
        description="Capture every photo, clip and sequence of numbered images in a folder, or the shots of a list. "
        "Each gets a folder under --out with its take, report and overlay, and the formats asked for; batch.csv and "
        "batch.html tell how all went. Shots that are finished and have not changed are left alone when the command is "
        "run again, and a shot that fails stops no other.",
        epilog=f"exit status: 0 when all shots are finished, {EXIT_CODES[ErrorCode.SHOTS_FAILED]} when some are not; "
        "'mien --help' lists the others.",
    )
    parser.add_argument("source", nargs="?", type=named, metavar="FOLDER", help="where to look for shots")
    table = "a CSV table instead, with the column file and, if wanted, name, range, person, engine, head, weights, "
    table += "identity, displacement, focal, fps, smoothing and formats; paths are relative to it"
    parser.add_argument("--manifest", type=named, metavar="FILE", help=table)
    out = "folder for the results, made if missing"
    parser.add_argument("--out", type=named, required=True, metavar="DIR", help=out)
    parser.add_argument("--again", action="store_true", help="also do what is finished already")
    _add_shots(parser)
    _add_where(parser)
    parser.set_defaults(run=_batch)


def _add_shots(parser: argparse.ArgumentParser) -> None:
    shots = parser.add_argument_group("shots, where the table does not say it")
    to = "formats for each take, with commas between them, besides the take itself"
    shots.add_argument("--to", default="", metavar="FORMAT,...", help=to)
    which = shots.add_mutually_exclusive_group()
    which.add_argument("--person", type=positive, metavar="N", help="which one, the most prominent is 1")
    which.add_argument("--all-people", action="store_true", help="capture every person")
    add_engine(shots)
    shots.add_argument("--focal", type=float, metavar="MM", help="35 mm equivalent focal length, if the file has none")
    shots.add_argument("--fps", type=float, metavar="N", help="frames per second of numbered images (24 by default)")
    smooth = f"how much curves are smoothed, 0 to 1 ({DEFAULT_SMOOTHING})"
    shots.add_argument("--smoothing", type=float, default=DEFAULT_SMOOTHING, metavar="X", help=smooth)
    timing = "of scenes: one scene frame for each of the clip (conform), or the clip's real time (source)"
    shots.add_argument("--timing", choices=("conform", "source"), default="conform", help=timing)
    blender = "Blender 4.2 or newer for scenes; found or installed by default"
    shots.add_argument("--blender", metavar="PATH", help=blender)


def _add_where(parser: argparse.ArgumentParser) -> None:
    where = parser.add_argument_group("where it runs")
    jobs = "shots at once (1); one for every two cores is a good start. With one GPU they share it, so 2 or 3 there"
    where.add_argument("--jobs", type=positive, metavar="N", help=jobs)
    shard = "do only part I of N, from 1: each machine of a farm gets its own I, and all write to the same --out"
    where.add_argument("--shard", type=_shard, metavar="I/N", help=shard)
    ray = "run on the Ray cluster there (HOST:PORT, or auto); --out must be the same folder on all of its machines"
    where.add_argument("--ray", type=named, metavar="ADDRESS", help=ray)
    add_device(where)  # type: ignore[arg-type]  # a group takes arguments like a parser
    for action in where._group_actions:
        if action.dest == "threads":
            action.help = "CPU threads of each shot; by default the cores divided by the jobs, and 1 on Ray"


def _shard(text: str) -> tuple[int, int]:
    number, slash, count = text.partition("/")
    if not slash or not (number.isdecimal() and count.isdecimal()) or not 1 <= int(number) <= int(count):
        raise argparse.ArgumentTypeError(f"{text} is not a share such as 2/5")
    return int(number), int(count)


def _batch(options: argparse.Namespace) -> int:
    import signal

    from .run import batch

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # being ended clears up just as Ctrl-C does
    return batch(options)
