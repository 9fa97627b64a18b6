# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments that several sub-commands of `mien` have. Only the standard library, so that help is instant."""

from __future__ import annotations

import argparse


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add --device and --threads."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    threads = "CPU threads; by default all cores but one, at most 8"
    parser.add_argument("--threads", type=positive, metavar="N", help=threads)


def positive(text: str) -> int:
    """A whole number from 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1")
    return number


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
