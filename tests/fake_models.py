# SPDX-License-Identifier: GPL-3.0-or-later
"""What stand-in backends say they can work with, and how they take files over."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

from backend.progress import Progress
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.messages import Models
from blender_addon.contract.models import EngineStatus, HeadStatus, PartStatus

_WEIGHTS = ("EMOCA_v2_lr_mse_20", "EMOCA_v2_lr_cos_1.5")
_ADD = "Add it with 'mien models add' or in the add-on's preferences."


def fake_models(head_sha256: str) -> Models:
    """The landmark fit on an open head with this hash."""
    fit = EngineStatus("fit", "Landmark Fit", True, "", "", "GPL-3.0-or-later", "yes", ("open",))
    head = HeadStatus("open", "Open Head", head_sha256, "", "CC0-1.0", "yes", True)
    return Models((fit,), (head,), ())


def network_models(open_sha256: str, flame_sha256: str = "", *added: str, revision: str = "") -> Models:
    """All four engines and heads.

    Args:
        open_sha256: Hash of the open head.
        flame_sha256: Hash of FLAME 2020; empty where it was not added.
        added: Kinds of the parts that were added beside it ("emoca", "mica").
        revision: Of FLAME 2020.
    """
    there = {*added, *(("flame2020",) if flame_sha256 else ())}
    titles = {"deca": "DECA", "emoca": "EMOCA", "smirk": "SMIRK"}
    networks = [_network(name, title, there) for name, title in titles.items()]
    fit = EngineStatus(
        "fit", "Landmark Fit", True, "", "", "GPL-3.0-or-later", "yes", ("open", "flame2020", "flame2023_open")
    )
    heads = (
        HeadStatus("open", "Open Head", open_sha256, "", "CC0-1.0", "yes", True),
        _head("flame2020", "FLAME 2020", flame_sha256, revision, "FLAME 2020, non-commercial research", "no"),
        _head("flame2023_open", "FLAME 2023 Open", "", "", "CC-BY-4.0", "yes"),
    )
    parts = (
        _part("flame2020", "FLAME 2020", there, "FLAME 2020, non-commercial research", "the head of all networks"),
        _part("emoca", "EMOCA's networks", there, "EMOCA, non-commercial research", "the engine EMOCA"),
        _part("mica", "MICA", there, "MICA, non-commercial research", "the shape of a head from one photo"),
    )
    return Models((fit, *networks), heads, parts)


def _network(name: str, title: str, there: set[str]) -> EngineStatus:
    missing = name not in there
    no_head = "flame2020" not in there
    reason = f"{title}'s networks were not added." if missing else "FLAME 2020 was not added." if no_head else ""
    wrinkles = name != "smirk" and not reason
    weights = _WEIGHTS if name == "emoca" and not missing else ()
    return EngineStatus(
        name, title, not reason, reason, _ADD if reason else "", f"{title}, non-commercial research", "no",
        ("flame2020", "flame2023_open"), weights, wrinkles, "emotion_network" in there,
    )  # fmt: skip


def _head(id_: str, title: str, sha256: str, revision: str, licence: str, use: str) -> HeadStatus:
    reason = "" if sha256 else f"{title} was not added."
    return HeadStatus(id_, title, sha256, revision, licence, use, bool(sha256), reason, _ADD if reason else "")


def _part(kind: str, title: str, there: set[str], licence: str, adds: str) -> PartStatus:
    ready = kind in there
    origin, sha256 = (f"{kind}.zip", "ab" * 32) if ready else ("", "")
    return PartStatus(kind, "", title, ready, origin, sha256, licence, "no", f"https://example.org/{kind}", adds)


def fake_add(paths: Sequence[Path], progress: Progress) -> tuple[str, ...]:
    """Do what the files, in JSON, say: `pause` so many seconds, fail with `error`, and tell `news`."""
    told: list[str] = []
    for number, path in enumerate(paths):
        todo = json.loads(path.read_text())
        progress("convert", number / len(paths), f"Reading {path.name}")
        time.sleep(todo.get("pause", 0))
        if "error" in todo:
            raise MienError(ErrorCode.BAD_HEAD, todo["error"], "Download it again.")
        told += todo.get("news", [])
    return tuple(told)
