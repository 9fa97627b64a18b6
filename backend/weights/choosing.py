# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a download are looked at, and the configuration that lies with a checkpoint (EMOCA's layout)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import yaml

from backend.weights.found import About, Release
from backend.weights.trees import Tree

CONFIG = "cfg.yaml"
_LOOKED_AT = (".pkl", ".pickle", ".npy", ".npz", ".tar", ".ckpt", ".pt", ".pth", ".png", ".obj", ".zip", ".tgz", ".gz")
_LAST = "last.ckpt"
_LOSS = re.compile(r"=([0-9]+(?:\.[0-9]+)?)\.ckpt$")
_STAGES = ("detail", "coarse")
_PLUMBING = ("checkpoints", *_STAGES)
_CONFIG_BYTES = 1 << 20
_LEVELS_UP = 6


def looked_at(names: Sequence[str]) -> list[str]:
    """The files that may be of use, the chosen one of several checkpoints of one model.

    Of a model the detail stage goes before the coarse one, and the smallest loss (the number after the last `=`)
    before others; `last.ckpt` counts only where it is alone.
    """
    kept = [name for name in names if name.lower().endswith(_LOOKED_AT) and not _hidden(name)]
    groups: dict[str, list[str]] = {}
    for name in kept:
        if name.lower().endswith(".ckpt"):
            groups.setdefault(_model_folder(name), []).append(name)
    dropped = {name for group in groups.values() for name in group if name != min(group, key=_rank)}
    return [name for name in kept if name not in dropped]


def about(tree: Tree, name: str, release: Release | None, text: str = "") -> About:
    """What is known of a file beside its content.

    Args:
        tree: Where it lies.
        name: In it; of a file that the user named its own name.
        release: What the user says of FLAME files.
        text: Its path for people, where it is not the tree's and the name.
    """
    file = text or (f"{tree.label}/{name}" if tree.label != name else name)
    parts = _path(tree, name).parts
    stage = next((part for part in reversed(parts[:-1]) if part in _STAGES), "detail")
    config, folder = _config(tree, name)
    named = [part for part in _path(tree, name).parent.parts[-_LEVELS_UP:] if part not in ("/", "")]
    if folder is None and name.lower().endswith(".ckpt") and set(_PLUMBING) & set(named):
        while named and (named[-1] in _PLUMBING or "=" in named[-1]):
            named.pop()
        folder = named[-1] if named else None
    return About(file, config, folder or "", stage, release)


def _path(tree: Tree, name: str) -> PurePosixPath:
    """The file's path as far as folders are known."""
    above = tree.outside.resolve().as_posix() if tree.outside else Path(tree.label).stem
    return PurePosixPath(above) / name


def _config(tree: Tree, name: str) -> tuple[Mapping[str, object], str | None]:
    """The nearest configuration above a file, and the name of its folder."""
    for folder in PurePosixPath(name).parents:
        inside = str(folder / CONFIG)
        if inside in tree.names:
            with tree.local(inside) as path:
                return _parsed(path), _path(tree, inside).parent.name
    if tree.outside:
        here = tree.outside.resolve()
        for place in (here, *here.parents)[:_LEVELS_UP]:
            if (place / CONFIG).is_file():
                return _parsed(place / CONFIG), place.name
    return {}, None


def _parsed(path: Path) -> Mapping[str, object]:
    """A configuration; an empty one where it cannot be read, since networks say most of it themselves."""
    try:
        if path.stat().st_size > _CONFIG_BYTES:
            return {}
        content = yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError, RecursionError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _model_folder(name: str) -> str:
    """The folder of a checkpoint's model: above its stages, `checkpoints` and the folders that names with `=` make."""
    folder = PurePosixPath(name).parent
    while folder.name in _PLUMBING or "=" in folder.name:
        folder = folder.parent
    return str(folder)


def _rank(name: str) -> tuple[bool, bool, float, str]:
    loss = _LOSS.search(name)
    last = name.rsplit("/", 1)[-1].lower() == _LAST
    return ("coarse" in PurePosixPath(name).parts, last, float(loss[1]) if loss else float("inf"), name)


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) and part not in (".", "..") for part in name.split("/"))
