# SPDX-License-Identifier: GPL-3.0-or-later
"""AffectNet: what is read, what is left out, and what is told."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from blender_addon.contract.errors import ErrorCode, MienError
from tests import fabricated_datasets as fabricated
from training.datasets.affectnet import affectnet, affectnet_records
from training.datasets.choice import dataset
from training.datasets.faces import FACE_KEYS
from training.datasets.report import Findings, Reason, reports

NAMES = ["1/aa.jpg", "1/bb.JPG", "2/cc.png", "2/d.d.jpeg", "3/ee.jpg", "3/ff.jpg"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six good pictures, prepared, and rows that are to be left out."""
    row = fabricated.affectnet_row
    good = [row(name, place, -1 + place / 4, place / 8) for place, name in enumerate(NAMES)]
    others = [
        row("4/none.jpg", 8, 0.5, 0.5), row("4/uncertain.jpg", 9, 0.1, 0.1), row("4/noface.jpg", 10, -2, -2),
        row("4/unknown.jpg", 1, -2, 0.3),
    ]  # fmt: skip
    fabricated.affectnet_csv(tmp_path / "training.csv", good + others)
    fabricated.affectnet_csv(tmp_path / "validation.csv", [row("5/gg.jpg", 7, 0.25, -0.25), others[0]])
    fabricated.prepare(tmp_path / "prepared", [*map(_stem, NAMES), "4/none", "5/gg"])
    return tmp_path


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def test_items_are_the_rows_with_their_faces(folder: Path) -> None:
    faces = affectnet(folder, "train")
    assert len(faces) == 7
    for index, place in enumerate(range(6)):
        item = faces[index]
        assert tuple(item) == FACE_KEYS
        assert int(item["label"]) == place
        assert float(item["valence"]) == pytest.approx(-1 + place / 4)
        assert float(item["arousal"]) == pytest.approx(place / 8)
        made = fabricated.made_face(place % 3)
        np.testing.assert_allclose(item["image"].numpy(), made.pixels.transpose(2, 0, 1) / 255, atol=1e-6)
        for name, truth in (("landmarks", made.landmarks), ("mediapipe", made.mediapipe)):
            np.testing.assert_allclose(item[name][:, :2], truth / 112 - 1, atol=1e-5)
        assert item["landmarks"][:, 2].min() == 1
        assert item["mask"].shape == (1, 224, 224) and 0.1 < item["mask"].mean() < 0.7
    assert int(faces[6]["label"]) == -1  # None has valence and arousal alone
    assert faces.labels().tolist() == [0, 1, 2, 3, 4, 5, -1]
    told = faces.report()
    assert told.left_out == {"uncertain": 1, "no face": 1, "without valence or arousal": 1}
    assert not told.skipped


def test_splits_and_whose_they_are(folder: Path) -> None:
    assert len(affectnet(folder, "test")) == len(affectnet(folder, "validation")) == 2
    with pytest.raises(MienError, match="validation_emonet_split.csv is missing") as raised:
        affectnet(folder, "validation", source="emonet")
    assert raised.value.code is ErrorCode.MISSING_FILE
    assert len(affectnet(folder, "test", source="emonet")) == 1  # the published one, without None
    row = fabricated.affectnet_row
    fabricated.affectnet_csv(folder / "validation_emonet_split.csv", [row(name, 1, 0.1, 0.1) for name in NAMES[:4]])
    assert len(affectnet(folder, "validation", source="emonet_clean")) == 4
    fabricated.affectnet_csv(folder / "validation_emonet_split_clean.csv", [row(NAMES[0], 1, 0.1, 0.1)])
    assert len(affectnet(folder, "validation", source="emonet_clean")) == 1
    assert len(affectnet(folder, "validation", source="emonet")) == 4


def test_nonsense_in_rows_is_told_with_its_line(folder: Path) -> None:
    row = fabricated.affectnet_row
    wrong = [
        row("1/aa.jpg", "happy", 0, 0), row("1/aa.jpg", 11, 0, 0), row("1/aa.jpg", 1, 3.5, 0),
        row("1/aa.jpg", 1, "nan", 0), row("../../secret.jpg", 1, 0, 0), row("aa.jpg", 1, 0, 0), ["1/aa.jpg"],
        row("1/bb.jpg", 1, 0.5, 0.5),
    ]  # fmt: skip
    fabricated.affectnet_csv(folder / "training.csv", wrong)
    findings = Findings()
    records = list(affectnet_records(folder, "train", findings))
    assert [record.name for record in records] == ["1/bb"]
    trouble = findings.troubles()[Reason.BAD_ROW]
    assert trouble.count == 7
    assert "line 2" in trouble.first[0] and "happy" in trouble.first[0]
    assert "valence 3.5" in trouble.first[2]


def test_another_csv_is_refused(folder: Path) -> None:
    (folder / "training.csv").write_text("file,expression\n1/aa.jpg,0\n")
    with pytest.raises(MienError, match="no column subDirectory_filePath") as raised:
        affectnet(folder, "train")
    assert raised.value.code is ErrorCode.BAD_MANIFEST


