# SPDX-License-Identifier: GPL-3.0-or-later
"""Config entries become datasets, and wrong ones are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from blender_addon.contract.errors import ErrorCode, MienError
from training.datasets.choice import dataset
from training.datasets.faces import FACE_KEYS, Faces
from training.datasets.rings import Rings
from training.datasets.together import Together
from training.synthetic.dataset import SyntheticFaces
from training.synthetic.on_disk import StoredFaces, write_faces

SYNTHETIC = {"kind": "synthetic", "people": 2, "pictures": 3, "seed": 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("faces") / "stored"
    write_faces(SyntheticFaces(2, 3, seed=4), where, per_file=4)
    return where


def test_synthetic_faces_in_memory_and_on_disk(folder: Path) -> None:
    made, stored = dataset(SYNTHETIC), dataset({"kind": "stored", "folder": str(folder)})
    assert isinstance(made, SyntheticFaces) and isinstance(stored, StoredFaces)
    for faces in (made, stored):
        assert isinstance(faces, Faces)
        assert len(faces) == 6
        assert [indices.tolist() for indices in faces.by_person()] == [[0, 1, 2], [3, 4, 5]]
    items = [stored[index] for index in range(6)]
    assert stored.labels().tolist() == made.labels().tolist() == [int(item["label"]) for item in items]
    assert [int(item["person"]) for item in items] == [0, 0, 0, 1, 1, 1]


def test_rings(folder: Path) -> None:
    rings = dataset({"kind": "stored", "folder": folder, "pictures_a_ring": 2, "ring_seed": 1})
    assert isinstance(rings, Rings)
    assert len(rings) == 2
    assert rings[1]["image"].shape == (2, 3, 224, 224)
    assert rings[1]["person"].tolist() == [1, 1]


def test_a_list_is_one_behind_the_other(folder: Path) -> None:
    stored = {"kind": "stored", "folder": folder}
    both = dataset([stored | {"weight": 1}, SYNTHETIC | {"weight": 3, "seed": 5}])
    assert isinstance(both, Together)
    assert len(both) == 12
    assert set(both[0]) == set(both[6]) == set(FACE_KEYS)
    assert int(both[0]["person"]) != int(both[6]["person"])
    assert len(both.by_person()) == 4
    weights = both.item_weights()
    assert weights is not None
    np.testing.assert_allclose([weights[:6].sum(), weights[6:].sum()], [1, 3])
    one_kind = dataset([stored, stored])
    assert "light" in one_kind[0]
    assert torch.equal(one_kind[1]["image"], one_kind[7]["image"])
    with pytest.raises(IndexError):
        one_kind[12]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"kind": "faces"}, "'faces' is no kind.*synthetic"),
        ({"people": 3}, "missing its key kind"),
        (["synthetic"], "missing its key kind"),
        ([], "an entry with a kind or a list"),
        (SYNTHETIC | {"persons": 3}, "no key 'persons'.*people, pictures, seed"),
        ({"kind": "synthetic", "people": 2}, "missing its key pictures"),
        (SYNTHETIC | {"people": "ten"}, "people .* cannot be 'ten'.*whole number"),
        (SYNTHETIC | {"people": True}, "people .* cannot be True"),
        (SYNTHETIC | {"pictures_a_ring": 2.5}, "pictures_a_ring .* cannot be 2.5"),
        (SYNTHETIC | {"seed": -1}, "seed .* cannot be -1"),
        (SYNTHETIC | {"first_person": -1}, "first_person .* cannot be -1"),
        (SYNTHETIC | {"augmentation_seed": -1}, "augmentation_seed .* cannot be -1"),
        (SYNTHETIC | {"pictures_a_ring": 4}, "Nobody of 2 people has 4 pictures"),
        (SYNTHETIC | {"weight": 2}, "no weight"),
        ([SYNTHETIC, SYNTHETIC | {"weight": 2}], "others have none"),
        ([SYNTHETIC | {"weight": -1}], "weight cannot be -1"),
        ({"kind": "stored", "folder": ""}, "folder .* cannot be ''.*path"),
    ],
)
def test_wrong_entries_are_told(settings: object, told: str) -> None:
    with pytest.raises(MienError, match=told) as raised:
        dataset(settings)
    assert raised.value.code is ErrorCode.USAGE
