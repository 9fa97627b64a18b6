# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of codes: groups, files and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blender_addon.contract.errors import ErrorCode, MienError
from tests.fabricated_codes import FLAME_WIDTHS, fabricated, label_rows, write_labels
from training.evaluation.code_files import LAYOUTS, layout_of, read_code_file
from training.evaluation.codes import CodeTable, joined
from training.evaluation.labels import LabelFile, Labels

NAMES = np.array(["a.jpg", "b.jpg", "c.jpg"])
NUMBERS = np.random.default_rng(0)


def same(one: CodeTable, other: CodeTable) -> bool:
    pairs = [(one.values, other.values), (one.names, other.names)]
    pairs += [(getattr(one.labels, name), getattr(other.labels, name)) for name in Labels.__dataclass_fields__]
    return dict(one.widths) == dict(other.widths) and one.method == other.method and all(
        a.dtype.kind == b.dtype.kind and np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs
    )  # fmt: skip


def rows(width: int) -> np.ndarray:
    return NUMBERS.normal(size=(len(NAMES), width)).astype(np.float32)


def written(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **({"names": NAMES, "label": np.array([0, 1, -1]), "valence": np.float32([0, 0.5, np.nan]),
                       "arousal": np.float32([0, 0.5, np.nan])} | arrays))  # fmt: skip
    return path


def test_a_table_comes_back_from_its_file(tmp_path: Path) -> None:
    table = fabricated(6, 4, widths=FLAME_WIDTHS | {"detail": 128})
    table.save(tmp_path / "codes.npz")
    assert same(read_code_file(tmp_path / "codes.npz"), table)


def test_a_method_without_a_name(tmp_path: Path) -> None:
    table = fabricated(2, 2, method="", widths={"codes": 4})
    table.save(tmp_path / "codes.npz")
    assert same(read_code_file(tmp_path / "codes.npz"), table)


def test_groups_go_in_in_the_order_of_the_published_network() -> None:
    table = fabricated(3, 2, widths={"identity": 4, "expression": 3, "head_rotation": 3, "jaw": 3, "detail": 5})
    assert table.resolved(["detail", "coarse"]) == ("identity", "expression", "jaw", "detail")
    assert table.inputs(table.resolved(["coarse"])).shape == (6, 10)
    everything = table.inputs(("detail", "jaw", "head_rotation", "expression", "identity"))
    np.testing.assert_array_equal(everything, table.values)
    np.testing.assert_array_equal(table.inputs(("jaw",)), table.values[:, 10:13])


@pytest.mark.parametrize(
    ("asked", "reason"),
    [(["shape"], "no group of codes 'shape'"), (["eyelids"], "no codes of the group 'eyelids'"), ([], "No group")],
)
def test_groups_that_are_not_there(asked: list[str], reason: str) -> None:
    with pytest.raises(MienError, match=reason):
        fabricated(2, 2).resolved(asked)


def test_codes_that_are_not_numbers_are_named() -> None:
    table = fabricated(2, 2)
    values = table.values.copy()
    values[2, 7] = np.nan
    with pytest.raises(MienError, match="not numbers, 1 in all; the first are those of 0/face00002.jpg") as caught:
        CodeTable(table.method, table.names, table.widths, values, table.labels, "codes.npz")
    assert caught.value.code is ErrorCode.BAD_IMPORT


def test_tables_are_joined_only_if_they_are_alike() -> None:
    one, two = fabricated(3, 2), fabricated(4, 2, seed=1)
    both = joined([one, two])
    assert len(both) == 14
    np.testing.assert_array_equal(both.rows(np.arange(6, 14)).values, two.values)
    with pytest.raises(MienError, match="another method or of other groups"):
        joined([one, fabricated(2, 2, method="deca")])


