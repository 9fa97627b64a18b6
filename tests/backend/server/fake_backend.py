# SPDX-License-Identifier: GPL-3.0-or-later
"""The real service around a capture that only does what its source, a JSON file, says.

    takes     how many takes to make (1)
    pause     seconds before each take, cancellable (0)
    stubborn  seconds to sleep at the start without looking whether the job was cancelled (0)
    error     raise MienError NO_FACE naming the source
    crash     raise ZeroDivisionError after the takes
    die       end the process with this signal after the takes
    keep      save each take as soon as it is made (true)
    bad_overlay  fail at drawing the overlay
    ask       run a program that reads its standard input
    backdrop  write a copy of the photo for Blender
    count     append a line to this file at each run
    vary      make takes whose confidence is a tenth of the runs that `count` tells
    lost      raise MienError MISSING_FILE naming the first reference
    sheet     write a contact sheet
    maps      write displacement maps

For clips and live sources see `fake_clip`.

Run as a script it is `mien serve` with this capture; `--remote` and `--bind` as there. The environment says what goes
wrong at the start: FAKE_LOAD_SECONDS how long it takes, FAKE_PROBLEM what fails, FAKE_LOADS a file that gets a line at
each start but the first of which ends in a death. FAKE_STORE is a JSON file of a second head, see `_store`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import numpy as np
from PIL import Image

from backend.server import job
from backend.server.capturing import Captured
from backend.server.serve import serve_with
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.messages import Models
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.take import Take
from tests.backend.server.fake_clip import capture_clip, capture_live, lines
from tests.fake_models import fake_add, fake_models, network_models
from tests.fake_takes import HEAD_SHA256, small_head, small_take

STORED_SHA256 = "7b" * 32


def _store() -> dict:
    """What lies in the store: the `revision` of a head beside the open one, and the `pause` in seconds to load it."""
    path = os.environ.get("FAKE_STORE")
    return json.loads(Path(path).read_text()) if path else {}


class FakeCapturer:
    """Does what the source says."""

    device = "Fake"

    add_models = staticmethod(fake_add)

    def models(self) -> Models:
        """One engine and one head, or those of $FAKE_STORE."""
        store = _store()
        if not store:
            return fake_models(HEAD_SHA256)
        return network_models(HEAD_SHA256, STORED_SHA256, revision=store["revision"])

    def stored_head(self, sha256: str):
        """The head of $FAKE_STORE."""
        store = _store()
        time.sleep(store.get("pause", 0))
        return small_head(id="flame2020", sha256=STORED_SHA256, revision=store["revision"])

    def head(self, name: str):
        """The only head."""
        return small_head()

    def capture(self, options: CaptureOptions, progress) -> Captured:
        """Follow the instructions in the source."""
        todo = json.loads(Path(options.source).read_text())
        if "count" in todo:
            with open(todo["count"], "a") as file:
                file.write("run\n")
        if todo.get("error"):
            raise MienError(ErrorCode.NO_FACE, f"No face in {options.source}.", "Use another photo.")
        if todo.get("lost"):
            raise MienError(ErrorCode.MISSING_FILE, f"{options.references[0]} is missing.", "Choose another.")
        if options.live:
            return capture_live(todo, options, progress)
        if "frames" in todo:
            return capture_clip(todo, options, progress)
        progress("start", 0.0, "Starting")
        time.sleep(todo.get("stubborn", 0))
        if todo.get("ask"):
            subprocess.run([sys.executable, "-c", "input()"], stderr=subprocess.DEVNULL)
        takes = []
        for person in range(1, todo.get("takes", 1) + 1):
            end = time.monotonic() + todo.get("pause", 0)
            while time.monotonic() < end:
                progress.check_cancelled()
                time.sleep(0.005)
            takes.append(small_take(person, options.source))
            if todo.get("vary"):
                runs = np.full(1, len(lines(todo["count"])) / 10, np.float32)
                takes[-1] = replace(takes[-1], confidence=runs)
            if todo.get("keep", True):
                progress.keep(takes[-1])
            progress("fit", person / todo.get("takes", 1), f"Face {person}")
        if todo.get("crash"):
            raise ZeroDivisionError("made up")
        if "die" in todo:
            os.kill(os.getpid(), todo["die"])
            time.sleep(60)
        report = {"source": options.source, "faces": len(takes), "references": list(options.references)}
        overlay = partial(draw, bool(todo.get("bad_overlay")))
        backdrop = write_backdrop if todo.get("backdrop") else None
        sheet, maps = (write_sheet if todo.get("sheet") else None), (write_maps if todo.get("maps") else None)
        return Captured(takes, report, overlay, backdrop, contact_sheet=sheet, maps=maps)


def write_maps(take: Take, folder: Path) -> Take:
    """A file that stands for a displacement map."""
    folder.mkdir(exist_ok=True)
    (folder / "0001.exr").write_bytes(b"map of person %d" % take.meta.person)
    return replace(take, meta=replace(take.meta, displacement=(f"{folder.name}/0001.exr",)))


def draw(fail: bool) -> np.ndarray:
    """A small picture."""
    return np.full((4, 6, 3), 7 // (not fail), np.uint8)


def write_backdrop(folder: Path) -> Path:
    """A small picture in a file."""
    path = folder / "backdrop.png"
    Image.new("RGB", (640, 480), (10, 200, 30)).save(path)
    return path


def write_sheet(folder: Path) -> Path:
    """A small picture in a file."""
    path = folder / "people.png"
    Image.new("RGB", (128, 128)).save(path)
    return path


def main() -> int:
    """Serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bind")
    parser.add_argument("--remote", action="store_true")
    arguments = parser.parse_args()
    job.UNWATCHED_SECONDS = float(os.environ.get("FAKE_UNWATCHED_SECONDS", job.UNWATCHED_SECONDS))
    load_seconds = float(os.environ.get("FAKE_LOAD_SECONDS", "0"))

    def load() -> FakeCapturer:
        time.sleep(load_seconds)
        if counted := os.environ.get("FAKE_LOADS"):
            with open(counted, "a") as file:
                file.write("load\n")
            if len(lines(counted)) > 1:
                os.kill(os.getpid(), signal.SIGKILL)
        if problem := os.environ.get("FAKE_PROBLEM"):
            raise MienError(ErrorCode.NO_NETWORK, problem, "Connect to the network.")
        return FakeCapturer()

    return serve_with(load, arguments.bind, arguments.remote)


if __name__ == "__main__":
    sys.exit(main())
