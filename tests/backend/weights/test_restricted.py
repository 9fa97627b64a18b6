# SPDX-License-Identifier: GPL-3.0-or-later
import gzip
import io
import os
import pickle
import tracemalloc
import zipfile
from collections import Counter, OrderedDict
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.weights import restricted
from backend.weights.plain import Unreadable
from backend.weights.restricted import load_pickles, load_restricted, open_restricted
from blender_addon.contract.errors import ErrorCode, MienError
from tests.backend.weights.hostile import HOSTILE, Runs


@pytest.fixture
def written(tmp_path: Path):
    def write(content: object, protocol: int = 2) -> Path:
        path = tmp_path / "file.pkl"
        path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol=protocol))
        return path

    return write


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<i4", "|u1", "|b1", "<U3", "|S2"])
def test_arrays_come_back_as_they_were(written, protocol: int, dtype: str) -> None:
    array = np.arange(12).reshape(3, 4).astype(dtype)
    content = {"c": array, "f": np.asfortranarray(array), "zero": np.array(array[0, 1]), "none": array[:0]}
    read = load_restricted(written(content, protocol))
    assert set(read) == set(content)
    for name, value in content.items():
        np.testing.assert_array_equal(read[name], value)
        assert read[name].dtype == value.dtype
        assert read[name].flags.writeable


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3) | st.tuples(inner, inner)
    ),
    max_leaves=8,
)


@given(plain, st.integers(0, pickle.HIGHEST_PROTOCOL))
@settings(max_examples=60)
def test_plain_values_come_back_as_they_were(tmp_path_factory, value: object, protocol: int) -> None:
    path = tmp_path_factory.mktemp("plain") / "file.pkl"
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    assert load_restricted(path) == value


def test_numpy_scalars_and_ordered_dicts(written) -> None:
    read = load_restricted(written(OrderedDict(a=np.float64(2.5), b=np.int32(3))))
    assert read == {"a": 2.5, "b": 3}


def test_python_2_arrays_and_strings(written) -> None:
    values = np.array([1.5, -2.0])
    python_2 = (
        b"\x80\x02}U\x04nam\xe9cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85"
        b"cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x10"
        + values.tobytes()
        + b"tbs."
    )
    read = load_restricted(written(python_2))
    np.testing.assert_array_equal(read["nam\xe9"], values)


@pytest.mark.parametrize("kind", ["csc_matrix", "csr_matrix", "coo_matrix", "csr_array"])
def test_sparse_matrices_become_dense(written, kind: str) -> None:
    matrix = scipy.sparse.random(5, 30, 0.2, random_state=1)
    dense = matrix.toarray()
    np.testing.assert_array_equal(load_restricted(written({"J": getattr(scipy.sparse, kind)(matrix)}))["J"], dense)


def chumpy_like(name: bytes, state: dict[str, object]) -> bytes:
    """How Python 2 stores an object of a chumpy class: protocol 2, new-style object, state as attributes."""
    inner = pickle.dumps(state, protocol=2)[2:-1]
    return b"\x80\x02}U\x01xcchumpy." + name + b"\n)\x81" + inner + b"bs."


def test_chumpy_arrays_become_arrays(written) -> None:
    values = np.arange(6.0).reshape(2, 3)
    read = load_restricted(written(chumpy_like(b"ch\nCh", {"x": values, "_dirty_vars": set()})))
    np.testing.assert_array_equal(read["x"], values)


def test_chumpy_expressions_are_left_unread(written) -> None:
    read = load_restricted(written(chumpy_like(b"ch_ops\nadd", {"a": np.ones(2), "b": np.ones(2)})))
    assert isinstance(read["x"], Unreadable)
    assert read["x"].name == "chumpy.ch_ops.add"


