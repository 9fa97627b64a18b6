# SPDX-License-Identifier: GPL-3.0-or-later
"""Adding what users downloaded: looking through it, converting what is known, and saying what became of the rest."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from backend.progress import NoProgress, Progress
from backend.weights.adding_folder import SCRATCH, adding_folder
from backend.weights.choosing import about, looked_at
from backend.weights.comparing import side_of, unlike_checkpoint
from backend.weights.fetch import sha256_of
from backend.weights.found import DERIVED, About, Found, Release
from backend.weights.ledger import title
from backend.weights.matching import bad_weights
from backend.weights.opening import form_of, recognised
from backend.weights.parts import Part, find, parts, use, write_part
from backend.weights.trees import Tree, tar_tree, tree_of, zip_tree
from blender_addon.contract.errors import ErrorCode, MienError

STAGE = "adding"
_DEEPEST = 4
_FATAL = (ErrorCode.NO_SPACE, ErrorCode.CANCELLED)
_STRICTER = {"flame2023_open": ("flame2020", "flame2023")}


@dataclass(frozen=True)
class Added:
    """A part that is there now.

    Attributes:
        part: The part.
        file: What it came from, as the user knows it.
        notes: Sentences on how it was taken.
        before: Whether it was there already.
    """

    part: Part
    file: str
    notes: tuple[str, ...]
    before: bool


@dataclass
class Outcome:
    """What became of all that was to be added.

    Attributes:
        added: The parts, in the order in which they were added.
        problems: Of files that are damaged, hostile or not as published.
        unknown: Files that hold nothing that Mien uses.
        warnings: Sentences about parts that do not go together.
    """

    added: list[Added] = field(default_factory=list)
    problems: list[MienError] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def add(paths: Sequence[Path], release: Release | None = None, progress: Progress | None = None) -> Outcome:
    """Convert all that is known in files, folders and archives.

    What a process that was killed has left in the folder of the parts is removed first. Where another process adds
    files, it is waited for.

    Args:
        paths: What the user got.
        release: Which FLAME model files are; by their names where None.
        progress: Told of each file.

    Returns:
        What was added and what not. A file with a problem stops no other.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED for a path that cannot be read or a folder that cannot be written to;
            NO_SPACE; CANCELLED. What was added before stays.
    """
    trees = [tree_of(path) for path in paths]  # all of them first: a wrong path is told before any work
    progress = progress or NoProgress()
    with (
        adding_folder(lambda: _waiting(progress)) as folder,
        tempfile.TemporaryDirectory(prefix=SCRATCH, dir=folder) as scratch,
    ):
        work = _Adding(release, progress, Path(scratch))
        for tree in trees:
            work.look_through(tree, 0)
        work.finish()
        return work.outcome


def _waiting(progress: Progress) -> None:
    progress("wait", 0.0, "Waiting for others that add files")
    progress.check_cancelled()


class _Adding:
    """One run of `add`."""

    def __init__(self, release: Release | None, progress: Progress, scratch: Path) -> None:
        self.outcome = Outcome()
        self._release: Release | None = release
        self._progress = progress
        self._scratch = scratch
        self._lids: list[tuple[Found, About, str]] = []

    def look_through(self, tree: Tree, depth: int) -> None:
        names = looked_at(tree.names)
        single = len(tree.names) == 1 and tree.outside is not None
        if single:
            names = list(tree.names)
        else:
            known = set(names)
            self.outcome.unknown += [f"{tree.label}/{name}" for name in tree.names if name not in known]
        for number, name in enumerate(names):
            self._progress.check_cancelled()
            self._progress(STAGE, number / len(names), f"looking at {name}")
            info = about(tree, name, self._release, tree.label if single else "")
            try:
                with tree.local(name) as path:
                    self._look_at(path, info, depth)
            except MienError as error:
                if error.code in _FATAL:
                    raise
                self.outcome.problems.append(error)

    def _look_at(self, path: Path, info: About, depth: int) -> None:
        form = form_of(path, info)
        if form in ("zip", "tar"):
            if depth == _DEEPEST:
                raise bad_weights(info.file, "lies in too many archives", "Unpack the outer ones yourself.")
            opened = zip_tree if form == "zip" else tar_tree
            with opened(path, info.file, self._scratch) as tree:
                self.look_through(tree, depth + 1)
            return
        with recognised(path, form, info) as found:
            if not found:
                self.outcome.unknown.append(info.file)
                return
            self._progress(STAGE, 0.0, f"checking {info.name}")
            sha256 = sha256_of(path)
            for item in found:
                if item.kind == "eyelids":
                    self._lids.append((item, info, sha256))  # once the head is there, it tells which side it is
                else:
                    self._store(item, info, sha256)

    def _store(self, item: Found, info: About, sha256: str) -> None:
        before = self._same(item, sha256)
        if before is None:
            self._refuse_looser(item, info, sha256)
            label = title(item.kind, item.name)
            total = max(sum(int(np.prod(a.shape)) * a.dtype.itemsize for a in item.arrays.values()), 1)
            done = 0

            def told(count: int) -> None:
                nonlocal done
                done += count
                self._progress.check_cancelled()
                self._progress(STAGE, done / total, f"converting {label}")

            part = write_part(
                item.kind, item.arrays, origin=info.name, sha256=sha256, name=item.name, settings=item.settings,
                first=item.first, told=told,
            )  # fmt: skip
        else:
            part = before
            if item.first:
                use(part)
        self.outcome.added.append(Added(part, info.file, item.notes, before is not None))

    def _same(self, item: Found, sha256: str) -> Part | None:
        """The part that this file would only give once more."""
        known = next((part for part in parts(item.kind) if part.name == item.name), None)
        if known is None:
            return None
        if known.sha256 == sha256 and dict(known.settings) == dict(item.settings):
            return known
        if item.first or item.name not in (DERIVED, "face_eye"):
            return None
        if item.name == "face_eye":  # the mask's own file is better than a copy of it
            return known
        # Every EMOCA checkpoint holds the same head, and takes go by its hash.
        held, arrays = known.arrays(), item.arrays
        same = held.keys() == arrays.keys() and all(np.array_equal(held[name], arrays[name]) for name in held)  # type: ignore[arg-type]
        return known if same else None

    def _refuse_looser(self, item: Found, info: About, sha256: str) -> None:
        """A file that is there under a stricter licence does not get a looser one by another name."""
        for kind in _STRICTER.get(item.kind, ()):
            if any(part.sha256 == sha256 for part in parts(kind)):  # type: ignore[arg-type]
                reason = f"is the very file that is there as {title(kind)}"  # type: ignore[arg-type]
                remedy = f"If it is {title(item.kind)}, take the other away first with 'mien models remove {kind}'."
                raise bad_weights(info.file, reason, remedy, cause="release")

    def finish(self) -> None:
        """What needs the head: sides of eyelids, and whether the heads are the same."""
        for item, info, sha256 in self._lids:
            try:
                side, note = side_of(item.arrays["offsets"], info)  # type: ignore[arg-type]
                self._store(Found("eyelids", item.arrays, side, notes=(note,)), info, sha256)
            except MienError as error:
                if error.code in _FATAL:
                    raise
                self.outcome.problems.append(error)
        if any(done.part.kind == "flame2020" for done in self.outcome.added):
            mine = next((part for part in parts("flame2020") if not part.name), None)
            theirs = find("flame2020", DERIVED)
            if mine and theirs and (warning := unlike_checkpoint(mine, theirs)):
                self.outcome.warnings.append(warning)
