# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic faces on disk: made once, in files of some dozens, and read again as a dataset."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import atomic_write, file_error, make_folder, write_npz
from training.synthetic.dataset import SyntheticFaces

DESCRIPTION = "faces.json"
_FORMAT = 3
KEPT_FILES = 4
"""Files whose items a process keeps unpacked."""


def write_faces(
    faces: SyntheticFaces, folder: Path, per_file: int = 64, progress: Callable[[float], None] = lambda done: None,
    workers: int = 1,
) -> int:  # fmt: skip
    """Write all items; those that an interrupted run has written stay.

    Args:
        faces: what to write.
        folder: where to; made where it is missing.
        per_file: items in a file.
        progress: told the share that is done.
        workers: processes that make them; with one it is done in this process.

    Returns:
        How many files were written now.

    Raises:
        MienError: USAGE where the folder holds other faces; NO_SPACE, NOT_PERMITTED.
    """
    make_folder(folder)
    description = _description(faces, per_file)
    _claim(folder, description)
    count = -(-len(faces) // per_file)
    missing = [number for number in range(count) if not _file(folder, number).exists()]
    for done, _ in enumerate(_made(faces, folder, per_file, missing, workers), start=count - len(missing) + 1):
        progress(done / count)
    return len(missing)


def _made(faces: SyntheticFaces, folder: Path, per_file: int, numbers: list[int], workers: int) -> Iterator[None]:
    if workers == 1:
        for number in numbers:
            yield _make(faces, folder, per_file, number)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin, (faces,)) as pool:
        yield from pool.map(partial(_make, None, folder, per_file), numbers)


def _begin(faces: SyntheticFaces) -> None:
    """In each process: one core, and faces of its own."""
    global _of_this_process
    torch.set_num_threads(1)
    _of_this_process = faces


_of_this_process: SyntheticFaces | None = None


def _make(faces: SyntheticFaces | None, folder: Path, per_file: int, number: int) -> None:
    """Write one file."""
    faces = faces or _of_this_process
    if faces is None:
        raise RuntimeError("the process was not begun with its faces")
    items = [faces[index] for index in range(number * per_file, min((number + 1) * per_file, len(faces)))]
    write_npz(_file(folder, number), {name: _stored(name, [item[name] for item in items]) for name in items[0]})


class StoredFaces(Dataset[dict[str, Tensor]]):
    """Items of `write_faces`, the same as those of `SyntheticFaces` (masks to within 1/255).

    Reading in order is quick; in random order each item reads the file that holds it.

    Raises:
        MienError: MISSING_FILE where the folder holds no faces or not all of them; USAGE for those of another version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._about = _read_description(folder)
        if self._about["format"] != _FORMAT:
            message = f"{folder} holds faces of version {self._about['format']}, not {_FORMAT}."
            raise MienError(ErrorCode.USAGE, message, "Write them anew into another folder.")
        count, per_file = len(self), self.per_file
        missing = [path for n in range(-(-count // per_file)) if not (path := _file(folder, n)).exists()]
        if missing:
            message = f"{missing[0]} is missing: {len(missing)} files of faces were not written."
            raise MienError(ErrorCode.MISSING_FILE, message, "Write them again; what is there stays.")

    def __len__(self) -> int:
        return self._about["people"] * self._about["pictures"]

    @property
    def per_file(self) -> int:
        """Items in a file."""
        return self._about["per_file"]

    def by_person(self) -> list[np.ndarray]:
        """For each person the indices (N,) of its pictures."""
        return list(np.arange(len(self)).reshape(self._about["people"], self._about["pictures"]))

    def labels(self) -> np.ndarray:
        """(N,) int64 the class of each item, without unpacking pictures."""
        files = [_file(self.folder, number) for number in range(-(-len(self) // self.per_file))]
        return np.concatenate([_array(path, "label") for path in files])

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number, row = divmod(index, self.per_file)
        arrays = _arrays(_file(self.folder, number))
        item = {name: torch.from_numpy(np.array(values[row])) for name, values in arrays.items()}
        return item | {name: item[name].float() / 255 for name in ("image", "mask")}


def _description(faces: SyntheticFaces, per_file: int) -> dict[str, object]:
    return {
        "format": _FORMAT, "head": faces.head.sha256, "revision": faces.head.revision, "people": faces.people,
        "pictures": faces.pictures, "seed": faces.seed, "first_person": faces.first_person, "per_file": per_file,
    }  # fmt: skip


def _claim(folder: Path, description: dict[str, object]) -> None:
    """Write the description, or make sure that the one there is the same."""
    path = folder / DESCRIPTION
    if not path.exists():
        atomic_write(path, lambda file: file.write(json.dumps(description, indent=1).encode()))
    elif _read_description(folder) != description:
        message = f"{folder} holds other synthetic faces."
        raise MienError(ErrorCode.USAGE, message, "Choose another folder, or the same people, pictures and seed.")


def _read_description(folder: Path) -> dict:
    path = folder / DESCRIPTION
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise file_error(path, error, "read") from error
    except ValueError as error:
        message = f"{path} is damaged: it is not a description of synthetic faces."
        raise MienError(ErrorCode.USAGE, message, "Write the faces anew into another folder.") from error


def _file(folder: Path, number: int) -> Path:
    return folder / f"faces-{number:06d}.npz"


def _stored(name: str, values: list[Tensor]) -> np.ndarray:
    stacked = torch.stack(values)
    return ((stacked * 255).round().byte() if name in ("image", "mask") else stacked).numpy()


@lru_cache(KEPT_FILES)
def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored}


def _array(path: Path, name: str) -> np.ndarray:
    with np.load(path, allow_pickle=False) as stored:
        return stored[name]
