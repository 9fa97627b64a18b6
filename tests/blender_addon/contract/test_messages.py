# SPDX-License-Identifier: GPL-3.0-or-later
"""Every message type survives the wire, and nothing that arrives can do more than be refused."""

from __future__ import annotations

import dataclasses
import os
from enum import StrEnum
from types import NoneType, UnionType
from typing import Literal, Union, get_args, get_origin

import msgpack
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blender_addon.contract import messages as m
from blender_addon.contract import wire
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.schema import DTYPES, Frames, Json, hints, unpack
from blender_addon.contract.take import Take
from blender_addon.contract.version import PROTOCOL
from tests.fake_takes import same_arrays, small_head, small_take

hex_digits = st.sampled_from("0123456789abcdef")
finite = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(-(2**63), 2**63 - 1)
json_tables = st.dictionaries(
    st.text(max_size=5),
    st.recursive(st.none() | st.booleans() | whole | finite | st.text(), st.lists, max_leaves=4),
    max_size=3,
)
BY_NAME = {
    "job": st.text(hex_digits, min_size=32, max_size=32),
    "sha256": st.text(hex_digits, min_size=64, max_size=64),
    "upload": st.just("") | st.text(hex_digits, min_size=64, max_size=64),
    "attempt": st.integers(1, 1_000_000),
    "reference_uploads": st.just(()),
    "number": st.integers(1, 2**53 - 1),
    "take_index": st.integers(0, 2**40),
    "frame": st.integers(0, 2**40),
    "after": st.integers(0, 2**40),
    "size": st.integers(0, 2**40),
    "offset": st.integers(0, 2**40),
    "first": st.integers(0, 5),
    "last": st.integers(5, 100),
    "wait_ms": st.integers(0, m.MAX_WAIT_MS),
    "data": hnp.arrays("u1", st.integers(0, 20)),
    "export": st.text(hex_digits, min_size=32, max_size=32),
    "adding": st.text(hex_digits, min_size=32, max_size=32),
    "paths": st.lists(st.text("abc_ 0é", max_size=8).map(lambda text: f"/{text}"), min_size=1, max_size=3).map(tuple),
    "stem": st.text("abc_ 0é", max_size=8).map(lambda text: f"{text}x"),
    "path": st.text("abc_ 0é", max_size=8).map(lambda text: f"{text}x"),
}
BY_TYPE = {
    str: st.text(max_size=20),
    int: whole,
    float: finite,
    bool: st.booleans(),
    Json: json_tables,
    Take: st.builds(small_take, st.integers(1, 9)),
    HeadDescription: st.builds(small_head),
    CaptureOptions: st.builds(CaptureOptions, st.just("a.jpg"), focal_mm=st.none() | st.floats(5, 100)),
    np.ndarray: hnp.arrays(st.sampled_from(DTYPES), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)),
}


def values_of(kind) -> st.SearchStrategy:
    """Values that an annotation allows."""
    if kind in BY_TYPE:
        return BY_TYPE[kind]
    if get_origin(kind) in (Union, UnionType):
        return st.one_of(*(st.none() if item is NoneType else values_of(item) for item in get_args(kind)))
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if get_origin(kind) is tuple:
        return st.lists(values_of(get_args(kind)[0]), max_size=3).map(tuple)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return st.sampled_from(list(kind))
    fields = hints(kind).items()
    return st.builds(kind, **{name: BY_NAME[name] if name in BY_NAME else values_of(item) for name, item in fields})


