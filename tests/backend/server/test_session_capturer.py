# SPDX-License-Identifier: GPL-3.0-or-later
"""The real chain as the service uses it."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pillow_heif
import pytest
import skimage.data
from PIL import Image

from backend.server.session_capturer import SessionCapturer, sentences_of
from backend.weights.landmarker import landmarker_file
from backend.weights.parts import parts_dir, write_part
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.options import CaptureOptions
from tests.pictures import save_astronaut


class Quiet:
    """Progress that nobody watches."""

    def __call__(self, stage: str, done: float, message: str = "") -> None: ...

    def check_cancelled(self) -> None: ...

    def frames(self, count) -> None: ...

    def wants_preview(self) -> bool:
        return False

    def preview(self, takes) -> None: ...

    def actions(self) -> list:
        return []

    def keep(self, take) -> None: ...


@pytest.fixture(scope="module")
def capturer(model) -> SessionCapturer:
    return SessionCapturer("cpu", None)


def test_what_a_killed_service_left_is_cleared(mien_home):
    (folder := parts_dir()).mkdir(parents=True)
    (folder / ".adding-abc").mkdir()
    (folder / ".adding-abc" / "member").write_bytes(b"half")
    (folder / ".0123456789abcdef.tmp").write_bytes(b"half")
    (folder / "kept.safetensors").write_bytes(b"whole")
    SessionCapturer("cpu", None)
    assert [path.name for path in folder.iterdir()] == ["kept.safetensors"]


def test_a_photo_that_blender_shows_needs_no_copy(capturer, tmp_path):
    captured = capturer.capture(CaptureOptions(str(save_astronaut(tmp_path / "a.png"))), Quiet())
    assert captured.backdrop is None
    assert captured.overlay().shape[2] == 3
    assert capturer.head(captured.takes[0].meta.head_sha256).id == "open"
    assert [status.id for status in capturer.models().heads if status.ready] == ["open"]


def test_a_heic_photo_is_copied_for_blender(capturer, tmp_path):
    path = tmp_path / "IMG_0001.HEIC"
    pillow_heif.from_pillow(Image.fromarray(skimage.data.astronaut())).save(path, quality=95)
    captured = capturer.capture(CaptureOptions(str(path)), Quiet())
    (folder := tmp_path / "job").mkdir()
    copy = captured.backdrop(folder)
    assert copy == folder / "IMG_0001.png"
    with Image.open(copy) as picture:
        assert np.abs(np.asarray(picture).astype(int) - skimage.data.astronaut()).mean() < 4


def test_progress_never_goes_back_even_where_a_file_is_fetched_first(model, tmp_path, monkeypatch):
    def fetched(progress):
        progress("download", 0.0)
        progress("download", 1.0)
        return landmarker_file(progress)

    class Recorded(Quiet):
        done: list[float] = []

        def __call__(self, stage: str, done: float, message: str = "") -> None:
            self.done.append(done)

    monkeypatch.setattr("backend.session.landmarker_file", fetched)
    options = CaptureOptions(str(save_astronaut(tmp_path / "a.png")))
    SessionCapturer("cpu", None).capture(options, progress := Recorded())
    assert progress.done == sorted(progress.done)
    assert (progress.done[0], progress.done[-1]) == (0.0, 1.0)


def test_what_became_of_added_files_is_said_in_sentences(monkeypatch):
    ledger = SimpleNamespace(title=lambda kind, name="": f"{kind} {name}".strip())
    monkeypatch.setitem(sys.modules, "backend.weights.ledger", ledger)
    half = MienError(ErrorCode.BAD_HEAD, "half.tar ends early.", "Download it again.")
    added = [
        SimpleNamespace(part=SimpleNamespace(kind=kind, name=name), file=f"{kind}.tar", notes=notes, before=before)
        for kind, name, notes, before in (("deca", "", ("It is whole.",), False), ("emoca", "v2", (), True))
    ]
    outcome = SimpleNamespace(added=added, problems=[half], unknown=["a.txt"], warnings=["They differ."])
    assert sentences_of(outcome) == (
        "deca was added from deca.tar.", "It is whole.", "emoca v2 was there already.", "They differ.", str(half)
    )  # fmt: skip
    for problems, words in (([half], "ends early"), ([], "1 file holds nothing")):
        with pytest.raises(MienError, match=words):
            sentences_of(SimpleNamespace(added=[], problems=problems, unknown=["a.txt"], warnings=[]))


def test_models_are_loaded_anew_when_files_were_added(mien_home):
    capturer = SessionCapturer("cpu", 1)
    before = capturer._session("cpu")
    capturer._forget_old_models()
    assert capturer._session("cpu") is before
    write_part("uv_masks", {"mask": np.ones((256, 256), np.float32)}, origin="mask.png", sha256="a" * 64, name="face")
    capturer._forget_old_models()
    assert capturer._session("cpu") is not before
