# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of `torch.save`, read without torch and without running them."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.weights.restricted import load_restricted
from blender_addon.contract.errors import ErrorCode, MienError
from tests.backend.weights.hostile import HOSTILE
from tests.official_files import named_class

LEGACY = {"zip": False, "legacy": True}
DTYPES = ("float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")


def save(content: object, path: Path, container: str) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not LEGACY[container])
    return path


@pytest.mark.parametrize("container", LEGACY)
@pytest.mark.parametrize("dtype", DTYPES)
def test_tensors_come_back_as_they_were(tmp_path: Path, container: str, dtype: str) -> None:
    tensor = (torch.arange(24).reshape(2, 3, 4) % 2).to(getattr(torch, dtype))
    views = {"whole": tensor, "turned": tensor.permute(2, 0, 1), "part": tensor[1, ::2, 1:3], "none": tensor[:0]}
    read = load_restricted(save({"inner": views, "name": "a"}, tmp_path / "file.pt", container))
    assert read["name"] == "a"
    for name, value in views.items():
        np.testing.assert_array_equal(read["inner"][name], value.numpy())
        assert read["inner"][name].dtype == value.numpy().dtype


@pytest.mark.parametrize("container", LEGACY)
def test_what_else_checkpoints_hold(tmp_path: Path, container: str) -> None:
    content = {
        "parameter": torch.nn.Parameter(torch.ones(3)),
        "half": torch.tensor([1.5, -2.5]).bfloat16(),
        "weights": torch.nn.Linear(2, 3).state_dict(),
        "array": np.arange(4.0),
        "number": np.float32(2.5),
        "size": torch.Size([1, 2]),
        "step": 7,
    }
    read = load_restricted(save(content, tmp_path / "file.tar", container))
    np.testing.assert_array_equal(read["parameter"], np.ones(3))
    np.testing.assert_array_equal(read["half"], np.float32([1.5, -2.5]))
    np.testing.assert_array_equal(read["weights"]["weight"], content["weights"]["weight"].numpy())
    np.testing.assert_array_equal(read["array"], np.arange(4.0))
    assert (read["number"], read["size"], read["step"]) == (2.5, (1, 2), 7)


@pytest.mark.parametrize("container", LEGACY)
def test_classes_of_lightning_are_names(tmp_path: Path, container: str) -> None:
    """Before 1.5 it kept what callbacks know under their classes."""
    path = tmp_path / "file.ckpt"
    with named_class("pytorch_lightning.callbacks.early_stopping.EarlyStopping") as callback:
        save({"callbacks": {callback: {"patience": 3, "kind": callback}}, "a": torch.ones(2)}, path, container)
        read = load_restricted(path)
        (name,) = read["callbacks"]
        assert name == f"{callback.__module__}.EarlyStopping"
        assert read["callbacks"][name]["patience"] == 3 and read["callbacks"][name]["kind"].name == name
        np.testing.assert_array_equal(read["a"], np.ones(2))
        save({"made": callback()}, path, container)
    with pytest.raises(MienError) as caught:
        load_restricted(path)
    assert caught.value.details["cause"] in ("code", "damaged")


def test_the_other_order_of_bytes(tmp_path: Path) -> None:
    path = save({"a": torch.arange(3, dtype=torch.int32)}, tmp_path / "a.pt", "zip")
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            swapped = np.frombuffer(data, "<i4").astype(">i4").tobytes() if "/data/" in name else data
            archive.writestr(name, b"big" if name.endswith("byteorder") else swapped)
    np.testing.assert_array_equal(load_restricted(path)["a"], [0, 1, 2])


@pytest.mark.parametrize("container", LEGACY)
@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_is_ever_run(tmp_path: Path, container: str, name: str) -> None:
    path = tmp_path / "evil.frame"
    save({"flame": torch.ones(2), "more": HOSTILE[name](str(tmp_path / "trace"))}, path, container)
    with pytest.raises(MienError) as caught:
        load_restricted(path, code=ErrorCode.BAD_IMPORT)
    assert caught.value.code is ErrorCode.BAD_IMPORT
    assert caught.value.details["cause"] == "code"
    assert os.listdir(tmp_path) == ["evil.frame"]


def forged(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """A zip of torch's with its members changed."""
    save({"a": torch.arange(4.0)}, path, "zip")
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def replace_in_pickle(old: bytes, new: bytes) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        name = next(name for name in members if name.endswith("data.pkl"))
        assert old in members[name]
        members[name] = members[name].replace(old, new)

    return change


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda members: members.pop(next(name for name in members if "/data/" in name)), "damaged"),
        (lambda members: members.update({n: d[:6] for n, d in members.items() if "/data/" in n}), "damaged"),
        (replace_in_pickle(b"FloatStorage", b"FloatTensor\n"[:12]), "code"),
        (replace_in_pickle(b"K\x04", b"K\x09"), "damaged"),
        (replace_in_pickle(b"X\x07\x00\x00\x00storage", b"X\x07\x00\x00\x00module_"), "code"),
    ],
    ids=["no numbers", "cut off", "a class of torch", "more than there is", "another kind of id"],
)
def test_forged_and_damaged_zips(tmp_path: Path, change, cause: str) -> None:
    with pytest.raises(MienError) as caught:
        load_restricted(forged(tmp_path / "file.pt", change))
    assert caught.value.details["cause"] == cause


def test_one_storage_as_two_types_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "two.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("two/data/0", bytes(16))
        archive.writestr("two/data.pkl", two_types())
    with pytest.raises(MienError) as caught:
        load_restricted(path)
    assert caught.value.details["cause"] == "code"


def two_types() -> bytes:
    def tensor(kind: bytes) -> bytes:
        pid = b"(" + text(b"storage") + b"ctorch\n" + kind + b"\n" + text(b"0") + text(b"cpu") + b"K\x04tQ"
        return b"ctorch._utils\n_rebuild_tensor_v2\n(" + pid + b"K\x00K\x04\x85K\x01\x85\x89NtR"

    def text(value: bytes) -> bytes:
        return b"X" + len(value).to_bytes(4, "little") + value

    return b"\x80\x02(" + tensor(b"FloatStorage") + tensor(b"IntStorage") + b"l."


def test_a_pickle_cannot_alter_the_kinds_of_storages(tmp_path: Path) -> None:
    for state in (b"}U\x05dtypeK\x01s", b"N}U\x05dtypeK\x01s\x86"):
        path = tmp_path / "file.pkl"
        path.write_bytes(b"\x80\x02ctorch\nFloatStorage\n" + state + b"b.")
        with pytest.raises(MienError):
            load_restricted(path)
    test_tensors_come_back_as_they_were(tmp_path, "zip", "float32")


def test_an_old_file_whose_tensor_is_larger_than_it(tmp_path: Path) -> None:
    path = save({"a": torch.arange(4.0)}, tmp_path / "old.tar", "legacy")
    content = path.read_bytes()
    assert content.count(b"K\x04N") == 1
    path.write_bytes(content.replace(b"K\x04N", b"J\xff\xff\xff\x7fN"))
    with pytest.raises(MienError):
        load_restricted(path)


def test_ordinary_pickles_with_ids_stay_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.pkl"
    path.write_bytes(b"\x80\x02X\x01\x00\x00\x00aQ.")
    with pytest.raises(MienError) as caught:
        load_restricted(path)
    assert caught.value.details["cause"] == "code"
