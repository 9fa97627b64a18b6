# SPDX-License-Identifier: GPL-3.0-or-later
"""Preparing datasets: faces found, cropped, marked, masked; resumed after any kind of end."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from backend.faces.landmarker import Face, FaceFinder
from backend.faces.topology import IBUG68_FROM_478
from backend.progress import no_progress
from backend.weights.landmarker import landmarker_file
from blender_addon.contract.errors import ErrorCode, MienError
from tests import fabricated_datasets as fabricated
from tests.backend.conftest import fetched
from training.datasets.affectnet import affectnet
from training.datasets.prepared import PreparedFiles
from training.datasets.records import Record, Records
from training.datasets.report import Findings
from training.preprocessing import worker
from training.preprocessing.command import DATASETS, add_prepare
from training.preprocessing.making import Style, chosen, make_face
from training.preprocessing.run import DESCRIPTION, PROBLEMS, VIDEO_PORTION, job_for, portions, prepare_dataset
from training.preprocessing.segmentation import face_labels
from training.preprocessing.sources import KINDS, all_records
from training.preprocessing.worker import Job, Outcome, Result

NAMES = ["1/aa.jpg", "1/bb.png", "2/cc.jpg"]


@pytest.fixture(scope="session")
def model() -> Path:
    return fetched(lambda: landmarker_file(no_progress))


@pytest.fixture(scope="module")
def finder_of(model: Path) -> Iterator[FaceFinder]:
    with FaceFinder(model) as finder:
        yield finder


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """AffectNet with three faces, a grey picture, a damaged one and one that is not there."""
    folder = tmp_path / "raw"
    fabricated.affectnet_pictures(folder, NAMES)
    images = folder / "Manually_Annotated" / "Manually_Annotated_Images"
    fabricated.save(images / "3/grey.jpg", np.full((200, 200, 3), 128, np.uint8))
    fabricated.truncate(fabricated.save(images / "3/cut.jpg", fabricated.whole(0).pixels))
    rows = [
        fabricated.affectnet_row(name, 1, 0.5, 0.5) for name in [*NAMES, "3/grey.jpg", "3/cut.jpg", "3/gone.jpg"]
    ]
    fabricated.affectnet_csv(folder / "training.csv", rows)
    fabricated.affectnet_csv(folder / "validation.csv", rows[:1])
    return folder


def records_of(folder: Path) -> Records:
    return all_records("affectnet", folder, None, Findings())


def test_prepared_faces_are_what_training_reads(raw: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "made"
    records, job = records_of(raw), job_for(raw, out, Style(), no_progress)
    assert len(records) == 6
    report = prepare_dataset(records, job, 1, no_progress, "affectnet")
    assert report.counts == {Outcome.MADE: 3, Outcome.NO_FACE: 1, Outcome.UNREADABLE: 2}
    with (out / PROBLEMS).open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["outcome"]) for row in rows] == [
        ("3/cut", "unreadable"), ("3/gone", "unreadable"), ("3/grey", "no face"),
    ]  # fmt: skip
    assert "cut off" in rows[0]["reason"]
    faces = affectnet(raw, "train", out)
    assert len(faces) == 3
    for index in range(3):
        _check(faces[index], fabricated.whole(index))
    # Nothing is made twice, and what was lost is made again.
    files = PreparedFiles.of(out, "1/aa")
    before = files.picture.read_bytes(), os.stat(files.picture).st_mtime_ns
    PreparedFiles.of(out, "1/bb").landmarks.unlink()
    PreparedFiles.of(out, "2/cc").segmentation.write_bytes(b"")  # as a power cut leaves files
    report = prepare_dataset(records, job, 1, no_progress, "affectnet")
    assert report.counts == {Outcome.MADE: 2, Outcome.THERE: 1, Outcome.NO_FACE: 1, Outcome.UNREADABLE: 2}
    assert (files.picture.read_bytes(), os.stat(files.picture).st_mtime_ns) == before
    with pytest.raises(MienError, match="holds other prepared faces") as raised:
        prepare_dataset(records, Job(raw, out, Style(scale=1.6), model), 1, no_progress, "affectnet")
    assert raised.value.code is ErrorCode.USAGE


def _check(item: dict, truth: fabricated.Whole) -> None:
    """The crop is EMOCA's around the 68 landmarks, and shows what the whole picture shows at the landmarks."""
    marks = (item["landmarks"][:, :2].numpy() + 1) * 112
    low, high = marks.min(0), marks.max(0)
    side = (high - low).mean() * 1.1 * 1.25
    assert abs(side - 224) < 2.5  # the side is cut to whole pixels
    # Landmarks go into the square with pixel centres at +0.5, and come out with them at whole numbers, as published.
    np.testing.assert_allclose((low + high) / 2, 111.5, atol=0.2)
    # Similarity from the truth to the crop, by the landmarks; what is left are the landmarker's errors.
    to_crop = cv2.estimateAffinePartial2D(truth.mediapipe[:, :2], (item["mediapipe"][:, :2].numpy() + 1) * 112)[0]
    assert abs(np.degrees(np.arctan2(to_crop[1, 0], to_crop[0, 0]))) < 3
    expected = truth.landmarks @ to_crop[:, :2].T + to_crop[:, 2]
    assert np.abs(marks - expected).mean() < 5
    half = np.full(2, 0.5)
    whole = to_crop.copy()
    whole[:, 2] += to_crop[:, :2] @ half - half
    size = (224, 224)
    wanted = cv2.warpAffine(truth.pixels, whole, size, flags=cv2.INTER_LINEAR).astype(float) / 255
    assert np.abs(item["image"].movedim(0, -1).numpy() - wanted).mean() < 0.04
    mask = cv2.warpAffine(truth.mask, whole, size) > 0.5
    found = item["mask"][0].numpy() > 0.5
    assert (mask & found).sum() / (mask | found).sum() > 0.8