def test_missing_files_are_skipped_and_told(folder: Path) -> None:
    (folder / "prepared/detections/1/aa.png").unlink()
    (folder / "prepared/segmentations/1/bb.npz").unlink()
    for kind in ("landmarks", "landmarks_mediapipe"):
        (folder / f"prepared/{kind}/2/cc.npz").unlink()
    (folder / "prepared/landmarks/2/d.d.npz").unlink()  # the 478 suffice
    (folder / "prepared/landmarks_mediapipe/3/ee.npz").unlink()  # so do the 68
    faces = affectnet(folder, "train")
    assert len(faces) == 4
    told = faces.report()
    assert {reason: trouble.first for reason, trouble in told.skipped.items()} == {
        Reason.NO_PICTURE: ("1/aa",), Reason.NO_MASK: ("1/bb",), Reason.NO_LANDMARKS: ("2/cc",),
    }  # fmt: skip
    assert "1 skipped: the picture is missing (1/aa)." in str(told)
    truth = fabricated.made_face(3 % 3)
    assert np.abs(faces[0]["landmarks"][30, :2].numpy() - (truth.landmarks[30] / 112 - 1)).max() < 0.1
    assert not faces[1]["mediapipe"].any()


def test_damaged_files_are_told_by_workers_and_replaced_without_labels(folder: Path) -> None:
    fabricated.truncate(folder / "prepared/detections/1/aa.png")
    swapped = (folder / "prepared/landmarks/1/bb.npz").read_bytes()
    (folder / "prepared/landmarks_mediapipe/1/bb.npz").write_bytes(swapped)
    fabricated.truncate(folder / "prepared/segmentations/2/cc.npz")
    faces = affectnet(folder, "train")
    loader = DataLoader(faces, 7, num_workers=1, multiprocessing_context="spawn")
    batch = next(iter(loader))
    assert batch["label"].tolist() == [-1, -1, -1, 3, 4, 5, -1]
    assert batch["valence"].isnan().tolist() == [True] * 3 + [False] * 4
    assert torch.equal(batch["image"][0], batch["image"][3])
    told = reports(dataset({"kind": "affectnet", "folder": folder, "split": "train"}))[0]
    assert not told.skipped  # nothing was read yet
    assert {reason: trouble.first for reason, trouble in faces.report().skipped.items()} == {
        Reason.BAD_PICTURE: ("1/aa",), Reason.BAD_LANDMARKS: ("1/bb",), Reason.BAD_MASK: ("2/cc",),
    }  # fmt: skip


def test_nothing_usable_ends_with_the_reasons(folder: Path) -> None:
    with pytest.raises(MienError, match="no prepared faces.*mien train prepare affectnet"):
        affectnet(folder, "train", folder / "elsewhere")
    (folder / "empty" / "detections").mkdir(parents=True)
    with pytest.raises(MienError, match="Nothing of AffectNet.*7 skipped: the picture is missing"):
        affectnet(folder, "train", folder / "empty")
    for path in (folder / "prepared" / "detections").glob("*/*.png"):
        path.write_bytes(b"no picture")
    with pytest.raises(MienError, match="7 pictures in a row cannot be read"):
        affectnet(folder, "train")[2]


def test_faces_prepared_by_the_published_code(folder: Path) -> None:
    ours = affectnet(folder, "train")[0]
    fabricated.prepare_as_published(folder / "published", "1/aa")
    theirs = affectnet(folder, "train", folder / "published")[0]
    for name in ("image", "landmarks", "mediapipe"):
        torch.testing.assert_close(theirs[name], ours[name], atol=1e-5, rtol=0)
    assert not theirs["mask"][0, :20].any()  # hair
    torch.testing.assert_close(theirs["mask"][0, 20:], ours["mask"][0, 20:])


def test_a_run_says_what_its_data_lack_once_and_augments(folder: Path, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("lightning")
    from training.datasets.augmentation import Augmented
    from training.trainer.configuration import Configuration, DataSettings
    from training.trainer.data import RunData

    (folder / "prepared/detections/1/aa.png").unlink()
    fabricated.truncate(folder / "prepared/detections/1/bb.png")
    entry = {"kind": "affectnet", "folder": folder}
    settings = DataSettings(entry | {"split": "train"}, entry | {"split": "test"}, True, "emotion")
    data = RunData(Configuration("emotion-network", settings))
    assert isinstance(data.trained, Augmented) and not isinstance(data.looked_at, Augmented)
    data.setup("fit")
    told = capsys.readouterr().err
    assert "AffectNet (train, published): 6 items." in told and "picture is missing (1/aa)" in told
    assert "AffectNet (test, published): 2 items." in told
    data.trained[0]
    data.teardown("fit")
    told = capsys.readouterr().err
    assert "picture is damaged (1/bb)" in told
    assert "test" not in told


class _Harm:
    def __reduce__(self) -> tuple[object, ...]:
        return (pytest.fail, ("code of a pickle was run",))


def test_pickles_are_never_run(folder: Path) -> None:
    fabricated.prepare_as_published(folder / "published", "1/aa")
    fabricated.prepare_as_published(folder / "published", "1/bb")
    for kind in ("landmarks", "segmentations"):
        (folder / "published" / kind / "1/aa.pkl").write_bytes(pickle.dumps("kpt68") + pickle.dumps(_Harm()))
    faces = affectnet(folder, "train", folder / "published")
    assert int(faces[0]["label"]) == -1  # that of nobody: 1/bb stands in
    assert faces.report().skipped[Reason.BAD_MASK].first == ("1/aa",)
