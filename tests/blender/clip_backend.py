# SPDX-License-Identifier: GPL-3.0-or-later
"""The real service around made-up performances of a head, for tests and demonstrations of the panel.

What to do comes as JSON from the source, or from $FAKE_CLIP where the source is a real file:
    frames         how many frames the clip has (12)
    frame_seconds  how long each takes (0)
    gaps           first and last number of each range without a face ([])
    cuts           first numbers of new shots ([])
    people         how many people it shows (1); the face that was asked for or all of them become takes
    die_at         number of a frame at which the process is killed, once
    error          fail with NO_FACE
$FAKE_HEAD "open" takes the open head instead of a small synthetic one. Run as `mien serve` is.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from make_head import synthetic_head
from PIL import Image

from backend.server.capturing import Captured, JobProgress
from backend.server.serve import serve_with
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.messages import FrameCount, LiveAction, Models
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.smoothing import smooth
from blender_addon.contract.take import Take, TakeMeta
from tests.fake_models import fake_add, fake_models, network_models

RATE = 24.0
_ARRAYS = ("expression", "eyelids", "head_rotation", "neck", "jaw", "eyes", "translation")


def performance(head: HeadDescription, source: str, person: int, numbers: Sequence[int], todo: dict[str, Any]) -> Take:
    """A person nods, turns, talks and blinks, with some noise that smoothing takes out."""
    count, numbers = len(numbers), np.asarray(numbers)
    time_of, random = (numbers - numbers[0]) / RATE, np.random.default_rng(numbers[0] + 1000 * person)
    wave = [np.sin(time_of * (0.8 + 0.3 * k) + k) for k in range(8)]
    expression = np.zeros((count, len(head.expression_names)))
    for k, name in enumerate(head.expression_names):
        if any(part in name for part in ("mouthSmile", "browInner", "jawOpen", "mouthFunnel", "mouthClose")):
            expression[:, k] = 0.35 + 0.3 * wave[k % 8]
    zeros = np.zeros((count, 3))
    values = {
        "expression": expression,
        "eyelids": np.repeat((np.arange(count) % 40 < 5)[:, None].astype(float), 2, axis=1),
        "head_rotation": np.stack((0.1 * wave[0], 0.3 * wave[1], 0.05 * wave[2]), axis=1),
        "neck": zeros,
        "jaw": np.stack((0.1 + 0.08 * wave[3], 0 * wave[0], 0 * wave[0]), axis=1),
        "eyes": np.tile(np.stack((0 * wave[0], 0.1 * wave[4], 0 * wave[0]), axis=1), 2),
        "translation": np.stack((0.02 * wave[5] + 0.2 * (person - 1), 0 * wave[0], 0.7 + 0.02 * wave[6]), axis=1),
    }
    raw = {f"raw_{name}": (value + random.normal(0, 0.003, value.shape)).astype("f4") for name, value in values.items()}
    values = {name: raw[f"raw_{name}"] for name in _ARRAYS}
    seen = ~np.any([(numbers >= first) & (numbers <= last) for first, last in todo.get("gaps", [])] or [numbers < 0], 0)
    segment = np.sum([numbers >= cut for cut in todo.get("cuts", [])] or [0 * numbers], axis=0)
    width, height = todo.get("size", (640, 480))
    meta = TakeMeta(
        head.id, head.sha256, "fit", {"mien": "0.1.0"}, source, person, (head.licence,), head.commercial_use,
        head.expression_names, rate=RATE if count > 1 else 0.0,
    )  # fmt: skip
    camera = np.array([[1.2 * width, 0, width / 2], [0, 1.2 * width, height / 2], [0, 0, 1]])
    return Take(
        meta, time_of, seen, np.where(seen, 0.86, 0.1).astype("f4"),
        np.random.default_rng(person).normal(0, 0.7, min(head.identity.shape[2], 40)).astype("f4"),
        **values, camera_matrix=camera, image_size=np.array([width, height], "i4"),
        crop_camera=np.ones((count, 3), "f4"), crop_transform=np.tile(np.eye(3), (count, 1, 1)),
        extra=raw | {"segment": segment.astype("i4"), "frame": numbers.astype("i4")},
    )  # fmt: skip


def report_of(todo: dict[str, Any], numbers: Sequence[int], takes: Sequence[Take]) -> dict[str, Any]:
    """What the real one says about a clip."""
    gaps = [{"first": first, "last": last, "reason": "no face"} for first, last in todo.get("gaps", [])]
    people = range(1, todo.get("people", 1) + 1)
    return {
        "clip": {"frames": len(numbers), "first_frame": numbers[0], "last_frame": numbers[-1], "rate": RATE,
                 "variable_rate": False, "duration": len(numbers) / RATE, "missing": [],
                 "problems": todo.get("problems", []), "cuts": todo.get("cuts", [])},
        "camera": {"focal_mm": 43.2, "origin": "estimated", "focal_uncertainty": 0.07, "static": True},
        "people": [{"person": n, "frames": len(numbers) // n, "box": [0, 0, 9, 9], "best_frame": 1} for n in people],
        "faces": [{"person": take.meta.person, "landmark_error": 1.0, "confidence": 0.86, "gaps": gaps}
                  for take in takes],
        "found": [[0, 0, 9, 9] for _ in people],
    }  # fmt: skip


class ClipCapturer:
    """Makes performances up."""

    device = "Fake"

    def __init__(self) -> None:
        if os.environ.get("FAKE_HEAD") == "open":
            from backend.heads import load_head

            self._head = load_head("open")
        else:
            self._head = replace(synthetic_head(), id="open")

    add_models = staticmethod(fake_add)

    def models(self) -> Models:
        """One engine and one head, or with $FAKE_MODELS all of them, of which the named parts were added."""
        added = os.environ.get("FAKE_MODELS")
        if added is None:
            return fake_models(self._head.sha256)
        flame = self._head.sha256 if "flame2020" in added else ""
        return network_models(self._head.sha256, flame, *added.split())

    def stored_head(self, sha256: str) -> HeadDescription:
        """The only head."""
        return self._head

    def head(self, name: str) -> HeadDescription:
        """The only head."""
        return self._head

    def capture(self, options: CaptureOptions, progress: JobProgress) -> Captured:
        """Perform."""
        todo = _todo(options.source)
        if todo.get("error"):
            raise MienError(ErrorCode.NO_FACE, f"No face in {options.source}.", "Use another clip.")
        if options.live:
            return self._live(options, todo, progress)
        first = 1 if options.first_frame is None else options.first_frame
        last = first + todo.get("frames", 12) - 1 if options.last_frame is None else options.last_frame
        numbers = list(range(first, last + 1))
        everyone = range(1, todo.get("people", 1) + 1)
        people = list(everyone) if options.all_faces else [options.face or 1]
        if people[-1] not in everyone:
            told = {"people": len(everyone)}
            message = f"{options.source} shows {len(everyone)} people."
            raise MienError(ErrorCode.NO_FACE, message, "Choose one of them.", told)
        self._solve(options, todo, numbers, people, progress)
        takes = [performance(self._head, options.source, person, numbers, todo) for person in people]
        takes = [smooth(take, options.smoothing) for take in takes]
        sheet = partial(write_sheet, len(everyone)) if len(everyone) > 1 else None
        return Captured(takes, report_of(todo, numbers, takes), contact_sheet=sheet)

    def _solve(
        self,
        options: CaptureOptions,
        todo: dict[str, Any],
        numbers: list[int],
        people: list[int],
        progress: JobProgress,
    ) -> None:
        died, seconds = Path(f"{options.source}.died"), todo.get("frame_seconds", 0.0)
        progress("faces", 0.0, "Looking for faces")
        begin = todo["die_at"] - numbers[0] if died.exists() else 0
        for done in range(begin, len(numbers)):
            progress.check_cancelled()
            time.sleep(seconds)
            if numbers[done] == todo.get("die_at") and not died.exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            left = (len(numbers) - done - 1) * max(seconds, 1e-3)
            progress.frames(FrameCount(done + 1, len(numbers), left, 1 / max(seconds, 1e-3)))
            progress("solve", (done + 1) / len(numbers))
            progress.preview([self._at(options, person, numbers, done, todo) for person in people])

    def _at(self, options: CaptureOptions, person: int, numbers: list[int], index: int, todo: dict[str, Any]) -> Take:
        """One frame of a performance."""
        whole = performance(self._head, options.source, person, numbers, todo)
        one = {name: getattr(whole, name)[index : index + 1] for name in
               (*_ARRAYS, "time", "valid", "confidence", "crop_camera", "crop_transform")}  # fmt: skip
        return replace(whole, meta=replace(whole.meta, rate=0.0), extra={}, **one)

    def _live(self, options: CaptureOptions, todo: dict[str, Any], progress: JobProgress) -> Captured:
        takes: list[Take] = []
        number, recording = 0, None
        numbers = list(range(1, 1001))

        def stop() -> None:
            if recording:
                takes.append(performance(self._head, options.source, len(takes) + 1, recording, todo))
                progress.keep(takes[-1])

        while True:
            progress.check_cancelled()
            for action in progress.actions():
                if action is LiveAction.RECORD:
                    recording = []
                elif action in (LiveAction.STOP_RECORDING, LiveAction.END):
                    stop()
                    recording = None
                if action is LiveAction.END:
                    return Captured(takes, {"recordings": len(takes)})
            time.sleep(todo.get("frame_seconds", 0.02))
            number += 1
            if recording is not None:
                recording.append(number)
            progress("live", 0.0, "Following, 42 ms")
            progress.frames(FrameCount(number, 0, None, 24.0))
            progress.preview([self._at(options, 1, numbers, number % 1000, todo)])


def _todo(source: str) -> dict[str, Any]:
    try:
        return dict(json.loads(Path(source).read_bytes()))
    except (OSError, ValueError):
        return dict(json.loads(os.environ.get("FAKE_CLIP", "{}")))


def write_sheet(people: int, folder: Path) -> Path:
    """A picture in a file."""
    path = folder / "people.png"
    Image.new("RGB", (128 * people, 128), (90, 60, 30)).save(path)
    return path


def main() -> int:
    """Serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bind")
    parser.add_argument("--remote", action="store_true")
    arguments = parser.parse_args()
    return serve_with(ClipCapturer, arguments.bind, arguments.remote)


if __name__ == "__main__":
    sys.exit(main())
