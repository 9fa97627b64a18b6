# SPDX-License-Identifier: GPL-3.0-or-later
"""The sub-commands `export` and `import`: their arguments. Only the standard library, so that help is instant."""

from __future__ import annotations

import argparse
import math
import re

from backend.arguments import named

DETAIL_OBJ = "detail-obj"
"""The dense mesh of one frame, which needs the take's maps and its head."""
UDP = "livelink-udp"
"""The format that goes to a network address instead of a file."""


def add_export(commands: argparse._SubParsersAction) -> None:
    """Add `mien export`."""
    parser = commands.add_parser(
        "export",
        help="write takes in the formats of other programs",
        description="Write takes in the formats of other programs, beside them or into --out. docs/formats.md "
        "describes each format. Those that tell no origin get a file NAME.json beside them.",
    )
    parser.add_argument("takes", nargs="+", type=named, metavar="TAKE", help="a take (NAME.take.npz)")
    to = "npz, livelink, arkit-csv, arkit-json, facs, vrm, vrma, vrma-arkit, vhap, gaussian-avatars, motion; "
    to += "detail-obj for the dense mesh of a frame; livelink-udp to send it; "
    to += "through Blender blend, fbx, glb, usd, abc, mdd; several with commas"
    parser.add_argument("--to", required=True, type=_names, metavar="FORMAT[,FORMAT]", help=to)
    out = "folder, made if missing; of one take in one format also the file; beside the take by default"
    parser.add_argument("--out", type=named, metavar="PATH", help=out)
    head = "the FLAME model of the take, for what Blender writes of takes that are not on the open head and detail-obj"
    parser.add_argument("--head", type=named, metavar="FILE", help=head)
    frame = "which frame of the take detail-obj writes, from 1 (1)"
    parser.add_argument("--frame", type=_from_one, metavar="N", help=frame)
    udp = parser.add_argument_group("livelink-udp")
    udp.add_argument("--address", type=address, metavar="HOST:PORT", help="where to; 127.0.0.1:11111 by default")
    udp.add_argument("--subject", type=named, metavar="NAME", help="name it is shown under (Mien)")
    udp.add_argument("--loop", action="store_true", help="begin anew at the end, until Ctrl-C")
    blender = parser.add_argument_group("Blender")
    blender.add_argument("--blender", metavar="PATH", help="Blender 4.2 or newer; found or installed by default")
    timing = "one scene frame for each of the clip (conform), or the clip's real time (source)"
    blender.add_argument("--timing", choices=("conform", "source"), help=timing)
    parser.add_argument("--json", action="store_true", help="print what was written as JSON, and nothing else")
    parser.set_defaults(run=_export)


def add_import(commands: argparse._SubParsersAction) -> None:
    """Add `mien import`."""
    parser = commands.add_parser(
        "import",
        help="make a take of another program's file",
        description="Make a take of what VHAP, GaussianAvatars, metrical-tracker, SMIRK, DECA, EMOCA or Live Link Face "
        "wrote. Nothing in the file is run.",
    )
    parser.add_argument("file", type=named, metavar="FILE", help="the file, or the folder of files of single frames")
    parser.add_argument("--as-take", action="store_true", required=True, help="write a take (the only thing it can do)")
    kind = "npz, livelink, vhap, gaussian-avatars, metrical-tracker, smirk or emoca; by its contents when left out"
    parser.add_argument("--kind", metavar="K", help=kind)
    head = "the FLAME model file that the coefficients belong to; Live Link files go to the open head"
    parser.add_argument("--head", type=named, metavar="FILE", help=head)
    fps = "frames per second of a file that tells no times (24); of Live Link, those that its timecode counts"
    parser.add_argument("--fps", type=_above_zero, metavar="N", help=fps)
    identity = "a take of the same person on the open head, which Live Link files get their shape from"
    parser.add_argument("--identity", type=named, metavar="TAKE", help=identity)
    parser.add_argument("--size", type=_size, metavar="WxH", help="size of the pictures, if the file tells none")
    focal = "35 mm equivalent focal length, if the file tells none"
    parser.add_argument("--focal", type=_above_zero, metavar="MM", help=focal)
    parser.add_argument("--out", type=named, metavar="FILE", help="the take; NAME.take.npz beside the file by default")
    parser.add_argument("--json", action="store_true", help="print what was made as JSON, and nothing else")
    parser.set_defaults(run=_import)


def address(text: str) -> tuple[str, int]:
    """HOST:PORT; an IPv6 host may stand in brackets."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text} is not an address such as 192.168.0.5:11111")
    return host, int(port)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise argparse.ArgumentTypeError("no format is named")
    return names


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d{0,5})[xX]([1-9]\d{0,5})", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text} is not a size such as 1920x1080")
    return int(found[1]), int(found[2])


def _above_zero(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return number


def _from_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1")
    return int(text)


def _export(options: argparse.Namespace) -> int:
    from backend.exports.exporting import export_takes

    export_takes(options)
    return 0


def _import(options: argparse.Namespace) -> int:
    from backend.exports.taking_in import import_file

    import_file(options)
    return 0
