# SPDX-License-Identifier: GPL-3.0-or-later
"""All pictures of a published dataset that are worth preparing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, get_args

from blender_addon.contract.errors import ErrorCode, MienError
from training.datasets.afew_va import afew_va_records
from training.datasets.aff_wild2 import aff_wild2_records
from training.datasets.affectnet import affectnet_records
from training.datasets.records import Record, Records
from training.datasets.report import Findings
from training.datasets.vggface2 import vggface2_records
from training.datasets.voxceleb2 import voxceleb2_records

Kind = Literal["affectnet", "afew_va", "aff_wild2", "vggface2", "voxceleb2"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def all_records(kind: Kind, folder: Path, listed: Path | None, findings: Findings) -> Records:
    """Records of all splits of a dataset, each picture once.

    Args:
        kind: which dataset.
        folder: where it lies.
        listed: an npy list of VGGFace2's or VoxCeleb2's pictures; all without it.
        findings: told what was left out.

    Raises:
        MienError: USAGE for a list of a dataset that has none; MISSING_FILE where the dataset is not there.
    """
    if listed is not None and kind not in ("vggface2", "voxceleb2"):
        raise MienError(ErrorCode.USAGE, f"The dataset {kind} is not read by a list.", "Leave --list out.")
    return Records(_once(_records(kind, folder, listed, findings)))


def _records(kind: Kind, folder: Path, listed: Path | None, findings: Findings) -> Iterator[Record]:
    if kind == "affectnet":
        for split in ("train", "validation"):
            yield from affectnet_records(folder, split, findings)
    elif kind == "afew_va":
        yield from afew_va_records(folder, findings)
    elif kind == "aff_wild2":
        for split in ("train", "validation"):
            yield from aff_wild2_records(folder, split, findings)
    elif kind == "vggface2":
        yield from vggface2_records(folder, findings, listed)
    else:
        yield from voxceleb2_records(folder, listed)


def _once(records: Iterable[Record]) -> Iterator[Record]:
    seen: set[str] = set()
    for record in records:
        if record.name not in seen:
            seen.add(record.name)
            yield record
