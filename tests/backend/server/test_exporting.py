# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes in other formats through the real service: bytes that travel, errors that say why, no disk that is touched."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from backend.exports import formats
from backend.exports.formats import TAKE_FORMATS, Format
from backend.server import exporting
from backend.server.exporting import Exporter, write
from blender_addon.client.events import ExportFailed, FormatsListed, TakeExported
from blender_addon.contract import messages as m
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.exporting import ExportedFile, is_file_name, to_file_name
from blender_addon.contract.take import Take
from tests.backend.server.raw import backend, raw
from tests.client_driver import driving
from tests.fake_takes import same_arrays, small_take

pytestmark = pytest.mark.usefixtures("mien_home")


def asked(name: str = "npz", take: Take | None = None, stem: str = "shot") -> m.ExportTake:
    """A new export."""
    return m.ExportTake(uuid.uuid4().hex, take or small_take(frames=3), name, stem)


def in_format(monkeypatch, write_take, check=lambda take: None) -> None:
    """Let there be a format of the test's own."""
    table = MappingProxyType({**TAKE_FORMATS, "own": Format("Own", ".own", write_take, check)})
    monkeypatch.setattr(formats, "TAKE_FORMATS", table)


def test_the_client_gets_the_formats_and_the_files(tmp_path):
    take = small_take(frames=5)
    with driving(tmp_path) as driver:
        driver.client.list_formats()
        export = driver.client.export_take(take, "npz", "shot_010")
        listed = driver.wait_for(FormatsListed).formats
        assert {item.name: item.suffix for item in listed} == {k: item.suffix for k, item in TAKE_FORMATS.items()}
        done = next((event for event in driver.seen if isinstance(event, TakeExported)), None)
        done = done or driver.wait_for(TakeExported)
    assert done.export == export
    (file,) = done.files
    assert file.path == "shot_010.take.npz"
    (tmp_path / "back.npz").write_bytes(file.data.tobytes())
    assert same_arrays(Take.load(tmp_path / "back.npz"), take)


def test_refusals_reach_who_asked(tmp_path):
    with driving(tmp_path) as driver:
        export = driver.client.export_take(small_take(), "nonsense", "shot")
        failed = driver.wait_for(ExportFailed)
        assert (failed.export, failed.error.code) == (export, ErrorCode.USAGE)
        long = small_take(frames=3 << 20, extra={}, crop_transform=np.zeros((3 << 20, 3, 3)))
        driver.client.export_take(long, "npz", "long")
        assert driver.wait_for(ExportFailed).error.code is ErrorCode.TOO_LARGE
        driver.client.export_take(small_take(), "npz", "fine")
        driver.wait_for(TakeExported)


def test_an_export_is_told_when_the_backend_ends(tmp_path):
    with driving(tmp_path) as driver:
        driver.client.export_take(small_take(), "npz", "shot")
        driver.client.close()
        assert driver.wait_for(ExportFailed).error.code is ErrorCode.CANCELLED


def test_a_repeated_request_gets_the_same_files_again():
    with backend() as child:
        with raw(child.told()["endpoint"], child.server.public, child.client) as connection:
            request = asked()
            first, second = connection.ask(request), connection.ask(request)
            assert first.files[0].data.tobytes() == second.files[0].data.tobytes()
            names = {item.name for item in connection.ask(m.ListFormats()).formats}
            assert "npz" in names


def test_an_answer_waits_while_it_is_written_and_the_work_is_done_once(monkeypatch):
    go, runs, woken = threading.Event(), [], threading.Event()

    def slow(take: Take, path: Path) -> None:
        runs.append(path)
        go.wait(10)
        path.write_bytes(b"done")

    in_format(monkeypatch, slow)
    exporter, request = Exporter(woken.set), asked("own")
    assert exporter.answer(request, waited=False) is None
    assert exporter.answer(request, waited=True).files is None
    go.set()
    assert woken.wait(10)
    assert [(f.path, f.data.tobytes()) for f in exporter.answer(request, waited=False).files] == [("shot.own", b"done")]
    assert len(runs) == 1


def test_only_the_last_are_kept_and_not_too_many_wait(monkeypatch):
    go = threading.Event()
    in_format(monkeypatch, lambda take, path: (go.wait(10), path.write_bytes(b"x")))
    exporter = Exporter(lambda: None)
    for _ in range(exporting.MOST_WAITING):
        exporter.answer(asked("own"), waited=True)
    with pytest.raises(MienError) as caught:
        exporter.answer(asked("own"), waited=True)
    assert caught.value.code is ErrorCode.TOO_LARGE
    go.set()
    for future in exporter._exports.values():
        future.result(10)
    exporter.answer(asked("own"), waited=True)
    assert len(exporter._exports) <= exporting.KEEP


def test_a_format_of_several_files_in_folders(monkeypatch):
    def several(take: Take, path: Path) -> None:
        (path / "flame_param").mkdir(parents=True)
        for number in range(3):
            (path / "flame_param" / f"{number:05d}.npz").write_bytes(b"%d" % number)

    in_format(monkeypatch, several)
    files = write(asked("own"))
    assert [file.path for file in files] == [f"shot.own/flame_param/{number:05d}.npz" for number in range(3)]


def test_what_does_not_suit_and_what_is_too_large_is_refused(monkeypatch, tmp_path):
    def refuse(take: Take) -> None:
        raise MienError(ErrorCode.CANNOT_EXPORT, "The take has no such channels.", "Choose another format.")

    in_format(monkeypatch, lambda take, path: path.write_bytes(b""), refuse)
    with pytest.raises(MienError, match="no such channels"):
        write(asked("own"))
    monkeypatch.setattr(exporting, "MAX_EXPORT", 10)
    with pytest.raises(MienError) as caught:
        write(asked("npz"))
    assert caught.value.code is ErrorCode.TOO_LARGE


def test_errors_do_not_tell_of_the_backends_folders(monkeypatch):
    def full(take: Take, path: Path) -> None:
        raise MienError(ErrorCode.NO_SPACE, f"{path} cannot be written: No space left.", "Free some.")

    in_format(monkeypatch, full)
    with pytest.raises(MienError) as caught:
        write(asked("own"))
    assert caught.value.message == "shot.own cannot be written: No space left."


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "C:", "a\0", "a.", "a ", "x" * 256, "a\n"])
def test_names_that_lead_elsewhere_are_refused(name):
    assert not is_file_name(name)
    with pytest.raises(MienError):
        asked(stem=name)
    with pytest.raises(MienError):
        ExportedFile(f"fine/{name}" if "/" not in name else f"/{name}", np.zeros(1, np.uint8))


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("Ann/a: 1", "Ann_a_ 1"),
        ("a\\b|c*?.", "a_b_c__"),
        (" . ", "_"),
        ("", "_"),
        ("阿丽丝", "阿丽丝"),
        ("x" * 300, "x" * 200),
    ],
)
def test_names_of_all_kinds_become_names_of_files(name, made):
    assert to_file_name(name) == made
    assert is_file_name(made)


@pytest.mark.parametrize("name", ["shot_010", "Åsa 2", ".hidden", "a.take.npz"])
def test_names_of_files_are_taken(name):
    assert is_file_name(name)
    assert replace(asked(), stem=name).stem == name
