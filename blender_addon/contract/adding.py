# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages about files that users bring: model files of networks and heads. They stay where they are and are
named by their paths, so only a backend of the same machine takes them over.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from .schema import bad_message

MOST_PATHS = 256
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class AddModels:
    """Take over model files. Answered by `ModelsAdded`, within a second; repeated until that is done.

    Attributes:
        adding: Id chosen by the client, 32 hex digits: a request with one that was seen before starts nothing anew.
        paths: Absolute paths of files and folders on the backend's machine.
    """

    adding: str
    paths: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_id(self.adding)
        if not 1 <= len(self.paths) <= MOST_PATHS or not all(map(_is_absolute, self.paths)):
            raise bad_message("paths of model files that are none, too many or not absolute")


@dataclass(frozen=True)
class ModelsAdded:
    """How far it is.

    Attributes:
        adding: Which one.
        done: How much of it, 0 to 1.
        message: A phrase for the user; may be empty.
        news: What became of the files, a sentence each; None while it goes on.
    """

    adding: str
    done: float
    message: str
    news: tuple[str, ...] | None

    def __post_init__(self) -> None:
        _check_id(self.adding)


def _is_absolute(path: str) -> bool:
    return os.path.isabs(path) and "\0" not in path


def _check_id(adding: str) -> None:
    if not _ID.fullmatch(adding):
        raise bad_message("an id of added files that is not 32 hex digits")
