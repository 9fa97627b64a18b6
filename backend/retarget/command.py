# SPDX-License-Identifier: GPL-3.0-or-later
"""The sub-command `convert`: its arguments. Only the standard library, so that help is instant."""

from __future__ import annotations

import argparse

from backend.arguments import named, positive


def add_convert(commands: argparse._SubParsersAction) -> None:
    """Add `mien convert`."""
    parser = commands.add_parser(
        "convert",
        help="put a take on another head, or add ARKit's weights to it",
        description="Put a take on another head, fitted anew to where the vertices go, and say how far that is from "
        "the take in millimetres: NAME.HEAD.take.npz and NAME.HEAD.convert.json. Or add ARKit's 52 weights to a take "
        "on a head with other channels, which is then exported as ARKit's and sent to characters.",
    )
    parser.add_argument("take", type=named, metavar="TAKE", help="the take (NAME.take.npz)")
    what = parser.add_mutually_exclusive_group(required=True)
    to = "the other head: open, flame2020, flame2023, flame2023_open or the path of a FLAME model"
    what.add_argument("--to-head", type=named, metavar="HEAD", help=to)
    arkit = "add ARKit's weights, to the take itself unless --out is given"
    what.add_argument("--arkit", action="store_true", help=arkit)
    head = "the FLAME model file that the take is on, where it is not among those that were added"
    parser.add_argument("--head", type=named, metavar="FILE", help=head)
    neutral = "with --arkit: the take's frame, from 1, whose face is at rest; by default found in the take"
    parser.add_argument("--neutral", type=positive, metavar="N", help=neutral)
    out = "the take that is written; beside TAKE by default"
    parser.add_argument("--out", type=named, metavar="FILE", help=out)
    parser.add_argument("--json", action="store_true", help="print what was made as JSON, and nothing else")
    parser.set_defaults(run=_convert)


def _convert(options: argparse.Namespace) -> int:
    from backend.retarget.run import convert_file

    convert_file(options)
    return 0
