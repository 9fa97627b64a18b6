# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import io
import os
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blender_addon.contract import files
from blender_addon.contract.errors import ErrorCode, MienError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
plain_arrays = hnp.arrays(
    st.sampled_from(["f2", "f4", "f8", "i4", "u1", "i8", "?", ">f4"]),
    hnp.array_shapes(min_dims=0, min_side=0, max_side=4),
)


@settings(max_examples=60, deadline=None)
@given(
    meta=st.dictionaries(st.text(), json_values, max_size=4),
    arrays=st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}", fullmatch=True).filter(lambda name: name != "meta"), plain_arrays, max_size=3
    ),
)
def test_round_trip(tmp_path_factory, meta, arrays):
    path = tmp_path_factory.mktemp("arrays") / "a.npz"
    files.save_arrays(path, meta, arrays, durable=False)
    loaded_meta, loaded = files.load_arrays(path)
    assert loaded_meta == meta
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].dtype == array.dtype
        assert loaded[name].flags.writeable


def test_same_content_gives_same_bytes(tmp_path):
    for name in ("a", "b"):
        files.save_arrays(tmp_path / name, {"z": 1, "a": 2}, {"x": np.arange(5)})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_numpy_reads_it_without_pickles(tmp_path):
    files.save_arrays(tmp_path / "a.npz", {"k": "v"}, {"x": np.asfortranarray(np.arange(6.0).reshape(2, 3))})
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert str(archive["meta"]) == '{"k": "v"}'
        np.testing.assert_array_equal(archive["x"], np.arange(6.0).reshape(2, 3))


def test_fortran_order_is_read(tmp_path):
    np.savez(tmp_path / "a.npz", meta=np.array("{}"), x=np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    np.testing.assert_array_equal(files.load_arrays(tmp_path / "a.npz")[1]["x"], np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize("array", [np.array([None]), np.array(["text"]), np.zeros(1, [("a", "f4")]), np.zeros(1, "c8")])
def test_only_plain_numbers_are_written(tmp_path, array):
    with pytest.raises(TypeError):
        files.save_arrays(tmp_path / "a.npz", {}, {"x": array})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "a/b", "../a", "a\0b", "meta", "a b"])
def test_names_are_plain(tmp_path, name):
    with pytest.raises(TypeError):
        files.save_arrays(tmp_path / "a.npz", {}, {name: np.zeros(1)})


