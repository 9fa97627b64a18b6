# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of heads whose counterparts are known: the open head and the face in FLAME's layout that is made of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy import sparse

from backend.heads import load_head
from backend.heads.flame import load_flame
from blender_addon.contract.head import HeadDescription
from tests.face_flame import face_flame, write_model

NOWHERE = 1.0
"""Metres: the distance of vertices without a counterpart."""


@dataclass(frozen=True, eq=False)
class KnownCounterparts:
    """What `backend.heads.correspondence` gives, as a sparse matrix that is exact."""

    matrix: sparse.csr_matrix
    distance: np.ndarray

    def carried(self, source: HeadDescription, values: np.ndarray) -> np.ndarray:
        return (self.matrix @ values.reshape(len(values), -1)).reshape(-1, *values.shape[1:])


@lru_cache
def open_to_face() -> KnownCounterparts:
    """The place on the open head of each vertex of `face_flame`."""
    carry = face_flame().carry
    return KnownCounterparts(carry, np.zeros(carry.shape[0]))


@lru_cache
def face_to_open() -> KnownCounterparts:
    """The place on `face_flame` of each vertex of the open head; those in the mouth and the lashes have none."""
    carry = face_flame().carry
    alone = np.flatnonzero(np.diff(carry.indptr) == 1)
    vertices = carry.indices[carry.indptr[alone]]
    matrix = sparse.csr_matrix((np.ones(len(alone)), (vertices, alone)), shape=carry.shape[::-1])
    distance = np.full(carry.shape[1], NOWHERE)
    distance[vertices] = 0
    return KnownCounterparts(matrix, distance)


def known_counterparts(source: HeadDescription, target: HeadDescription, progress: object = None) -> object:
    """Stands in for `backend.heads.correspondence.correspondence` between these two heads."""
    return open_to_face() if source.id == "open" else face_to_open()


def face_head(folder: Path, name: str = "flame2020.pkl", seed: int = 0) -> HeadDescription:
    """`face_flame` from its file, with its eyelids."""
    head = load_flame(write_model(folder / name, seed))
    return replace(head, eyelids=face_flame(seed).eyelids.astype(np.float32))


def opened() -> HeadDescription:
    """The open head."""
    return load_head("open")
