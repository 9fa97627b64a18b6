# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device computes, and with how many threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from blender_addon.contract.errors import ErrorCode, MienError


def choose_device(name: str) -> torch.device:
    """The device of a name: `auto` prefers CUDA, then MPS, then the CPU.

    Raises:
        MienError: USAGE where the named device is not on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(name)
    count = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}.get(device.type, 1)
    if (device.index or 0) >= count:
        raise MienError(ErrorCode.USAGE, f"There is no device {name} on this machine.", "Choose auto or cpu.")
    return device


def device_label(device: torch.device) -> str:
    """What a person calls the device: the GPU's name, or CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()


@contextmanager
def enough_memory(device: torch.device) -> Iterator[None]:
    """Work for which the memory of a GPU may not suffice.

    Raises:
        MienError: TOO_LARGE where it did not.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        message = f"The memory of {device_label(device)} is full."
        remedy = "Close what fills it, such as a viewport that renders, or choose the CPU as the device."
        raise MienError(ErrorCode.TOO_LARGE, message, remedy, {"why": str(error)}) from error


def set_threads(threads: int | None) -> int:
    """Set torch's threads explicitly and return them; where none are given, the cores this process may use less one.

    The spare core is Blender's: torch's threads wait for each other, so one core that is taken away stalls them all.
    """
    if threads is None:
        threads = min(max(available_cores() - 1, 1), 8)
    threads = min(threads, available_cores())  # more only wait for each other
    torch.set_num_threads(threads)
    return threads


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