def _bomb(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    np.savez(tmp_path / "a.npz", meta=np.array("{}"), x=np.array([Bomb()], dtype=object))


def _truncated(tmp_path):
    files.save_arrays(tmp_path / "whole", {}, {"x": np.random.default_rng(0).normal(size=1000)})
    content = (tmp_path / "whole").read_bytes()
    (tmp_path / "a.npz").write_bytes(content[: len(content) // 2])


def _flipped(tmp_path):
    files.save_arrays(tmp_path / "whole", {}, {"x": np.random.default_rng(0).normal(size=1000)})
    content = bytearray((tmp_path / "whole").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "a.npz").write_bytes(content)


def _lying_header(tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40,)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", buffer.getvalue() + b"\0" * 64)


def _no_array(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': [[[[[  ")


def _npy(tmp_path):
    with open(tmp_path / "a.npz", "wb") as file:
        np.save(file, np.arange(3))


BROKEN = {
    "pickle": (_bomb, "pickle"),
    "truncated": (_truncated, "truncated"),
    "flipped": (_flipped, "truncated"),
    "lying header": (_lying_header, "truncated"),
    "no array": (_no_array, "truncated"),
    "empty": (lambda path: (path / "a.npz").touch(), "truncated"),
    "not a zip": (_npy, "not_npz"),
    "text array": (lambda path: np.savez(path / "a.npz", meta=np.array("{}"), x=np.array(["a"])), "dtype"),
    "records": (lambda path: np.savez(path / "a.npz", meta=np.array("{}"), x=np.zeros(2, [("a", "f4")])), "dtype"),
    "no meta": (lambda path: np.savez(path / "a.npz", x=np.zeros(2)), "meta"),
    "meta no json": (lambda path: np.savez(path / "a.npz", meta=np.array("{")), "meta"),
    "meta no table": (lambda path: np.savez(path / "a.npz", meta=np.array("[]")), "meta"),
    "meta a number": (lambda path: np.savez(path / "a.npz", meta=np.array(3)), "meta"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_are_refused_each_with_its_cause(tmp_path, kind):
    write, cause = BROKEN[kind]
    write(tmp_path)
    with pytest.raises(MienError) as caught:
        files.load_arrays(tmp_path / "a.npz", code=ErrorCode.BAD_HEAD)
    assert caught.value.code is ErrorCode.BAD_HEAD
    assert caught.value.details["cause"] == cause
    assert str(tmp_path / "a.npz") in caught.value.message
    assert not (tmp_path / "exploded").exists()


def test_zip_bombs_are_refused_before_unpacking(tmp_path, monkeypatch):
    files.save_arrays(tmp_path / "a.npz", {}, {"x": np.zeros(100_000)})
    monkeypatch.setattr(files, "MAX_ARRAY_BYTES", 1000)
    with pytest.raises(MienError) as caught:
        files.load_arrays(tmp_path / "a.npz")
    assert caught.value.code is ErrorCode.TOO_LARGE


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_anywhere_never_crashes_the_reader(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damage") / "a.npz"
    files.save_arrays(path, {"a": 1}, {"x": np.arange(4.0)}, durable=False)
    content = bytearray(path.read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[position] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        files.load_arrays(path)
    except MienError as error:
        assert error.code in (ErrorCode.BAD_TAKE, ErrorCode.TOO_LARGE)


def test_a_place_before_the_beginning_is_damage(tmp_path):
    path = tmp_path / "a.npz"
    files.save_arrays(path, {}, {"x": np.arange(4.0)})
    content = bytearray(path.read_bytes())
    content[-6] += 2  # where the directory begins: all places in it are counted from that
    path.write_bytes(content)
    with pytest.raises(MienError) as caught:
        files.load_arrays(path)
    assert (caught.value.code, caught.value.details["cause"]) == (ErrorCode.BAD_TAKE, "truncated")


def test_missing_file(tmp_path):
    with pytest.raises(MienError) as caught:
        files.load_arrays(tmp_path / "gone.npz")
    assert caught.value.code is ErrorCode.MISSING_FILE
    assert "gone.npz" in caught.value.message


def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def write(file):
        file.write(b"half")
        raise KeyError("made up")

    with pytest.raises(KeyError):
        files.atomic_write(path, write)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, ErrorCode.NO_SPACE),
        (errno.EACCES, ErrorCode.NOT_PERMITTED),
        (errno.EROFS, ErrorCode.NOT_PERMITTED),
        (errno.ENOENT, ErrorCode.MISSING_FILE),
        (errno.EIO, ErrorCode.NOT_PERMITTED),
    ],
)
def test_system_errors_get_codes_and_name_the_file(tmp_path, number, code):
    path = tmp_path / "a"

    def write(file):
        raise OSError(number, os.strerror(number))

    with pytest.raises(MienError) as caught:
        files.atomic_write(path, write)
    assert caught.value.code is code
    assert str(path) in caught.value.message
    assert os.strerror(number) in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_missing_folder(tmp_path):
    with pytest.raises(MienError) as caught:
        files.atomic_write(tmp_path / "no" / "a", lambda file: file.write(b""))
    assert caught.value.code is ErrorCode.MISSING_FILE


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full to run out of space")
def test_a_full_disk_is_told(tmp_path):
    with pytest.raises(MienError) as caught:
        files.atomic_write(tmp_path / "a", lambda file: open("/dev/full", "wb", buffering=0).write(b"x"))
    assert caught.value.code is ErrorCode.NO_SPACE


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions and links")
def test_permissions_and_links(tmp_path):
    files.atomic_write(tmp_path / "secret", lambda file: file.write(b"x"), private=True)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    (tmp_path / "link").symlink_to(tmp_path / "real")
    files.atomic_write(tmp_path / "link", lambda file: file.write(b"y"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"y"


def test_a_member_whose_name_is_no_text_is_damage(tmp_path):
    path = tmp_path / "a.npz"
    files.save_arrays(path, {"a": 1}, {"xyz": np.arange(4.0)}, durable=False)
    content = path.read_bytes()
    central = content.rindex(b"PK\x01\x02")
    flags = central + 8  # bit 11 says that the name is UTF-8
    content = content[:flags] + b"\x00\x08" + content[flags + 2 :]
    path.write_bytes(content[: central + 46] + b"\xff" + content[central + 47 :])
    with pytest.raises(MienError, match="damaged or was cut off"):
        files.load_arrays(path)
