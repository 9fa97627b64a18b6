# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets as Live Link Face sends them: their bytes, their pace, and who receives them."""

from __future__ import annotations

import math
import socket
import struct
import time

import numpy as np
import pytest

from backend.exports.livelink_udp import COUNT, Packet, Target, packets, send
from blender_addon.contract.arkit import ANGLES, CHANNELS, arkit_curves
from blender_addon.contract.errors import ErrorCode, MienError
from tests.arkit_takes import arkit_take
from tests.fake_takes import small_take


class Clock:
    """A clock that only moves when somebody sleeps, and then some more."""

    def __init__(self, late: float = 0.0) -> None:
        self.seconds, self.late = 1000.0, late

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds + self.late


@pytest.fixture
def listener():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.bind(("127.0.0.1", 0))
        connection.settimeout(5)
        yield connection


def test_the_bytes_of_a_packet() -> None:
    values = np.arange(COUNT, dtype=np.float32)
    raw = Packet("Ann", "$" + "d" * 36, 90, 0.25, (60, 1), values).encode()
    assert struct.unpack_from("<i", raw)[0] == 6
    assert raw[4:41] == b"$" + b"d" * 36
    assert struct.unpack_from(">i", raw, 41)[0] == 3
    assert raw[45:48] == b"Ann"
    assert struct.unpack_from(">ifii", raw, 48) == (90, 0.25, 60, 1)
    assert raw[64] == 61
    assert struct.unpack_from(">61f", raw, 65) == tuple(range(61))
    assert len(raw) == 65 + 4 * 61


def test_values_go_by_place_in_apples_order() -> None:
    take = arkit_take(3)
    (_, first), *_ = packets(take, "Mien")
    curves = arkit_curves(take)
    assert first.values[CHANNELS.index("jawLeft")] == pytest.approx(curves.weight("jawLeft")[0])
    assert (CHANNELS.index("jawLeft"), CHANNELS.index("mouthLeft"), CHANNELS.index("mouthRight")) == (15, 21, 22)
    assert first.values[52 + ANGLES.index("headPitch")] == pytest.approx(curves.angles[0, 1])


def test_a_frame_without_a_face_has_no_values() -> None:
    take = arkit_take(20)
    made = [packet for _, packet in packets(take, "Mien")]
    for valid, packet in zip(take.valid, made, strict=True):
        raw = packet.encode()
        assert len(raw) == (309 + 1 if valid else 65)
        assert (Packet.decode(raw).values is not None) == valid


@pytest.mark.parametrize("tail", [b"", b"\x00"])
def test_a_receiver_takes_packets_without_values(tail: bytes) -> None:
    raw = Packet("Ann", "$x", 1, 0.0, (60, 1), None).encode() + tail
    assert Packet.decode(raw).values is None


def test_a_part_of_a_frame_that_is_none_counts_as_zero() -> None:
    raw = bytearray(Packet("A", "$x", 7, 0.0, (60, 1), None).encode())
    raw[50:54] = struct.pack(">i", -1)  # some senders write a whole number there
    assert Packet.decode(bytes(raw)).part == 0
    assert Packet.decode(bytes(raw)).frame == 7


@pytest.mark.parametrize(
    "raw", [b"", b"\x06\0\0\0", bytes(60), Packet("A", "$", 1, 0, (60, 1), np.zeros(61)).encode()[:90]]
)
def test_what_is_no_packet(raw: bytes) -> None:
    if len(raw) == 60:
        raw = raw[:41] + struct.pack(">i", 1 << 20) + raw[45:]
    with pytest.raises(MienError) as caught:
        Packet.decode(raw)
    assert caught.value.code is ErrorCode.BAD_IMPORT


def test_a_listener_gets_the_take(listener: socket.socket) -> None:
    take = arkit_take(12, 120.0)
    before = time.perf_counter()
    assert send(take, Target("127.0.0.1", listener.getsockname()[1], "Ann")) == 12
    spent = time.perf_counter() - before
    got = [Packet.decode(listener.recv(2048)) for _ in range(12)]
    assert {packet.subject for packet in got} == {"Ann"}
    np.testing.assert_allclose([packet.seconds for packet in got], take.time, atol=1e-5)
    assert spent >= take.time[-1]


def test_no_delay_adds_up(listener: socket.socket) -> None:
    """Each sleep is 0.9 ms too long: after 10,000 frames the last packet is late by one sleep and no more."""
    take, clock = arkit_take(10_000, 24000 / 1001), Clock(late=9e-4)
    sent: list[float] = []
    target = Target("127.0.0.1", listener.getsockname()[1])
    send(take, target, sent=lambda _: sent.append(clock.seconds), now=clock.now, sleep=clock.sleep)
    late = np.array(sent) - 1000.0 - take.time
    assert 0 <= late.min() <= late.max() <= 1e-3 + 1e-9


def test_a_loop_goes_on_until_it_is_stopped(listener: socket.socket) -> None:
    take, clock = arkit_take(6, 24.0), Clock()
    target = Target("127.0.0.1", listener.getsockname()[1], loop=True)

    def stop(count: int) -> None:
        if count == 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send(take, target, sent=stop, now=clock.now, sleep=clock.sleep)
    got = [Packet.decode(listener.recv(2048)).seconds for _ in range(15)]
    np.testing.assert_allclose(got, np.arange(15) / 24, atol=1e-5)
    assert clock.seconds - 1000 == pytest.approx(14 / 24)


def test_nobody_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    clock = Clock()
    assert send(arkit_take(5), Target("127.0.0.1", port), now=clock.now, sleep=clock.sleep) == 5


def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(MienError, match="cannot be sent to") as caught:
        send(arkit_take(2), Target("host.invalid"))
    assert caught.value.code is ErrorCode.USAGE


def test_another_head_is_refused() -> None:
    with pytest.raises(MienError) as caught:
        send(small_take(), Target("127.0.0.1"))
    assert caught.value.code is ErrorCode.CANNOT_EXPORT


def test_parts_never_round_up_to_a_frame() -> None:
    take = arkit_take(2, time=np.array([0.0, math.nextafter(1 / 60, 0)]))
    _, (_, last) = packets(take, "Mien")
    assert (last.frame, last.part) == (1, 0.0)
