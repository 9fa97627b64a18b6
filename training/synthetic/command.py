# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien train synthesise`: its arguments."""

from __future__ import annotations

import argparse
from pathlib import Path

from backend.arguments import named, positive, whole


def add_synthesise(commands: argparse._SubParsersAction) -> None:
    """Add `mien train synthesise`."""
    parser = commands.add_parser(
        "synthesise",
        help="write synthetic faces with everything that is true of them",
        description="Write synthetic faces with everything that is true of them, for runs with "
        "'{kind: stored, folder: DIR}': made once, they are read faster than they are made. The same numbers and seed "
        "give the same faces. Stopped, the same command goes on.",
    )
    parser.add_argument("--out", type=named, required=True, metavar="DIR", help="folder, made if missing")
    parser.add_argument("--people", type=positive, required=True, metavar="N", help="how many people")
    parser.add_argument("--pictures", type=positive, default=4, metavar="N", help="pictures of each (4)")
    first = "number of the first person (0); others than those of a training set are people it has not seen"
    parser.add_argument("--first-person", type=whole, default=0, metavar="N", help=first)
    parser.add_argument("--seed", type=whole, default=0, help="of all chances (0)")
    parser.add_argument("--head", type=named, default="open", help="open, or FLAME as 'mien capture --head' names it")
    parser.add_argument("--workers", type=positive, metavar="N", help="processes; one a core by default")
    parser.set_defaults(run=_synthesise)


def _synthesise(options: argparse.Namespace) -> int:
    from backend.device import available_cores
    from backend.heads import load_head
    from backend.terminal import TerminalProgress, put
    from training.synthetic.dataset import SyntheticFaces
    from training.synthetic.on_disk import write_faces

    faces = SyntheticFaces(
        options.people, options.pictures, options.seed, first_person=options.first_person, head=load_head(options.head)
    )
    out = Path(options.out)
    with TerminalProgress() as progress:
        workers = options.workers or available_cores()
        written = write_faces(faces, out, progress=lambda done: progress("faces", done), workers=workers)
    put(f"{len(faces)} faces of {options.people} people in {out}, {written} files written now.")
    return 0
