# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures of clips and of live sources that only do what the source, a JSON file, says. Parts of `fake_backend`.

A clip (`frames` in the source)
    frames         how many it has
    solved         file that gets a line for each solved frame; what is in it is not solved again
    frame_seconds  how long each takes (0)
    channels       how many expression channels its takes have (3)
    die_at         number of a frame at which the process is killed, ...
    deaths         ... this often (1)
    loading        seconds before the first frame (0)
    shy            make previews only for those who look

A live source (`live` in the options)
    log            file that gets a line for each action
    frame_seconds  as above (0.01)
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from backend.server.capturing import Captured, JobProgress
from blender_addon.contract.messages import FrameCount, LiveAction
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.take import Take
from tests.fake_takes import small_meta, small_take

CHANNELS = 3


def clip_take(person: int, source: str, frames: Sequence[int], channels: int = CHANNELS) -> Take:
    """A take with these frame numbers, and raw twins of what is smoothed."""
    count = len(frames)
    plain = small_take(person, source, count)
    meta = small_meta(person, source, channels=tuple(f"channel{number}" for number in range(channels)), rate=24.0)
    expression = np.repeat(np.asarray(frames, np.float32)[:, None], channels, axis=1)
    raw = {"raw_expression": expression}
    for name in ("eyelids", "head_rotation", "neck", "jaw", "eyes", "translation"):
        raw[f"raw_{name}"] = getattr(plain, name)
    extra = raw | {"frame": np.asarray(frames, np.int32), "segment": np.zeros(count, np.int32)}
    return small_take(person, source, count, meta=meta, expression=expression, extra=extra)


def lines(path: str | Path) -> list[str]:
    """Lines of a file that may not be there."""
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def _append(path: str, line: object) -> None:
    with open(path, "a") as file:
        file.write(f"{line}\n")


def capture_clip(todo: dict, options: CaptureOptions, progress: JobProgress) -> Captured:
    """Go on after the last solved frame."""
    count, channels, start = todo["frames"], todo.get("channels", CHANNELS), time.monotonic()
    progress.frames(FrameCount(0, count))
    time.sleep(todo.get("loading", 0))
    for number in range(len(lines(todo["solved"])), count):
        progress.check_cancelled()
        time.sleep(todo.get("frame_seconds", 0))
        if number == todo.get("die_at") and len(deaths := lines(todo["solved"] + ".deaths")) < todo.get("deaths", 1):
            _append(todo["solved"] + ".deaths", len(deaths))
            os.kill(os.getpid(), signal.SIGKILL)
        _append(todo["solved"], number)
        rate = (number + 1) / max(time.monotonic() - start, 1e-3)
        progress.frames(FrameCount(number + 1, count, (count - number - 1) / rate, rate))
        progress("solve", (number + 1) / count, f"Frame {number + 1}")
        if not todo.get("shy") or progress.wants_preview():
            progress.preview([clip_take(1, options.source, [number], channels)])
    solved = [int(line) for line in lines(todo["solved"])]
    return Captured([clip_take(1, options.source, solved, channels)], {"source": options.source, "frames": solved})


def capture_live(todo: dict, options: CaptureOptions, progress: JobProgress) -> Captured:
    """Count frames until the end; recordings are numbered like people."""
    number, recording, takes = 0, None, []

    def stop() -> None:
        if recording:
            takes.append(clip_take(len(takes) + 1, options.source, recording))
            progress.keep(takes[-1])

    while True:
        progress.check_cancelled()
        for action in progress.actions():
            _append(todo["log"], action)
            if action is LiveAction.RECORD:
                recording = []
            if action in (LiveAction.STOP_RECORDING, LiveAction.END):
                stop()
                recording = None
            if action is LiveAction.END:
                return Captured(takes, {"recordings": len(takes)})
        time.sleep(todo.get("frame_seconds", 0.01))
        number += 1
        if recording is not None:
            recording.append(number)
        progress("live", 0.0, "Live")
        progress.frames(FrameCount(number, 0, None, 100.0))
        progress.preview([clip_take(1, options.source, [number])])
