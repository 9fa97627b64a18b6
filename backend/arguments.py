# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments that several sub-commands of `mien` have. Only the standard library, so that help is instant."""

from __future__ import annotations

import argparse


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add --device and --threads."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    threads = "CPU threads; by default all cores but one, at most 8"
    parser.add_argument("--threads", type=positive, metavar="N", help=threads)


def add_engine(parser: argparse._ActionsContainer) -> None:
    """Add --engine, --head and what published engines can be told."""
    names = "what estimates the face: fit, which needs no licensed file, or deca, emoca or smirk from files of yours"
    parser.add_argument("--engine", default="fit", metavar="NAME", help=names)
    head = "head model: open, flame2020, ... as 'mien models' lists them, or a file; by default the engine's own"
    parser.add_argument("--head", default="", metavar="HEAD", help=head)
    weights = "which weights of the engine, where there are several, such as EMOCA_v2_lr_mse_20; by default the newest"
    parser.add_argument("--weights", default="", metavar="NAME", help=weights)
    identity = "who says what the head looks like: the engine, or MICA"
    parser.add_argument("--identity", default="engine", metavar="engine|mica", help=identity)
    lids = "SMIRK's eyelids in overlays before skinning, as rigs have them (rest), or after it, as published (posed)"
    parser.add_argument("--eyelids", default="rest", metavar="rest|posed", help=lids)
    boxes = "whose landmarks crops lie around: mediapipe, or fan, as DECA and EMOCA were published"
    parser.add_argument("--boxes", default="mediapipe", metavar="mediapipe|fan", help=boxes)
    wrinkles = parser.add_mutually_exclusive_group()
    step = "a displacement map of every N-th frame, by engines that see wrinkles (1)"
    wrinkles.add_argument("--displacement", type=positive, default=1, metavar="N", help=step)
    none = "no displacement maps"
    wrinkles.add_argument("--no-displacement", dest="displacement", action="store_const", const=0, help=none)


def positive(text: str) -> int:
    """A whole number from 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1")
    return number


def whole(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 0")
    return int(text)


def frame_range(text: str) -> tuple[int | None, int | None]:
    """First and last frame of A:B; A: and :B are open."""
    first, colon, last = text.partition(":")
    if not colon or not all(part == "" or part.isdecimal() for part in (first, last)):
        raise argparse.ArgumentTypeError(f"{text} is not a range such as 100:250")
    return (int(first) if first else None, int(last) if last else None)


def named(text: str) -> str:
    """A path that is not empty."""
    if not text:  # a variable of the shell that was never set
        raise argparse.ArgumentTypeError("the path is empty")
    return text
