# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file is by its first bytes, and what it holds, read without running anything in it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from backend.weights.flame_files import FACES, VERTICES, heads
from backend.weights.found import About, Found
from backend.weights.matching import bad_weights
from backend.weights.network_files import networks
from backend.weights.restricted import open_restricted
from backend.weights.torch_files import find_pickle
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error

Form = Literal["zip", "tar", "arrays", "picture", "obj", "other"]
_ARRAY_SUFFIXES = (".pkl", ".pickle", ".npy", ".npz", ".tar", ".ckpt", ".pt", ".pth")
_AGAIN = "Download it again from its publisher, and let the download finish."
_TEXELS, _LARGEST_PICTURE, _LARGEST_OBJ = 256, 4096, 64 << 20


def form_of(path: Path, about: About) -> Form:
    """What kind of file it is.

    Raises:
        MienError: BAD_WEIGHTS: something that downloads go wrong with lies in its place; MISSING_FILE, NOT_PERMITTED.
    """
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise file_error(about.file, error, "read") from error
    suffix = Path(about.name).suffix.lower()
    expected = suffix in (*_ARRAY_SUFFIXES, ".zip", ".png", ".obj")
    if not start and expected:
        raise bad_weights(about.file, "is empty", _AGAIN, cause="empty")
    if start.startswith(b"version https://git-lfs"):
        remedy = "Get the file itself with 'git lfs pull', or download it from its publisher."
        raise bad_weights(about.file, "is a pointer of Git LFS in place of the file", remedy, cause="pointer")
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")) and expected:
        remedy = "Log in where you downloaded it, accept the licence, and download it again."
        raise bad_weights(about.file, "is a web page in place of the file", remedy, cause="page")
    if start.startswith(b"PK\x03\x04"):
        return _zip_form(path, about)
    if start.startswith(b"\x89PNG"):
        return "picture"
    if start[257:262] == b"ustar" or (start.startswith(b"\x1f\x8b") and suffix in (".tgz", ".gz", ".tar")):
        return "tar"
    if start.startswith(b"\x93NUMPY") or start[:1] == b"\x80" or suffix in _ARRAY_SUFFIXES:
        return "arrays"
    return "obj" if suffix == ".obj" else "other"


def _zip_form(path: Path, about: About) -> Form:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise bad_weights(about.file, "is damaged or only part of a file", _AGAIN, cause="damaged") from error
    # A zip of nothing but arrays may be either; numpy gives its own another name.
    one = find_pickle(names) or (
        all(name.endswith(".npy") for name in names) and not about.name.lower().endswith(".zip")
    )
    return "arrays" if one else "zip"


@contextmanager
def recognised(path: Path, form: Form, about: About) -> Iterator[list[Found]]:
    """The parts in a file that is no archive; none where it is nothing known. They can be read within the context.

    Raises:
        MienError: BAD_WEIGHTS: it is damaged, wants to run something, or is a known file and not as published.
    """
    if form == "picture":
        yield _mask(path, about)
    elif form == "obj":
        yield _template(path, about)
    elif form == "arrays":
        with _renamed(path, about), open_restricted(path, code=ErrorCode.BAD_WEIGHTS) as content:
            yield networks(content, about) or heads(content, about) or []
    else:
        yield []


@contextmanager
def _renamed(path: Path, about: About) -> Iterator[None]:
    """Errors name the file as the user knows it, also where a copy of it is read."""
    try:
        yield
    except MienError as error:
        message = error.message.replace(str(path), about.file)
        raise MienError(error.code, message, error.remedy, error.details | {"path": about.file}) from error


def _mask(path: Path, about: About) -> list[Found]:
    """A square picture of black and white; which of the two masks it is only its name tells."""
    try:
        with Image.open(path) as picture:
            if picture.width != picture.height or not _TEXELS <= picture.width <= _LARGEST_PICTURE:
                return []
            channel = picture.convert("RGBA").getchannel(0).resize((_TEXELS, _TEXELS), Image.Resampling.NEAREST)
            pixels = np.asarray(channel)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise bad_weights(about.file, "is a damaged picture", _AGAIN, cause="damaged") from error
    both = ((pixels < 16) | (pixels > 239)).mean() > 0.95 and pixels.max() > 239
    name = about.name.lower()
    if not both or "mask" not in name or "face" not in name:
        return []
    return [Found("uv_masks", {"mask": pixels.astype(np.float32) / 255}, "face_eye" if "eye" in name else "face")]


def _template(path: Path, about: About) -> list[Found]:
    """FLAME's UV layout out of a mesh of its topology."""
    points, uv, corners = 0, [], []
    if path.stat().st_size > _LARGEST_OBJ:
        return []
    try:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            kind, *words = line.split() or [""]
            points += kind == "v"
            if kind == "vt":
                uv.append([float(word) for word in words[:2]])
            elif kind == "f":
                corners.append([[int(number or 0) for number in word.split("/")[:2]] for word in words])
        indices = np.array(corners, np.int64) - 1
        if points != VERTICES or indices.shape != (FACES, 3, 2):
            return []
        if indices.min() < 0 or indices[..., 0].max() >= VERTICES or indices[..., 1].max() >= len(uv):
            raise ValueError("a corner that is not there")
        layout = np.array(uv, np.float32)
    except ValueError as error:
        raise bad_weights(about.file, f"is no usable mesh ({error})", _AGAIN, cause="damaged") from error
    faces, uv_faces = (np.ascontiguousarray(indices[..., axis], np.int32) for axis in (0, 1))
    return [Found("head_template", {"uv": layout, "uv_faces": uv_faces, "faces": faces})]
