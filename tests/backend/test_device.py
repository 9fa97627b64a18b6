# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device computes, and with how many threads."""

from __future__ import annotations

import pytest
import torch

from backend import pipeline
from backend.device import available_cores, choose_device, device_label, set_threads
from backend.session import Session
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.options import CaptureOptions


@pytest.fixture(autouse=True)
def threads_as_they_were():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_threads_are_set_and_never_more_than_cores():
    assert set_threads(1) == torch.get_num_threads() == 1
    assert set_threads(9999) == torch.get_num_threads() == available_cores()
    assert 1 <= set_threads(None) <= 8


def test_a_device_that_is_not_there_is_refused():
    absent = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(MienError) as caught:
        choose_device(absent)
    assert caught.value.code is ErrorCode.USAGE


def test_the_processor_is_always_there():
    assert device_label(choose_device("cpu")) == "CPU"
    assert choose_device("auto").type in {"cpu", "cuda", "mps"}


def test_a_full_gpu_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(pipeline, "capture_photo", full)
    with pytest.raises(MienError, match="CPU is full") as caught:
        pipeline.capture(Session("cpu"), CaptureOptions("portrait.png"))
    assert caught.value.code is ErrorCode.TOO_LARGE and "choose the CPU" in caught.value.remedy
