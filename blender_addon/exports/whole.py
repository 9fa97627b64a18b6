# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that appear whole and together, or not at all: made in a folder beside, then given their names."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ..contract.errors import MienError
from ..contract.files import file_error


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """A folder for making a file and what belongs beside it; all files in it take their places at the end.

    Args:
        target: The file. It is named by the errors that leave here, wherever it was made.

    Raises:
        MienError: NOT_PERMITTED, NO_SPACE or MISSING_FILE.
    """
    try:
        if target.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        made = tempfile.TemporaryDirectory(prefix=".mien-", dir=target.parent, ignore_cleanup_errors=True)
    except OSError as error:
        raise file_error(target, error) from error
    with made as name:
        folder = Path(name)
        try:
            yield folder
            _publish(folder, target.parent)
        except OSError as error:
            raise file_error(target, error) from error
        except MienError as error:
            message = error.message.replace(f"{name}{os.sep}", f"{target.parent}{os.sep}")
            raise MienError(error.code, message, error.remedy, error.details) from error


def _publish(folder: Path, home: Path) -> None:
    """Give all files of a folder their places; what was there before comes back when one cannot be placed."""
    files = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in files:
        if (home / path).is_dir():
            raise IsADirectoryError(21, "it is a folder", str(home / path))
    with tempfile.TemporaryDirectory(prefix=".mien-", dir=home, ignore_cleanup_errors=True) as name:
        kept, placed = Path(name), []
        try:
            for path in files:
                _move(home / path, kept / path)
                placed.append(path)
                _move(folder / path, home / path)
        except OSError:
            for path in placed:
                (home / path).unlink(missing_ok=True)
                _move(kept / path, home / path)
            raise


def _move(source: Path, target: Path) -> None:
    if source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write values as indented JSON; for files in the folder of `whole`."""
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    path.write_bytes(text.encode(errors="backslashreplace"))  # names of files need not be Unicode


def write_files(target: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write several files, all or none.

    Args:
        target: The file that errors name; the others' names are relative to its folder.
        contents: Bytes by name, with `/` between folders.

    Returns:
        Where they are.

    Raises:
        MienError: NOT_PERMITTED, NO_SPACE or MISSING_FILE.
    """
    with whole(target) as folder:
        for name, content in contents.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    return [target.parent / name for name in contents]
