# SPDX-License-Identifier: GPL-3.0-or-later
"""A take sent to whoever listens for Live Link Face, as the phone would send it: one UDP packet for each frame."""

from __future__ import annotations

import socket
import struct
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from blender_addon.contract.arkit import ANGLES, CHANNELS
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.take import Take

from .curves import bounded_curves
from .rates import steady_step
from .timecode import RATE

PORT = 11111
"""Where programs listen for Live Link Face by default."""
COUNT = len(CHANNELS) + len(ANGLES)

_VERSION = 6
_DEVICE_BYTES = 37
_START = struct.Struct("<i")  # the version alone is little-endian
_NAME = struct.Struct(">i")
_TIME = struct.Struct(">ifii")
_VALUES = struct.Struct(f">B{COUNT}f")
_PATIENCE = 0.25
"""Longest sleep in seconds, so that Ctrl-C is heard at once everywhere."""


@dataclass(frozen=True, eq=False)
class Packet:
    """One frame as it travels.

    Attributes:
        subject: Name under which it is shown.
        device: Id of the sender, 37 characters.
        frame: Whole frames of `rate` since the start.
        part: Part of a frame on top of them, 0 to below 1.
        rate: Frames per second as numerator and denominator.
        values: (61,) float32 in the order of ARKit's `CHANNELS` and `ANGLES`; None for a frame without a face.
    """

    subject: str
    device: str
    frame: int
    part: float
    rate: tuple[int, int]
    values: np.ndarray | None

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return (self.frame + self.part) * self.rate[1] / self.rate[0]

    def encode(self) -> bytes:
        """The bytes of the packet."""
        name = self.subject.encode()
        packet = _START.pack(_VERSION) + self.device.encode().ljust(_DEVICE_BYTES)[:_DEVICE_BYTES]
        packet += _NAME.pack(len(name)) + name + _TIME.pack(self.frame, self.part, *self.rate)
        return packet if self.values is None else packet + _VALUES.pack(COUNT, *self.values.tolist())

    @classmethod
    def decode(cls, packet: bytes) -> Packet:
        """Inverse of `encode`. The count and the values may be missing; a part of a frame that is none counts as 0.

        Raises:
            MienError: BAD_IMPORT for what is no such packet.
        """
        try:
            place = _START.size + _DEVICE_BYTES
            device = packet[_START.size : place].decode()
            (length,) = _NAME.unpack_from(packet, place)
            place += _NAME.size
            if length < 0 or place + length > len(packet):
                raise ValueError("a name that is longer than the packet")
            subject = packet[place : place + length].decode()
            frame, part, top, bottom = _TIME.unpack_from(packet, place + length)
            place += length + _TIME.size
            values = None
            if len(packet) > place and packet[place]:
                count, *numbers = _VALUES.unpack_from(packet, place)
                if count != COUNT:
                    raise ValueError(f"{count} values")
                values = np.array(numbers, np.float32)
        except (struct.error, ValueError) as error:
            message = f"A packet is none of Live Link Face's ({error})."
            raise MienError(ErrorCode.BAD_IMPORT, message, f"Send the {COUNT} ARKit curves.") from error
        return cls(subject, device, frame, part if 0 <= part < 1 else 0.0, (top, bottom), values)


@dataclass(frozen=True)
class Target:
    """Who gets the packets, under which name, and whether the take begins anew when it ends."""

    host: str
    port: int = PORT
    subject: str = "Mien"
    loop: bool = False


def packets(take: Take, subject: str, start: float = 0.0) -> Iterator[tuple[float, Packet]]:
    """The packets of a take, each with the seconds from the first frame at which it is due.

    Frames without a face are sent without values.

    Args:
        take: The take.
        subject: Name under which it is shown.
        start: Seconds at which its first frame is told to be.

    Raises:
        MienError: CANNOT_EXPORT for a head without ARKit's channels.
    """
    curves = bounded_curves(take)
    numbers = np.concatenate((curves.weights, curves.angles), axis=1).astype(np.float32)
    device = f"${uuid.uuid5(uuid.NAMESPACE_DNS, subject)}"
    for due, valid, values in zip(curves.time - curves.time[0], curves.valid, numbers, strict=True):
        # Parts are told to a thousandth, so that rounding to float32 cannot give a whole frame.
        frame, part = divmod(round((start + due) * RATE * 1000), 1000)
        yield float(due), Packet(subject, device, frame, part / 1000, (RATE, 1), values if valid else None)


def send(
    take: Take,
    target: Target,
    sent: Callable[[int], None] = lambda _: None,
    now: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Send a take at its own pace; each frame is due by the clock, so that delays do not add up.

    Args:
        take: The take.
        target: Where to.
        sent: Told of the number of packets after each one.
        now: The clock, in seconds.
        sleep: Waits for seconds.

    Returns:
        Number of packets.

    Raises:
        MienError: CANNOT_EXPORT; USAGE for a host that is not known; NO_NETWORK where nothing can be sent.
        KeyboardInterrupt: Ctrl-C, which is how a loop ends.
    """
    length = float(take.time[-1] - take.time[0]) + _last_step(take)
    made = list(packets(take, target.subject))
    count, rounds = 0, 0
    with _socket(target) as connection:
        begun = now()
        while True:
            for due, packet in made:
                _wait(begun + rounds * length + due, now, sleep)
                _send(connection, packet.encode(), target)
                count += 1
                sent(count)
            rounds += 1
            if not target.loop:
                return count
            made = list(packets(take, target.subject, rounds * length))


def _last_step(take: Take) -> float:
    """Seconds for which the last frame is shown."""
    return 1 / take.meta.rate if take.meta.rate else steady_step(take.time) or 1 / RATE


def _wait(until: float, now: Callable[[], float], sleep: Callable[[float], None]) -> None:
    while (left := until - now()) > 0:
        sleep(min(left, _PATIENCE))


def _socket(target: Target) -> socket.socket:
    """A socket that sends to the target."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_DGRAM)[0]
        connection = socket.socket(family, kind, protocol)
        connection.connect(address)
    except (OSError, UnicodeError) as error:
        message = f"{target.host}:{target.port} cannot be sent to: {error}."
        raise MienError(ErrorCode.USAGE, message, "Check the address; it is HOST:PORT.") from error
    return connection


def _send(connection: socket.socket, packet: bytes, target: Target) -> None:
    try:
        connection.send(packet)
    except ConnectionRefusedError:
        pass  # nobody listens there yet; whoever begins to, gets what follows
    except OSError as error:
        message = f"Sending to {target.host}:{target.port} failed: {error.strerror}."
        raise MienError(ErrorCode.NO_NETWORK, message, "Check the network and the address.") from error