def test_object_arrays_with_tensors(tmp_path: Path) -> None:
    tensor = torch.arange(12.0).reshape(3, 4)
    path = tmp_path / "embedding.npy"
    np.save(path, {"t": tensor.T, "n": np.arange(3)}, allow_pickle=True)
    read = load_restricted(path)
    np.testing.assert_array_equal(read["t"], tensor.T.numpy())
    np.testing.assert_array_equal(read["n"], np.arange(3))


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [(0, (5,), (1,)), (3, (2,), (1,)), (0, (2, 2), (3, 1)), (-1, (1,), (1,)), (0, (9999, 9), (0, 0))],
)
def test_a_tensor_that_claims_more_than_its_data_is_refused(written, offset: int, size: tuple, stride: tuple) -> None:
    storage = torch.arange(4.0).storage()
    forged = Runs(torch._utils._rebuild_tensor_v2, storage, offset, size, stride, False, OrderedDict())
    with pytest.raises(MienError) as caught:
        load_restricted(written({"t": forged}))
    assert caught.value.details["cause"] == "code"


def test_npz_with_plain_and_object_members(tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    np.savez(path, a=np.arange(4).reshape(2, 2, order="F"), d=np.array({"k": 1}, dtype=object))
    read = load_restricted(path)
    np.testing.assert_array_equal(read["a"], np.arange(4).reshape(2, 2, order="F"))
    assert read["d"] == {"k": 1}


def test_shared_and_circular_references_survive(written) -> None:
    content: dict[str, object] = {"a": np.ones(2)}
    content["self"], content["again"] = content, content["a"]
    read = load_restricted(written(content))
    assert read["self"] is read
    assert read["a"] is read["again"]


def test_repeated_doubling_is_not_unfolded(written) -> None:
    nested: object = ()
    for _ in range(60):
        nested = (nested, nested)
    assert isinstance(load_restricted(written({"n": nested})), dict)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_nothing_is_ever_run(tmp_path: Path, name: str, protocol: int) -> None:
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(HOSTILE[name](str(tmp_path / "trace")), protocol=protocol))
    with pytest.raises(MienError) as caught:
        load_restricted(path)
    assert caught.value.code is ErrorCode.BAD_HEAD
    assert caught.value.details["cause"] == "code"
    assert os.listdir(tmp_path) == ["evil.pkl"]


def test_a_tensor_storage_with_code_inside_is_refused(tmp_path: Path) -> None:
    """torch stores tensors as bytes that are a pickle again."""
    inner = pickle.dumps(Runs(os.system, f"touch {tmp_path / 'trace'}"))
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(Runs(torch.storage._load_from_bytes, inner)))
    with pytest.raises(MienError):
        load_restricted(path)
    assert os.listdir(tmp_path) == ["evil.pkl"]


def test_torchs_own_functions_and_classes_stay_out_of_reach(written) -> None:
    """torch's restricted reader hands out a few of them; a pickle around it could call or alter them."""
    parts = (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}})
    head, tail = b"".join(pickle.dumps(part, 2) for part in parts), pickle.dumps([], 2)
    inner = head + b"\x80\x02ccollections\nCounter\n." + tail
    assert torch.load(io.BytesIO(inner), weights_only=True) is Counter
    altering = b"N}X\x07\x00\x00\x00plantedK\x01s\x86b"
    call = b"ctorch.storage\n_load_from_bytes\nB" + len(inner).to_bytes(4, "little") + inner + b"\x85R"
    with pytest.raises(MienError):
        load_restricted(written(b"\x80\x03" + call + altering + b"."))
    assert not hasattr(Counter, "planted")


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02Nr\xff\xff\xff\x01.",
        b"\x80\x04\x8c\x12numpy.core.numeric\x8c\x0b_frombuffer\x93(J\x00\x00\x00\x10\x8c\x05numpy\x8c\x05dtype\x93"
        b"\x8c\x02u1\x89\x88\x87RJ\x00\x00\x00\x10\x85\x8c\x01CtR.",
    ],
    ids=["a place in the memo", "a number for a buffer"],
)
def test_a_few_bytes_do_not_fill_the_memory(written, content: bytes) -> None:
    path = written(content)
    tracemalloc.start()
    try:
        load_restricted(path)
    except MienError:
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_one_sparse_matrix_in_many_places_is_made_once(written) -> None:
    matrix = scipy.sparse.csc_matrix(np.eye(3))
    first, second = load_restricted(written([matrix, matrix]))
    assert first is second