def assert_equal(one, other):
    """Deep equality with types."""
    assert type(one) is type(other)
    if isinstance(one, (Take, HeadDescription)):
        assert same_arrays(one, other)
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype and one.shape == other.shape
        assert one.tobytes() == other.tobytes()
    elif dataclasses.is_dataclass(one):
        for field in dataclasses.fields(one):
            assert_equal(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_equal(left, right)
    else:
        assert one == other


@pytest.mark.parametrize("name", m.TYPES)
def test_every_message_survives_the_wire(name):
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(values_of(m.TYPES[name]), st.integers(0, 2**63 - 1))
    def check(message, request_id):
        frames = [bytes(frame) for frame in wire.encode(message, request_id)]
        envelope = wire.decode(frames)
        assert envelope.id == request_id == wire.request_id_of(frames)
        assert_equal(envelope.message, message)

    check()


def refused(frames) -> MienError:
    """The error with which frames are refused."""
    with pytest.raises(MienError) as caught:
        wire.decode(frames)
    wire.request_id_of(frames)
    return caught.value


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=4))
def test_random_bytes_are_only_refused(frames):
    assert refused(frames).code is ErrorCode.BAD_MESSAGE


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=4)
    | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_wrong_values_in_a_right_envelope_are_only_refused(data):
    name = data.draw(st.sampled_from(sorted(m.TYPES)))
    body = {field: data.draw(anything) for field in hints(m.TYPES[name])}
    arrays = data.draw(st.lists(anything, max_size=2))
    header = {"protocol": PROTOCOL, "id": 1, "type": name, "body": body, "arrays": arrays}
    frames = [msgpack.packb(header), *data.draw(st.lists(st.binary(max_size=8), max_size=2))]
    try:
        wire.decode(frames)
    except MienError as error:
        assert error.code is ErrorCode.BAD_MESSAGE


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_messages_are_only_refused(data):
    status = m.JobStatus("a" * 32, m.JobState.RUNNING, "fit", 0.5, "", 1, 1, None)
    frames = [bytearray(frame) for frame in wire.encode(m.Results(status, 0, (small_take(),), Json({"a": 1})), 5)]
    for _ in range(data.draw(st.integers(1, 3))):
        frame = frames[data.draw(st.integers(0, min(3, len(frames) - 1)))]
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    try:
        wire.decode([bytes(frame) for frame in frames])
    except MienError as error:
        assert error.code in (ErrorCode.BAD_MESSAGE, ErrorCode.VERSION_MISMATCH)


def envelope(**changes):
    """The header of a Hello, changed."""
    header = {"protocol": PROTOCOL, "id": 1, "type": "hello", "body": {"version": "1"}, "arrays": []}
    return [msgpack.packb({key: value for key, value in (header | changes).items() if value is not ...})]


@pytest.mark.parametrize(
    "frames",
    [
        [],
        envelope(type="no_such_type"),
        envelope(type=3),
        envelope(id=-1),
        envelope(id=True),
        envelope(id=2**63),
        envelope(id=...),
        envelope(body=...),
        envelope(more=1),
        envelope(body={}),
        envelope(body={"version": "1", "more": 1}),
        envelope(body={"version": b"1"}),
        envelope(body={"version": 1}),
        envelope(body={"version": "x" * 70_000}),
        envelope(body=[]),
        envelope(protocol="1"),
        envelope(arrays=[["<f4", [1]]]),
        [*envelope(), b"extra"],
        [*envelope(arrays=[["<f4", [1]]]), b"1234"],
        [*envelope(arrays=[["|O", [1]]]), b"12345678"],
        [*envelope(arrays=[["<f4", [-1]]]), b""],
        [*envelope(arrays=[["<f4", [2]]]), b"1234"],
        [*envelope(arrays=[["<f4", [1 << 50, 0]]]), b""],
        [*envelope(arrays=[["<f4", [0, 1 << 39, 1 << 39]]]), b""],
        [b"\xc1" * 4],
        [msgpack.packb([1]) * 2],
        [b"\xdd\xff\xff\xff\xff"],
        [b"\x91" * 5000],
        [b"\xd6\xff\xff\xff\xff\xff"],
    ],
    ids=repr,
)
def test_what_the_protocol_does_not_say_is_refused(frames):
    assert refused(frames).code is ErrorCode.BAD_MESSAGE


