# SPDX-License-Identifier: GPL-3.0-or-later
"""VGGFace2 and VoxCeleb2 as DECA was trained on them: whole pictures, cropped at random, in rings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from blender_addon.contract.errors import ErrorCode, MienError
from tests import fabricated_datasets as fabricated
from training.datasets.choice import dataset
from training.datasets.faces import set_epoch
from training.datasets.report import Reason, reports
from training.datasets.vggface2 import vggface2
from training.datasets.voxceleb2 import voxceleb2

VGG = ("train", "train_annotated_torch7", "train_segmentation")
VOX = ("images_cropped_full_height", "landmarks", "segmentation")
PHOTOS = [f"n00000{person}/000{number}_01" for person in (1, 2) for number in range(3)]
FRAMES = [f"id0001{person}/v{video}/00001/{frame:04d}" for person in (2, 3) for video in (0, 1) for frame in range(2)]


@pytest.fixture
def vgg(tmp_path: Path) -> Path:
    fabricated.for_deca(tmp_path, PHOTOS, *VGG, ".jpg", masked=lambda name: not name.startswith("n000002"))
    return tmp_path


def test_crops_are_decas_and_landmarks_follow(vgg: Path) -> None:
    faces = vggface2(vgg, scale=(1.4, 1.8), shift=0.1, seed=3)
    assert len(faces) == 6
    widths = []
    for index in range(6):
        item, truth = faces[index], fabricated.whole(index % 3)
        points = truth.landmarks
        size = (points.max(0) - points.min(0)).mean()
        side = size / ((item["landmarks"][16, 0] - item["landmarks"][0, 0]) / 2 * 223 / 224) * 1.0
        across = points[16, 0] - points[0, 0]
        widths.append(float(side * across / size / size))
        # The picture at a landmark is the whole picture's there.
        place = item["landmarks"][None, None, :, :2]
        found = functional.grid_sample(item["image"][None], place, align_corners=False)[0, :, 0].T
        whole = torch.from_numpy(truth.pixels).movedim(-1, 0)[None].float() / 255
        where = torch.from_numpy(points).float()[None, None] * 2 / fabricated.SIDE - 1
        wanted = functional.grid_sample(whole, where, align_corners=False)[0, :, 0].T
        inside = item["landmarks"][:, 2] > 0
        assert (found - wanted)[inside].abs().mean() < 0.03
    assert all(1.38 < width < 1.83 for width in widths)
    assert max(widths) - min(widths) > 0.05
    assert not faces[0]["mediapipe"].any()


def test_a_picture_without_mask_counts_as_face_all_over_and_is_noted(vgg: Path) -> None:
    faces = vggface2(vgg)
    assert 0.1 < faces[0]["mask"].mean() < 0.7
    assert faces[3]["mask"].min() == 1
    told = faces.report()
    assert told.noted[Reason.NO_MASK].count == 3
    assert not told.skipped
    assert "3 used although: the mask of the face is missing (n000002/0000_01, " in str(told)


def test_crops_depend_on_seed_epoch_and_index(vgg: Path) -> None:
    one, other = vggface2(vgg, seed=1), vggface2(vgg, seed=2)
    assert torch.equal(one[0]["image"], vggface2(vgg, seed=1)[0]["image"])
    assert not torch.equal(one[0]["image"], other[0]["image"])
    first = one[0]["landmarks"]
    set_epoch(one, 1)
    assert not torch.equal(one[0]["landmarks"], first)


def test_a_list_names_the_rings(vgg: Path, tmp_path: Path) -> None:
    rows = np.array([[PHOTOS[0], PHOTOS[2], "n000001/gone"], PHOTOS[3:]])
    np.save(tmp_path / "list.npy", rows)
    settings = {"kind": "vggface2", "folder": vgg, "listed": str(tmp_path / "list.npy"), "pictures_a_ring": 2}
    rings = dataset(settings)
    assert len(rings) == 2
    assert rings[0]["image"].shape == (2, 3, 224, 224)
    assert reports(rings)[0].skipped[Reason.NO_PICTURE].first == ("n000001/gone",)
    np.save(tmp_path / "list.npy", rows.astype(object), allow_pickle=True)
    assert len(dataset(settings)) == 2
    np.save(tmp_path / "list.npy", np.array(["n000001/../../x"]))
    with pytest.raises(MienError, match="which has not 2 parts") as raised:
        dataset(settings)
    assert raised.value.code is ErrorCode.BAD_MANIFEST


def test_damage_is_told_and_another_picture_of_the_person_comes(vgg: Path) -> None:
    fabricated.truncate(vgg / "train" / f"{PHOTOS[0]}.jpg")
    np.save(vgg / VGG[1] / f"{PHOTOS[1]}.npy", np.zeros((5, 2)))
    np.save(vgg / VGG[2] / f"{PHOTOS[2]}.npy", np.zeros((10, 10)))
    (vgg / VGG[1] / f"{PHOTOS[3]}.npy").unlink()
    np.save(vgg / VGG[1] / f"{PHOTOS[4]}.npy", np.ones((68, 2)))
    faces = vggface2(vgg, scale=(1.5, 1.5))
    assert len(faces) == 5
    assert int(faces[3]["person"]) == int(faces[4]["person"]) == 1
    assert int(faces[0]["person"]) == 1  # nothing is left of the first
    assert int(faces[1]["person"]) == int(faces[2]["person"]) == 1
    skipped = faces.report().skipped
    assert skipped[Reason.BAD_PICTURE].first == (PHOTOS[0],)
    assert skipped[Reason.BAD_LANDMARKS].first == (PHOTOS[1], PHOTOS[4])
    assert skipped[Reason.BAD_MASK].first == (PHOTOS[2],)
    assert skipped[Reason.NO_LANDMARKS].first == (PHOTOS[3],)


def test_voxceleb2_rings_are_frames_of_one_clip(tmp_path: Path) -> None:
    fabricated.for_deca(tmp_path, FRAMES, *VOX, ".png")
    rings = dataset({"kind": "voxceleb2", "folder": tmp_path, "pictures_a_ring": 2, "scale": [1.2, 1.6], "shift": 0.1})
    assert len(rings) == 4
    assert [rings[index]["person"].tolist() for index in range(4)] == [[index] * 2 for index in range(4)]
    np.save(tmp_path / "list.npy", np.array(FRAMES[:3]))
    listed = voxceleb2(tmp_path, listed=tmp_path / "list.npy")
    assert [record.name for record in listed.records] == FRAMES[:3]
    assert [len(indices) for indices in listed.by_person()] == [2, 1]
    with pytest.raises(MienError, match="holds no folder elsewhere"):
        voxceleb2(tmp_path, pictures="elsewhere")


def test_who_has_too_few_pictures_for_a_ring_is_told(vgg: Path) -> None:
    (vgg / "train" / f"{PHOTOS[5]}.jpg").unlink()
    rings = dataset({"kind": "vggface2", "folder": vgg, "pictures_a_ring": 3, "augmentation": "emoca"})
    assert len(rings) == 1
    assert "Rings of 3 pictures: 1 items.\n  1 left out: people with fewer pictures." in map(str, reports(rings))


def test_prepared_faces_come_before_whole_pictures(vgg: Path) -> None:
    fabricated.prepare(vgg / "made", PHOTOS[:4])
    faces = vggface2(vgg, vgg / "made")
    assert len(faces) == 4
    assert faces[0]["mediapipe"][:, 2].any()