@pytest.mark.parametrize("method", LAYOUTS)
def test_files_of_each_method(tmp_path: Path, method: str) -> None:
    """Under its own names and ours, whole or with what is required alone."""
    layout = LAYOUTS[method]
    own = {"identity": "shape", "expression": "exp", "texture": "tex", "head_rotation": "angle", "light": "gamma",
           "translation": "trans"}  # fmt: skip
    arrays = {group: rows(width) for group, width in layout.widths.items()}
    path = written(tmp_path / "codes.npz", method=np.array(layout.title), **arrays)
    table = read_code_file(path)
    assert dict(table.widths) == dict(layout.widths) and table.names.tolist() == ["a.jpg", "b.jpg"]
    assert str(table.left_out[0]) == "1 without a label (the first is c.jpg)"
    for group, values in arrays.items():
        np.testing.assert_array_equal(table.inputs((group,)), values[:2])
    needed = {own.get(group, group): arrays[group] for group in layout.required}
    small = read_code_file(written(tmp_path / "small.npz", **needed), layout.title)
    assert set(small.widths) == set(layout.required)
    last = layout.required[-1]
    with pytest.raises(MienError, match=f"has no array '{last}', which {layout.title}'s codes have"):
        others = {group: arrays[group] for group in layout.widths if group != last}
        read_code_file(written(tmp_path / "less.npz", **others), layout.title)
    wrong = arrays | {last: rows(layout.widths[last] + 1)}
    with pytest.raises(MienError, match=f"'{last}' with {layout.widths[last] + 1} numbers a face where "
                                        f"{layout.widths[last]} are expected"):  # fmt: skip
        read_code_file(written(tmp_path / "wrong.npz", **wrong), layout.title)


def test_any_other_method_gives_its_codes_alone(tmp_path: Path) -> None:
    table = read_code_file(written(tmp_path / "codes.npz", codes=rows(17)), "Something New")
    assert dict(table.widths) == {"codes": 17} and table.resolved(["coarse"]) == ("codes",)


def test_methods_by_any_spelling() -> None:
    assert layout_of("3DDFA_V2") is layout_of("3ddfa-v2") is LAYOUTS["3ddfav2"]
    assert layout_of("emoca") is None


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"codes": np.zeros((2, 5))}, r"'codes' of type float64 and shape \(2, 5\) where numbers of shape \(3, D\)"),
        ({"codes": np.array(["x", "y", "z"])}, "'codes' of type <U1"),
        ({"expresion": np.zeros((3, 5))}, "an array 'expresion' that no such file has"),
        ({"exp": np.zeros((3, 5)), "expression": np.zeros((3, 5))}, "or has it twice"),
        ({}, "no codes"),
        ({"codes": np.full((3, 2), np.nan)}, "not numbers"),
        ({"codes": np.zeros((3, 2)), "names": np.arange(3)}, "'names' of type int64"),
        ({"codes": np.zeros((3, 2)), "label": np.array([0, 1, 8])}, "a label that is no emotion, for c.jpg"),
        ({"codes": np.zeros((3, 2)), "valence": np.float32([3, 0, 0]), "arousal": np.zeros(3)}, "outside of -1 to 1"),
        ({"codes": np.zeros((3, 2)), "valence": np.zeros(3)}, "without the other"),
        ({"codes": np.zeros((3, 2)), "split": np.array(["train", "exam", ""])}, "the split 'exam'"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], reason: str) -> None:
    with pytest.raises(MienError, match=reason) as caught:
        read_code_file(written(tmp_path / "codes.npz", **arrays))
    assert caught.value.code is ErrorCode.BAD_IMPORT


def test_a_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "codes.npz"
    path.write_bytes(b"no archive")
    with pytest.raises(MienError) as caught:
        read_code_file(path)
    assert caught.value.code is ErrorCode.BAD_IMPORT
    with pytest.raises(MienError) as caught:
        read_code_file(tmp_path / "none.npz")
    assert caught.value.code is ErrorCode.MISSING_FILE


def test_labels_of_a_csv_count_alone(tmp_path: Path) -> None:
    table = fabricated(3, 3)
    table.save(tmp_path / "codes.npz")
    given = label_rows(table)[2:]
    given[0]["label"] = "contempt"
    csv = LabelFile(write_labels(tmp_path / "labels.csv", given))
    read = read_code_file(tmp_path / "codes.npz", labels=csv)
    assert len(read) == 7 and read.labels.label[0] == 7
    np.testing.assert_array_equal(read.values, table.values[2:])
    other = LabelFile(write_labels(tmp_path / "other.csv", [given[0] | {"file": "x.jpg"}]))
    with pytest.raises(MienError, match="no label for any of the names in"):
        read_code_file(tmp_path / "codes.npz", labels=other)
