# SPDX-License-Identifier: GPL-3.0-or-later
"""The sub-command `study`: its arguments. Only the standard library, so that help is instant."""

from __future__ import annotations

import argparse

from backend.arguments import named, positive, whole

PORT = 8420
_SCALE = ("not at all", "a little", "partly", "mostly", "fully")
_TASKS = ("classification", "consistency", "comparison")


def add_study(commands: argparse._SubParsersAction) -> None:
    """Add `mien train study` and what it can do."""
    parser = commands.add_parser(
        "study",
        help="ask people how well renders show the emotion of photos",
        description="A perception study as a web page on this machine: people say which emotion a photo or a render "
        "shows, and how consistent a render's emotion is with its photo. docs/perception-study.md describes it.",
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_make(actions)
    serve = actions.add_parser("serve", help="show the study's page until Ctrl-C, and keep every answer")
    _add_folder(serve)
    host = "address to listen at; 0.0.0.0 lets other machines take part, unencrypted (127.0.0.1)"
    serve.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help=host)
    serve.add_argument("--port", type=_port, default=PORT, metavar="N", help=f"0 for any that is free ({PORT})")
    serve.add_argument("--open", action="store_true", help="open the page in the browser")
    serve.set_defaults(run=_serve)
    score = actions.add_parser("score", help="turn the answers into scores, confusion matrices and a picture of them")
    _add_folder(score)
    score.add_argument("--out", type=named, metavar="DIR", help="folder for the result; FOLDER/scores by default")
    score.add_argument("--json", action="store_true", help="print the scores as JSON, and nothing else")
    score.set_defaults(run=_score)


def _add_make(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser(
        "make",
        help="make a study of photos and renders, or of photos and takes",
        description="Make FOLDER/study.json of FOLDER/photos/NAME.* and FOLDER/renders/METHOD/NAME.*; with --takes, "
        "make those pictures of takes first: the photo cut to the head, the head alone in plain grey.",
    )
    _add_folder(parser)
    pictures = parser.add_argument_group("pictures")
    takes = "make the renders of a method from the takes in a folder; may be repeated"
    pictures.add_argument("--takes", type=_method, action="append", default=[], metavar="METHOD=DIR", help=takes)
    photos = "folder of the takes' photos; by default where each take says"
    pictures.add_argument("--photos", type=named, metavar="DIR", help=photos)
    head = "the FLAME model file that takes are on, where it is not among those that were added"
    pictures.add_argument("--head", type=named, metavar="FILE", help=head)
    pictures.add_argument("--detail", action="store_true", help="draw the wrinkles of takes that have them")
    labels = "table with the columns name and label; FOLDER/labels.csv by default, where it is there"
    pictures.add_argument("--labels", type=named, metavar="FILE", help=labels)
    questions = parser.add_argument_group("questions")
    tasks = f"some of {', '.join(_TASKS)}; by default all, the last one where there are two methods"
    questions.add_argument("--tasks", type=_names, metavar="TASK,...", help=tasks)
    each = "how many items of each task a participant answers; all by default"
    questions.add_argument("--each", type=positive, metavar="N", help=each)
    questions.add_argument("--samples", type=whole, metavar="N", help=_SAMPLES)
    repeat = "classification: show a participant all pictures of a face, not one of them"
    questions.add_argument("--repeat-faces", action="store_true", help=repeat)
    questions.add_argument("--intensity", action="store_true", help="classification: also ask how strong it is")
    scale = f"words for the steps of the rating, the worst first ({','.join(_SCALE)})"
    questions.add_argument("--scale", type=_steps, default=_SCALE, metavar="WORD,...", help=scale)
    questions.add_argument("--title", type=named, default="Emotion in faces", help="shown to participants")
    questions.add_argument("--seed", type=whole, default=0, metavar="N", help="of orders, sides and samples (0)")
    least = "least percentage of samples that a participant gets right whose answers count (75)"
    questions.add_argument("--least-right", type=_percentage, default=75.0, metavar="PERCENT", help=least)
    seconds = "least median time for an answer of a participant whose answers count (0.7)"
    questions.add_argument("--least-seconds", type=_seconds, default=0.7, metavar="S", help=seconds)
    parser.add_argument("--json", action="store_true", help="print what was made as JSON, and nothing else")
    parser.set_defaults(run=_make)


_SAMPLES = "how many samples with a known answer a participant sees in each task; by default one for ten items, at "
_SAMPLES += "least two"


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=named, metavar="FOLDER", help="the study's folder")


def _method(text: str) -> tuple[str, str]:
    method, equals, folder = text.partition("=")
    if not equals or not method or not folder or method.startswith(".") or any(mark in method for mark in "/\\"):
        raise argparse.ArgumentTypeError(f"{text} is not METHOD=DIR")
    return method, folder


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if wrong := [name for name in names if name not in _TASKS]:
        raise argparse.ArgumentTypeError(f"{wrong[0]} is none of {', '.join(_TASKS)}")
    return list(dict.fromkeys(names))


def _steps(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(","))
    if not 2 <= len(words) <= 9 or not all(words):
        raise argparse.ArgumentTypeError(f"{text} is not 2 to 9 words with commas")
    return words


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port from 0 to 65535")
    return int(text)


def _percentage(text: str) -> float:
    return _number(text, 100.0)


def _seconds(text: str) -> float:
    return _number(text, 3600.0)


def _number(text: str, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to {most:g}")
    return number


def _make(options: argparse.Namespace) -> int:
    from .run import make

    make(options)
    return 0


def _serve(options: argparse.Namespace) -> int:
    from .run import serve

    serve(options)
    return 0


def _score(options: argparse.Namespace) -> int:
    from .run import score_study

    score_study(options)
    return 0
