# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration, step by step; a step that is done is not done again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from backend.device import available_cores, choose_device, device_label
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import atomic_write, make_folder
from training.demonstration.judging import Judged
from training.demonstration.plan import STEPS, Plan, Step
from training.demonstration.work import Told, Work
from training.trainer.speed import StepSpeed

PLAN = "plan.json"

@dataclass(frozen=True)
class Demonstrated:
    """All that was found; see `report`.

    Attributes:
        plan: how much was done.
        device: where networks ran.
        cores: of the machine.
        minutes: that each step took; steps of one line of `STEPS` run side by side.
        emotion: of both emotion networks, see `Told`.
        encoders: each expression encoder.
        speed: of a training step of EMOCA.
    """

    plan: Plan
    device: str
    cores: int
    minutes: dict[Step, float]
    emotion: dict[str, Told]
    encoders: dict[str, Judged]
    speed: StepSpeed


class Demonstration:
    """The steps in a folder.

    Each core trains a network of its own: small networks gain little from a second one.

    Args:
        out: where everything is kept.
        plan: how much.
        say: told what is being done.

    Raises:
        MienError: USAGE where the folder holds another plan's; NO_SPACE, NOT_PERMITTED.
    """

    def __init__(self, out: Path, plan: Plan, say: Callable[[str], None]) -> None:
        self.out, self.plan, self._say = out, plan, say
        make_folder(out)
        path = out / PLAN
        if path.exists() and json.loads(path.read_text()) != asdict(plan):
            message = f"{out} holds a demonstration with other numbers ({PLAN})."
            raise MienError(ErrorCode.USAGE, message, "Choose another --out, or remove that folder.")
        atomic_write(path, lambda file: file.write(json.dumps(asdict(plan), indent=1).encode()))

    def run(self) -> Demonstrated:
        """All steps that are not done yet.

        Raises:
            MienError: CANCELLED; what is done stays, and the same call goes on.
        """
        for line in STEPS:
            self._together([step for step in line if not done_file(self.out, step).exists()])
        torch.set_num_threads(available_cores())
        work = Work(self.out, self.plan)
        files = {step: done_file(self.out, step) for line in STEPS for step in line}
        minutes = {step: json.loads(path.read_text())["minutes"] for step, path in files.items()}
        return Demonstrated(
            self.plan, device_label(choose_device("auto")), available_cores(), minutes,
            {name: work.told(name) for name in ("emotion", "other")}, work.judged(), work.speed(),
        )  # fmt: skip

    def _together(self, steps: list[Step]) -> None:
        if not steps:
            return
        self._say(", ".join(steps))
        if steps == ["faces"]:  # has processes of its own
            do(self.out, self.plan, "faces")
            return
        with ProcessPoolExecutor(available_cores(), get_context("spawn")) as pool:
            tasks = [pool.submit(do, self.out, self.plan, step, threads=1) for step in steps]
            for task in tasks:
                task.result()


def done_file(out: Path, step: Step) -> Path:
    """What says that a step is done."""
    return out / f"{step}.done.json"


def do(out: Path, plan: Plan, step: Step, threads: int = 0) -> None:
    """One step, in a process of its own where threads are given."""
    if threads:
        torch.set_num_threads(threads)
    start = time.monotonic()
    getattr(Work(out, plan), step)()
    minutes = {"minutes": (time.monotonic() - start) / 60}
    atomic_write(done_file(out, step), lambda file: file.write(json.dumps(minutes).encode()))
