# SPDX-License-Identifier: GPL-3.0-or-later
"""Live Link Face files: as the app writes them, with frames missing, and damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.exports.formats import export_take
from backend.exports.importing import ImportOptions, import_take
from backend.exports.livelink import COLUMNS, COUNT, HEADER, read_livelink
from blender_addon.contract.arkit import CHANNELS, arkit_curves
from blender_addon.contract.errors import ErrorCode, MienError
from tests.arkit_takes import arkit_take
from tests.fake_takes import small_take

KNOWN_HEADER = (
    "Timecode,BlendShapeCount,EyeBlinkLeft,EyeLookDownLeft,EyeLookInLeft,EyeLookOutLeft,EyeLookUpLeft,EyeSquintLeft,"
    "EyeWideLeft,EyeBlinkRight,EyeLookDownRight,EyeLookInRight,EyeLookOutRight,EyeLookUpRight,EyeSquintRight,"
    "EyeWideRight,JawForward,JawRight,JawLeft,JawOpen,MouthClose,MouthFunnel,MouthPucker,MouthRight,MouthLeft,"
    "MouthSmileLeft,MouthSmileRight,MouthFrownLeft,MouthFrownRight,MouthDimpleLeft,MouthDimpleRight,MouthStretchLeft,"
    "MouthStretchRight,MouthRollLower,MouthRollUpper,MouthShrugLower,MouthShrugUpper,MouthPressLeft,MouthPressRight,"
    "MouthLowerDownLeft,MouthLowerDownRight,MouthUpperUpLeft,MouthUpperUpRight,BrowDownLeft,BrowDownRight,BrowInnerUp,"
    "BrowOuterUpLeft,BrowOuterUpRight,CheekPuff,CheekSquintLeft,CheekSquintRight,NoseSneerLeft,NoseSneerRight,"
    "TongueOut,HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw,LeftEyePitch,LeftEyeRoll,RightEyeYaw,RightEyePitch,RightEyeRoll"
)


def write(path: Path, rows: list[str], header: str = KNOWN_HEADER) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def row(code: str, value: float = 0.25, count: int = COUNT) -> str:
    return ",".join([code, str(count), *[f"{value:.6f}"] * COUNT])


@pytest.fixture
def sixty(tmp_path: Path) -> Path:
    """Two seconds at 60 a second from a quarter past three, whose values rise with the frame."""
    codes = [f"15:15:{30 + n // 60}:{n % 60:02d}.{(476 + n) % 1000:03d}" for n in range(120)]
    return write(tmp_path / "MySlate_1_iPhone.csv", [row(code, n / 120) for n, code in enumerate(codes)])


def test_the_header_is_the_apps(tmp_path: Path) -> None:
    assert ",".join(HEADER) == KNOWN_HEADER
    path = export_take(arkit_take(3), "livelink", tmp_path, "shot")[0]
    first, second = path.read_text().splitlines()[:2]
    assert first == KNOWN_HEADER
    assert second.split(",")[:2] == ["00:00:00:00.000", "61"]
    assert len(second.split(",")) == 63


def test_each_value_stands_in_its_column(tmp_path: Path) -> None:
    take = arkit_take(4)
    lines = export_take(take, "livelink", tmp_path, "shot")[0].read_text().splitlines()
    values = dict(zip(lines[0].split(","), lines[3].split(","), strict=True))
    curves = arkit_curves(take)
    for name in CHANNELS:
        assert float(values[name[0].upper() + name[1:]]) == pytest.approx(curves.weight(name)[2], abs=1e-9), name
    assert float(values["HeadYaw"]) == pytest.approx(curves.angles[2, 0], abs=1e-9)


def test_to_a_take_and_back_is_the_same_file(tmp_path: Path) -> None:
    path = export_take(arkit_take(200, 60.0), "livelink", tmp_path, "one")[0]
    take = import_take(path, ImportOptions()).take
    again = export_take(take, "livelink", tmp_path, "two")[0]
    one, two = read_livelink(path), read_livelink(again)
    np.testing.assert_array_equal(one.curves.time, two.curves.time)
    np.testing.assert_allclose(one.curves.weights, two.curves.weights, atol=2e-7)
    np.testing.assert_allclose(one.curves.angles, two.curves.angles, atol=5e-7)
    codes, again_codes = ([line[:15] for line in file.read_text().splitlines()] for file in (path, again))
    assert codes == again_codes


def test_an_apps_file(sixty: Path) -> None:
    recording = read_livelink(sixty)
    assert (len(recording.curves), recording.dropped) == (120, 0)
    assert recording.rate == pytest.approx(60, rel=1e-3)
    np.testing.assert_allclose(recording.curves.time, np.arange(120) / 60 * (1 + 1e-3), atol=1e-3)
    np.testing.assert_allclose(recording.curves.weight("jawOpen"), np.arange(120) / 120, atol=1e-6)


@pytest.mark.parametrize("spelling", ["BlendShapeCount", "BlendshapeCount", "BLENDSHAPECOUNT"])
def test_columns_go_by_name_in_any_case_and_order(tmp_path: Path, spelling: str) -> None:
    order = np.random.default_rng(0).permutation(COUNT)
    names = [COLUMNS[place] for place in order]
    header = ",".join(["timecode", spelling, *names])
    values = {name: place / 100 for place, name in enumerate(COLUMNS)}
    rows = [",".join([f"00:00:00:0{n}", "61", *(f"{values[name]:.3f}" for name in names)]) for n in range(3)]
    curves = read_livelink(write(tmp_path / "file.csv", rows, header)).curves
    for name in CHANNELS:
        assert curves.weight(name)[1] == pytest.approx(values[name[0].upper() + name[1:]])


@pytest.mark.parametrize(("labels", "step"), [(24, 1), (25, 1), (30, 1), (60, 1), (60, 2), (60, 12), (30, 3)])
def test_the_timecode_shows_its_own_rate(tmp_path: Path, labels: int, step: int) -> None:
    counts = range(0, labels * 3, step)
    rows = [row(f"01:00:{n // labels:02d}:{n % labels:02d}") for n in counts]
    recording = read_livelink(write(tmp_path / "file.csv", rows))
    np.testing.assert_allclose(recording.curves.time, np.array(counts) / labels)
    assert recording.rate == pytest.approx(labels / step)


def test_a_rate_that_is_given_counts(tmp_path: Path) -> None:
    rows = [row(f"01:00:{n // 30:02d}:{n % 30:02d}") for n in range(90)]
    recording = read_livelink(write(tmp_path / "file.csv", rows), fps=30000 / 1001)
    np.testing.assert_allclose(recording.curves.time, np.arange(90) * 1001 / 30000)
    assert recording.rate == pytest.approx(30000 / 1001)


def test_dropped_rows_are_filled_and_marked(sixty: Path, tmp_path: Path) -> None:
    lines = sixty.read_text().splitlines()
    gone = {10, 11, 12, 70}
    path = tmp_path / "dropped.csv"
    path.write_text("\n".join(line for number, line in enumerate(lines, start=-1) if number not in gone))
    imported = import_take(path, ImportOptions())
    assert len(imported.take) == 120
    assert set(np.flatnonzero(~imported.take.valid)) == gone
    assert not imported.take.confidence[~imported.take.valid].any()
    assert any("4 frames are missing" in note for note in imported.notes)
    curves = arkit_curves(imported.take)
    np.testing.assert_allclose(curves.weight("jawOpen"), np.arange(120) / 120, atol=2e-6)
    np.testing.assert_allclose(np.diff(curves.time), 1 / 60, atol=1e-4)


def test_rows_without_a_face(sixty: Path, tmp_path: Path) -> None:
    lines = sixty.read_text().splitlines()
    lines[6] = lines[6].split(",")[0] + ",0"
    lines[7] = lines[7].split(",")[0] + ",0" + "," * COUNT
    path = tmp_path / "unseen.csv"
    path.write_text("\n".join(lines))
    take = import_take(path, ImportOptions()).take
    assert (len(take), set(np.flatnonzero(~take.valid))) == (120, {5, 6})


def test_the_identity_of_a_take(sixty: Path) -> None:
    person = arkit_take(2)
    imported = import_take(sixty, ImportOptions(identity=person))
    np.testing.assert_array_equal(imported.take.identity, person.identity)
    assert not import_take(sixty, ImportOptions()).take.identity.any()
    with pytest.raises(MienError) as caught:
        import_take(sixty, ImportOptions(identity=small_take()))
    assert caught.value.code is ErrorCode.WRONG_HEAD


def edit(number: int, change: Callable[[str], str]) -> Callable[[list[str]], list[str]]:
    return lambda lines: [*lines[:number], change(lines[number]), *lines[number + 1 :]]


BROKEN: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "a missing column": (edit(0, lambda line: line.replace(",TongueOut", "")), "lacks the column TongueOut"),
    "an unknown column": (edit(0, lambda line: line.replace("TongueOut", "TongueOut,TongueUp")), "tongueup"),
    "another count": (edit(5, lambda line: line.replace(",61,", ",52,", 1)), "counts 52 blend shapes in line 6"),
    "a row cut off": (edit(9, lambda line: line[:200]), "in line 10 where 63 are expected"),
    "a row of a timecode": (edit(9, lambda line: line[:12]), "line 10"),
    "a word": (edit(4, lambda line: line.replace("0.025000", "banana", 1)), "'banana'"),
    "not finite": (edit(4, lambda line: line.replace("0.025000", "nan", 1)), "'nan'"),
    "no timecode": (edit(4, lambda line: "x" + line), "no timecode in line 5"),
    "backwards": (lambda lines: [*lines[:50], *lines[20:]], "run backwards in line 51"),
    "no frames": (lambda lines: lines[:1], "has no frames"),
    "empty": (lambda lines: [], "is empty"),
    "a gap of hours": (edit(120, lambda line: "23" + line[2:]), "lacks"),
    "never a face": (
        lambda lines: [lines[0]] + [line.split(",")[0] + ",0" for line in lines[1:]],
        "no frame with a face",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_damaged_files_are_explained(name: str, sixty: Path, tmp_path: Path) -> None:
    change, said = BROKEN[name]
    path = tmp_path / "broken.csv"
    path.write_text("\n".join(change(sixty.read_text().splitlines())))
    with pytest.raises(MienError, match=said) as caught:
        import_take(path, ImportOptions())
    assert caught.value.code is ErrorCode.BAD_IMPORT
    assert "broken.csv" in caught.value.message


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_gives_one_kind_of_error(sixty: Path, data: st.DataObject) -> None:
    lines = sixty.read_text().splitlines()[: data.draw(st.integers(0, 40))]
    for _ in range(data.draw(st.integers(1, 4))):
        if lines:
            number = data.draw(st.integers(0, len(lines) - 1))
            place = data.draw(st.integers(0, len(lines[number])))
            lines[number] = lines[number][:place] + data.draw(st.text(max_size=4)) + lines[number][place + 1 :]
    path = sixty.with_name("damaged.csv")
    path.write_text("\n".join(lines), encoding="utf-8", errors="replace")
    try:
        import_take(path, ImportOptions(kind="livelink"))
    except MienError as error:
        assert error.code is ErrorCode.BAD_IMPORT


def test_missing_columns_are_named(tmp_path: Path) -> None:
    header = KNOWN_HEADER.replace("HeadYaw,HeadPitch,HeadRoll,", "")
    with pytest.raises(MienError, match="the columns HeadYaw, HeadPitch, HeadRoll"):
        read_livelink(write(tmp_path / "old.csv", [row("00:00:00:00")], header))


def test_no_text_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"Timecode,\xff\xfe\x9c")
    with pytest.raises(MienError, match="not a text"):
        import_take(path, ImportOptions(kind="livelink"))


def test_a_flame_head_is_refused(sixty: Path, flame_file: Path) -> None:
    with pytest.raises(MienError) as caught:
        import_take(sixty, ImportOptions(head=str(flame_file)))
    assert caught.value.code is ErrorCode.USAGE