def test_a_video_is_prepared_frame_by_frame(model: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    pictures = [fabricated.whole(0).pixels, np.full_like(fabricated.whole(0).pixels, 128), fabricated.whole(1).pixels]
    fabricated.video(raw / "batch1" / "4.mp4", pictures)
    lines = ["valence,arousal", "0.1,0.1", "0.1,0.1", "0.5,0.5", "0.1,0.1"]
    fabricated.aff_wild2_annotations(raw, "VA_Estimation_Challenge", "Train", "4", lines)
    fabricated.aff_wild2_annotations(raw, "VA_Estimation_Challenge", "Validation", "5", lines)
    findings = Findings()
    records = all_records("aff_wild2", raw, None, findings)
    report = prepare_dataset(records, job_for(raw, tmp_path / "out", Style(), no_progress), 1, no_progress, "aff_wild2")
    assert report.counts == {Outcome.MADE: 2, Outcome.NO_FACE: 1, Outcome.UNREADABLE: 1}
    assert report.problems[-1].record.frame == 3
    assert PreparedFiles.of(tmp_path / "out", "4/00003").complete()


def _crash_at_bb(job: Job, records: Sequence[Record]) -> list[Result]:
    if any(record.name == "1/bb" for record in records):
        os._exit(7)
    return [Result(record, Outcome.MADE) for record in records]


def _full(job: Job, records: Sequence[Record]) -> list[Result]:
    raise MienError(ErrorCode.NO_SPACE, "The disk is full.", "Free some space.")


def test_a_picture_that_kills_its_process_is_named(tmp_path: Path) -> None:
    records = Records(Record(name, f"{name}.png") for name in ("1/aa", "1/bb", "1/cc"))
    job = Job(tmp_path, tmp_path / "out", Style(), tmp_path)
    report = prepare_dataset(records, job, 1, no_progress, "affectnet", _crash_at_bb)
    assert report.counts == {Outcome.MADE: 2, Outcome.CRASHED: 1}
    assert "1/bb,1/bb.png,,process died,status 7" in (tmp_path / "out" / PROBLEMS).read_text()
    with pytest.raises(MienError, match="disk is full"):
        prepare_dataset(records, job, 1, no_progress, "affectnet", _full)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for a process of its own")
def test_ctrl_c_leaves_whole_files_and_the_next_run_goes_on(model: Path, tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    names = [f"1/{number:03d}.jpg" for number in range(60)]
    fabricated.affectnet_pictures(raw, names)
    rows = [fabricated.affectnet_row(name, 1, 0.5, 0.5) for name in names]
    fabricated.affectnet_csv(raw / "training.csv", rows)
    fabricated.affectnet_csv(raw / "validation.csv", rows[:1])
    code = (
        "import argparse, sys; from backend.terminal import guarded; from training.preprocessing.command import "
        "add_prepare; parser = argparse.ArgumentParser(); add_prepare(parser.add_subparsers())\n"
        "def work():\n    options = parser.parse_args(sys.argv[1:]); return options.run(options)\n"
        "if __name__ == '__main__':\n    sys.exit(guarded(work))\n"
    )
    script = tmp_path / "command.py"
    script.write_text(code)
    arguments = ["prepare", "affectnet", "--folder", str(raw), "--out", str(out), "--workers", "1"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[3])}

    def begin() -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, str(script), *arguments], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    process = begin()
    until = time.monotonic() + 60
    while len(list(out.glob("detections/1/*.png"))) < 3 and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode not in (0, 1) and "Stopped" in told
    pictures = len(list(out.glob("detections/1/*.png")))
    assert 3 <= pictures < 60
    assert not list(out.glob("**/.*"))
    complete = sum(PreparedFiles.of(out, name[:-4]).complete() for name in names)
    assert complete == pictures
    process = begin()
    told, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert f"60 of 60 pictures: {60 - pictures} made, {pictures} already there." in told
    assert (out / DESCRIPTION).exists()


