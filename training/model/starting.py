# SPDX-License-Identifier: GPL-3.0-or-later
"""Where weights begin: parts of the store, and checkpoints, read without running anything in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from backend.weights.found import About
from backend.weights.opening import form_of
from backend.weights.parts import PartKind, find
from backend.weights.restricted import open_restricted
from backend.weights.stored import readable
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error

_WRAPPERS = ("deca.",)
_DERIVED = ("num_batches_tracked", "relative_position_index", "attn_mask")
"""Buffers that files may lack: batch norms' counters, and what follows from a Swin transformer's sizes."""


def weights(source: str) -> dict[str, Tensor]:
    """Tensors by the names that published checkpoints have, without `deca.` before them.

    Args:
        source: a kind of the store, with a name where there are several (`emoca:EMOCA_v2`), or the path of a
            checkpoint of `torch.save`, with or without a table `state_dict`, or of a file of safetensors.

    Raises:
        MienError: MISSING_FILE; BAD_WEIGHTS where the file holds no tensors, or would run something.
    """
    kind, _, name = source.partition(":")
    if kind in get_args(PartKind):
        part = find(kind, name)  # type: ignore[arg-type]
        if part is None:
            message = f"There are no weights '{source}' among those that were added."
            raise MienError(ErrorCode.MISSING_FILE, message, "Add the file with 'mien models add', or name its path.")
        return part.tensors()
    return _checkpoint(Path(source))


def begin(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str, source: str) -> None:
    """Load a module from the tensors below a prefix, strictly.

    Raises:
        MienError: BAD_WEIGHTS, naming what is missing or of another shape.
    """
    own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    state = module.state_dict()
    derived = {name: value for name, value in state.items() if name.endswith(_DERIVED)}
    given = derived | {name: value for name, value in own.items() if name in state}
    missing = [name for name in state if name not in given]
    different = [name for name in given if given[name].shape != state[name].shape]
    if missing or different:
        first = f"{prefix}{(missing or different)[0]}"
        reason = f"lacks {len(missing)} tensors" if missing else f"has {len(different)} tensors of another shape"
        message = f"{source} does not fit: it {reason}, first '{first}'."
        raise MienError(ErrorCode.BAD_WEIGHTS, message, "Choose the configuration that it was trained with.")
    module.load_state_dict(given)


def _checkpoint(path: Path) -> dict[str, Tensor]:
    form_of(path, About(str(path)))  # tells a pointer, a web page and an empty file for what they are
    if path.suffix == ".safetensors":
        return _safetensors(path)
    with open_restricted(path, code=ErrorCode.BAD_WEIGHTS) as content:
        inner = content.get("state_dict") if isinstance(content, Mapping) else None
        tables = inner if isinstance(inner, Mapping) else content
        found = {name: _tensor(value) for name, value in _flat(tables) if hasattr(value, "shape")}
    if not found:
        raise MienError(ErrorCode.BAD_WEIGHTS, f"{path} holds no weights.", "Name a checkpoint.", {"path": str(path)})
    return found


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        path.stat()
        return load_file(path)
    except OSError as error:
        raise file_error(path, error, "read") from error
    except SafetensorError as error:
        message = f"{path} is damaged or only part of a file."
        raise MienError(ErrorCode.BAD_WEIGHTS, message, "Download it again.", {"path": str(path)}) from error


def _flat(tables: object) -> list[tuple[str, object]]:
    """Entries of a table, and of tables in it (DECA's file has one for each network), by their joined names."""
    entries = []
    for name, value in tables.items() if isinstance(tables, Mapping) else ():
        name = str(name)
        for wrapper in _WRAPPERS:
            name = name.removeprefix(wrapper)
        if isinstance(value, Mapping):
            entries += [(f"{name}.{inner}", each) for inner, each in value.items()]
        else:
            entries.append((name, value))
    return entries


def _tensor(value: object) -> Tensor:
    array = readable(value).read()  # type: ignore[arg-type]
    return torch.from_numpy(np.array(array))