def test_another_protocol_is_a_version_mismatch_whatever_else_it_says():
    frames = envelope(protocol=PROTOCOL + 1, id=9, type="from_the_future", body=..., novelty=1)
    error = refused(frames)
    assert error.code is ErrorCode.VERSION_MISMATCH
    assert "same version" in error.remedy
    assert wire.request_id_of(frames) == 9, "so that it can be answered"


def test_a_bad_take_inside_a_message_makes_the_message_bad():
    status = m.JobStatus("a" * 32, m.JobState.RUNNING, "fit", 0.5, "", 1, 1, None)
    frames = [bytes(frame) for frame in wire.encode(m.Results(status, 0, (small_take(),), None), 5)]
    header = msgpack.unpackb(frames[0])
    header["body"]["takes"][0]["meta"]["person"] = 0
    assert refused([msgpack.packb(header), *frames[1:]]).code is ErrorCode.BAD_MESSAGE


def test_names_of_arrays_are_texts():
    status = m.JobStatus("a" * 32, m.JobState.RUNNING, "fit", 0.5, "", 1, 1, None)
    frames = [bytes(frame) for frame in wire.encode(m.Results(status, 0, (small_take(),), None), 5)]
    header = msgpack.unpackb(frames[0])
    header["arrays"].append(["<f4", [1]])
    header["body"]["takes"][0]["arrays"][b"emotion_x"] = len(frames) - 1
    assert refused([msgpack.packb(header), *frames[1:], b"1234"]).code is ErrorCode.BAD_MESSAGE


@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9.jpg"), "\ud83d.png"], ids=["latin-1 on Linux", "half a pair"])
def test_file_names_that_are_no_unicode_arrive(name):
    sent = m.Submit("a" * 32, CaptureOptions(name))
    assert wire.decode(wire.encode(sent, 1)).message == sent


@pytest.mark.parametrize("job", ["", "../../etc", "A" * 32, "a" * 33, "a" * 31 + "/"])
def test_job_ids_cannot_be_paths(job):
    with pytest.raises(MienError):
        m.Cancel(job)
    with pytest.raises(MienError):
        m.Submit(job, CaptureOptions("a"))


def test_truth_values_are_zero_or_one():
    assert refused([*envelope(arrays=[["|b1", [1]]]), b"\x02"]).code is ErrorCode.BAD_MESSAGE


def test_too_much_is_not_sent(monkeypatch):
    monkeypatch.setattr(wire, "MAX_MESSAGE", 1000)
    with pytest.raises(MienError) as caught:
        wire.encode(m.Overlay("a" * 32, np.zeros((20, 20, 3), np.uint8)), 1)
    assert caught.value.code is ErrorCode.TOO_LARGE


def test_objects_are_not_sent():
    with pytest.raises(TypeError):
        wire.encode(m.Overlay("a" * 32, np.array([None])), 1)


def test_details_that_are_no_plain_values_travel_as_text():
    error = MienError(ErrorCode.NO_FACE, "a", "b", {"path": object, "n": 3, "bad": float("nan")})
    back = wire.decode([bytes(f) for f in wire.encode(m.ErrorReply(m.ErrorInfo.of(error)), 1)]).message.error.to_error()
    assert (back.code, back.message, back.remedy, back.details["n"]) == (ErrorCode.NO_FACE, "a", "b", 3)
    assert isinstance(back.details["path"], str)
    assert back.details["bad"] == "nan"


def test_numbers_are_widened_but_never_guessed():
    assert unpack(float, 3, Frames([])) == 3.0
    for kind, value in ((int, 3.0), (int, True), (float, True), (float, "3"), (str, 3), (bool, 1)):
        with pytest.raises(MienError):
            unpack(kind, value, Frames([]))


def test_names_on_the_wire_are_distinct():
    assert len(m.TYPES) == len(set(m.TYPES.values()))
    assert m.type_name(m.GetHead) == "get_head"
