# SPDX-License-Identifier: GPL-3.0-or-later
"""The sub-command `models`: its arguments. Only the standard library, so that help is instant."""

from __future__ import annotations

import argparse

from backend.arguments import named

RELEASES = ("flame2020", "flame2023", "flame2023_open")


def add_models(commands: argparse._SubParsersAction) -> None:
    """Add `mien models` and what it can do."""
    parser = commands.add_parser(
        "models",
        help="list engines and heads, and add the files they need",
        description="List every engine and head: ready, or what is missing, where one registers for it, its licence "
        "and whether that allows commercial use. docs/models.md tells which file is for what.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, and nothing else")
    parser.set_defaults(run=_list)
    actions = parser.add_subparsers(metavar="ACTION")
    _add_add(actions)
    use = actions.add_parser("use", help="let a part be the one that is used where there are several of its kind")
    use.add_argument("part", type=named, metavar="NAME", help="its name, or KIND:NAME, as 'mien models' lists it")
    use.set_defaults(run=_use)
    remove = actions.add_parser("remove", help="remove a part; the file it came from stays where it is")
    remove.add_argument("part", type=named, metavar="KIND[:NAME]", help="as 'mien models' lists it")
    remove.set_defaults(run=_remove)
    for action in (use, remove):
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")


def _add_add(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser(
        "add",
        help="convert what you downloaded, once, into the data folder",
        description="Recognise files by what they hold, convert them once and keep them in the data folder. Nothing in "
        "them is run, and nothing is sent anywhere. What is not known is left alone and told.",
    )
    what = "a file, a folder or an archive, as you got it"
    parser.add_argument("paths", nargs="+", type=named, metavar="PATH", help=what)
    release = "which FLAME a model file is, where its name does not say: flame2020, flame2023 or flame2023_open. "
    release += "The open one is CC BY 4.0, the others are not for commercial use"
    parser.add_argument("--release", choices=RELEASES, metavar="NAME", help=release)
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print what was done as JSON")
    parser.set_defaults(run=_add)


def _list(options: argparse.Namespace) -> int:
    from backend.weights.listing import show_models

    show_models(options.json)
    return 0


def _add(options: argparse.Namespace) -> int:
    import signal

    from backend.weights.keeping import add_files

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # being ended clears up just as Ctrl-C does
    add_files(options)
    return 0


def _use(options: argparse.Namespace) -> int:
    from backend.weights.keeping import use_part

    use_part(options)
    return 0


def _remove(options: argparse.Namespace) -> int:
    from backend.weights.keeping import remove_part

    remove_part(options)
    return 0