def test_fan_gives_the_landmarks_and_the_crop(finder_of: FaceFinder, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAN's own weights are not here: points that are moved stand for its answer."""
    frame = fabricated.whole(0).pixels

    def moved(pixels: np.ndarray, box: np.ndarray, device: str) -> np.ndarray:
        [face] = finder_of.find(pixels)
        return face.landmarks[IBUG68_FROM_478, :2] + [12.0, -6.0]

    monkeypatch.setattr("backend.faces.fan.fan_landmarks", moved)
    plain, fan = (make_face(frame, Record("", ""), finder_of, Style(kind)) for kind in ("mediapipe", "fan"))
    scale = np.ptp(plain.mediapipe[:, 0]) / np.ptp(finder_of.find(frame)[0].landmarks[:, 0])
    np.testing.assert_allclose(fan.landmarks, plain.landmarks, atol=1e-3)  # the crop lies around them
    np.testing.assert_allclose(fan.mediapipe, plain.mediapipe - scale * np.array([12, -6]), atol=1e-2)


def test_what_fan_lacks_is_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import argparse

    monkeypatch.setattr("backend.faces.fan.fan_installed", lambda: False)
    parser = argparse.ArgumentParser()
    add_prepare(parser.add_subparsers())
    options = parser.parse_args(["prepare", "affectnet", "--folder", str(tmp_path), "--landmarks", "fan"])
    with pytest.raises(MienError, match="or use --landmarks mediapipe") as raised:
        options.run(options)
    assert raised.value.code is ErrorCode.SETUP_FAILED
    assert not list(tmp_path.iterdir())


def test_portions_are_of_one_video_and_person() -> None:
    photos = [Record(f"1/{n}", f"{n}.png") for n in range(70)]
    frames = [Record(f"v/{n}", "v.mp4", n) for n in range(VIDEO_PORTION + 2)]
    others = [Record(f"v_left/{n}", "v.mp4", n, "left") for n in range(2)]
    made = list(portions(Records(photos + frames + others)))
    assert [len(portion) for portion in made] == [32, 32, 6, VIDEO_PORTION, 2, 2]
    assert [record.name for portion in made for record in portion] == [r.name for r in photos + frames + others]


def test_whom_a_record_means() -> None:
    def face(*box: float) -> Face:
        return Face(np.array(box), np.zeros((478, 3)), np.zeros(52), 1, 0)

    large, small = face(0, 0, 100, 100), face(150, 0, 200, 50)
    assert chosen([large, small], Record("", ""), 200) is large
    assert chosen([large, small], Record("", "", box=(140, 0, 210, 60)), 200) is small
    assert chosen([large], Record("", "", box=(140, 0, 210, 60)), 200) is None
    assert chosen([large, small], Record("", "", side="right"), 200) is small
    assert chosen([large, small], Record("", "", side="left"), 200) is large
    assert chosen([small], Record("", "", side="left"), 200) is None
    assert chosen([small], Record("", "", side="right"), 200) is small
    assert chosen([], Record("", ""), 200) is None


def test_labels_lie_where_the_face_is() -> None:
    face = fabricated.made_face(0)
    labels = face.labels
    assert set(np.unique(labels)) >= {0, 1, 2, 3, 4, 5, 12, 13}
    for number, label in ((468, 5), (473, 4), (1, 1), (66, 3), (296, 2)):
        column, row = face.mediapipe[number].astype(int)
        assert labels[row - 1 : row + 2, column - 1 : column + 2].tolist().count(label) or label in labels[
            row - 3 : row + 4, column - 3 : column + 4
        ]
    upper, lower = ((labels == label).nonzero()[0].mean() for label in (12, 13))
    assert upper < lower
    shifted = face_labels(face.mediapipe + [10, 0])
    assert (shifted[:, 10:] == labels[:, :-10]).mean() > 0.999


def test_every_kind_is_listed_and_lists_are_for_those_that_have_them(tmp_path: Path) -> None:
    assert DATASETS == KINDS
    with pytest.raises(MienError, match="not read by a list"):
        all_records("affectnet", tmp_path, tmp_path / "x.npy", Findings())


def test_a_process_ends_early_where_all_is_to_stop(monkeypatch: pytest.MonkeyPatch, raw: Path, model: Path) -> None:
    import multiprocessing

    stop = multiprocessing.get_context("spawn").Event()
    stop.set()
    monkeypatch.setattr(worker, "_stop", stop)
    assert worker.work(Job(raw, raw / "out", Style(), model), list(records_of(raw))[:3]) == []