HANDMADE = {
    "function of ours through its module": b"cbackend.weights.restricted\nos\n.",
    "dotted name": b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.",
    "object dtype over raw bytes": (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x01\x85"
        b"cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08"
        b"AAAAAAAAtb."
    ),
    "structured dtype": (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x01\x85"
        b"cnumpy\ndtype\nU\x02V8K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08"
        b"AAAAAAAAtb."
    ),
    "persistent id": b"Pabc\n.",
    "scipy function": b"cscipy.sparse\nload_npz\n.",
    "chumpy by a longer way": b"cchumpy.ch.os\nsystem()\n.",
    "class as a value": b"cnumpy\nndarray\n.",
    "unusual keys": b"\x80\x02}cnumpy\ndtype\nK\x01s.",
}


@pytest.mark.parametrize("name", HANDMADE)
def test_forged_pickles_are_refused(written, name: str) -> None:
    with pytest.raises(MienError) as caught:
        load_restricted(written(HANDMADE[name]))
    assert caught.value.details["cause"] == "code"


@pytest.mark.parametrize(
    "target", [b"cnumpy\nndarray\n", b"c_codecs\nencode\n", b"c__builtin__\nobject\n", b"cchumpy.ch\nCh\n"]
)
def test_a_pickle_cannot_alter_the_reader(written, target: bytes) -> None:
    """BUILD sets attributes on whatever lies on the stack; on our own constructors that must fail."""
    for state in (b"}U\x08__call__K\x01s", b"N}U\x0c__defaults__Ns\x86"):
        with pytest.raises(MienError):
            load_restricted(written(b"\x80\x02" + target + state + b"b."))
    np.testing.assert_array_equal(load_restricted(written(np.arange(3), 2)), np.arange(3))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_files_give_one_kind_of_error(tmp_path_factory, data: st.DataObject) -> None:
    content = {"a": np.arange(6.0).reshape(2, 3), "s": scipy.sparse.csc_matrix(np.eye(3)), "t": "text", "l": [1, 2.5]}
    raw = bytearray(pickle.dumps(content, protocol=data.draw(st.sampled_from([0, 2, 4]))))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    path = tmp_path_factory.mktemp("damaged") / "file.pkl"
    path.write_bytes(raw)
    try:
        load_restricted(path)
    except MienError as error:
        assert error.code in (ErrorCode.BAD_HEAD, ErrorCode.TOO_LARGE)
        assert "file.pkl" in error.message


def test_a_damaged_archive_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    np.savez(path, a=np.arange(4))
    content = bytearray(path.read_bytes())
    content[-6] += 2  # where the directory begins: all places in it are counted from that
    path.write_bytes(content)
    with pytest.raises(MienError) as caught:
        load_restricted(path)
    assert caught.value.details["cause"] == "damaged"


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MienError) as caught:
        load_restricted(tmp_path / "nothing.pkl")
    assert caught.value.code is ErrorCode.MISSING_FILE


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("packed", [False, True])
def test_pickles_behind_each_other(tmp_path: Path, protocol: int, packed: bool) -> None:
    contents = ["kpt68", np.arange(136.0).reshape(68, 2), [1, "two"]]
    data = b"".join(pickle.dumps(content, protocol) for content in contents)
    path = tmp_path / "some.pkl"
    path.write_bytes(gzip.compress(data) if packed else data)
    text, array, values = load_pickles(path)
    assert text == "kpt68" and values == [1, "two"]
    np.testing.assert_array_equal(array, contents[1])
    with pytest.raises(MienError) as raised:
        path.write_bytes(path.read_bytes()[:-30])
        load_pickles(path)
    assert raised.value.details["cause"] == "damaged"


@pytest.mark.parametrize("packed", [False, True])
def test_no_pickle_behind_another_is_run(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "some.pkl"
    data = pickle.dumps("kpt68") + pickle.dumps(Runs(os.mkdir, str(tmp_path / "ran")))
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(MienError) as raised:
        load_pickles(path)
    assert raised.value.details["cause"] == "code"
    assert not (tmp_path / "ran").exists()


def test_what_unpacks_to_far_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.pkl"
    path.write_bytes(gzip.compress(bytes(1 << 27)))
    with pytest.raises(MienError) as raised:
        load_pickles(path)
    assert raised.value.code is ErrorCode.TOO_LARGE


def pickled_npy(pickled: bytes) -> bytes:
    """An `.npy` of one object."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": ()})
    return stream.getvalue() + pickled


def packed(path: Path, members: dict[str, bytes]) -> Path:
    """A zip that is deflated."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


LISTS = b"]" * (4 << 20) + b"."
"""Out of each byte an object: 300 MB."""


@pytest.mark.parametrize("read", [load_restricted, open_restricted])
@pytest.mark.parametrize(
    "members",
    [
        {"model/data.pkl": LISTS},
        {"a.npy": pickled_npy(LISTS)},
        {f"{number}.npy": pickled_npy(LISTS[-900_000:]) for number in range(5)},
    ],
    ids=["torch", "array of objects", "many arrays of objects"],
)
def test_small_files_do_not_unpack_to_many_objects(tmp_path: Path, read, members: dict[str, bytes]) -> None:
    path = packed(tmp_path / ("file.pt" if "model/data.pkl" in members else "file.npz"), members)
    tracemalloc.start()
    with pytest.raises(MienError) as caught, ExitStack() as stack:
        content = read(path)
        if read is open_restricted:
            stack.enter_context(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.details["cause"] == "code" and "description" in caught.value.message
    assert peak < 10_000_000


def test_a_description_larger_than_any_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = {"noise": np.random.default_rng(0).integers(0, 256, 1 << 21, np.uint8)}  # that does not pack
    torch.save(content, tmp_path / "file.pt")
    np.savez(tmp_path / "file.npz", a=np.array(content, dtype=object))
    for path in (tmp_path / "file.pt", tmp_path / "file.npz"):
        load_restricted(path)
    monkeypatch.setattr(restricted, "MAX_PICKLE_BYTES", 1 << 20)
    for path in (tmp_path / "file.pt", tmp_path / "file.npz"):
        with pytest.raises(MienError, match="larger than any"):
            load_restricted(path)


def test_plain_pickles_may_be_larger(written) -> None:
    """FLAME's own hold their arrays, some 100 MB."""
    shapes = np.zeros((5023, 3, 600))
    np.testing.assert_array_equal(load_restricted(written({"shapedirs": shapes}))["shapedirs"], shapes)


def test_numbers_that_are_nearly_all_zeros_are_read(tmp_path: Path) -> None:
    maps = np.zeros((8, 2048, 2048), np.float32)
    maps[3, 1000, 500] = 1.5
    np.savez_compressed(tmp_path / "maps.npz", maps=maps)
    assert os.path.getsize(tmp_path / "maps.npz") < maps.nbytes / 500
    np.testing.assert_array_equal(load_restricted(tmp_path / "maps.npz")["maps"], maps)


def test_numbers_out_of_next_to_nothing_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "maps.npz", maps=np.zeros(1 << 22, np.uint8))
    packed(tmp_path / "model.pt", {"model/data.pkl": pickle.dumps({}), "model/data/0": bytes(1 << 22)})
    monkeypatch.setattr(restricted, "_BOMB_BYTES", 1 << 21)
    for name in ("maps.npz", "model.pt"):
        with pytest.raises(MienError, match="next to nothing"):
            load_restricted(tmp_path / name)
