# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration, step by step; a step that is done is not done again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader

from backend.device import available_cores, choose_device, device_label
from blender_addon.contract.files import atomic_write, make_folder
from training.demonstration.judging import Judged, judge
from training.demonstration.start import TaughtCoarseStage, damage
from training.metrics import agreement, classification
from training.model.emotion import emotion_network
from training.model.layout import CodeLayout
from training.model.making import face_model, training_head
from training.rendering.face_region import face_region
from training.stages.making import make_stage
from training.stages.stage import OptimiserSettings
from training.synthetic.dataset import SyntheticFaces
from training.synthetic.on_disk import StoredFaces, write_faces
from training.trainer.configuration import Configuration, DataSettings, TrainerSettings
from training.trainer.data import RunData
from training.trainer.run import fit
from training.trainer.speed import StepSpeed, step_speed

OTHER_PEOPLE, TEST_PEOPLE = 1_000_000, 2_000_000
"""Numbers of the first person who is validated and tested with; training people count from 0."""


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Attributes:
        people, pictures: in training.
        validated, tested: people who are looked at between and tested with, of `pictures` each.
        emotion_epochs, other_epochs, coarse_epochs, emoca_epochs: of each training.
        emotion_weight: of the emotion loss.
        seed: of everything.
    """

    people: int = 3000
    pictures: int = 3
    validated: int = 40
    tested: int = 120
    emotion_epochs: int = 4
    other_epochs: int = 4
    coarse_epochs: int = 5
    emoca_epochs: int = 1
    emotion_weight: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Demonstrated:
    """All that was found; see `report`."""

    plan: Plan
    device: str
    cores: int
    seconds: dict[str, float]
    emotion: dict[str, Any]
    encoders: dict[str, Judged]
    speed: dict[str, StepSpeed]


Say = Callable[[str], None]


class Demonstration:
    """The steps in a folder.

    Args:
        out: where everything is kept.
        plan: how much.
        say: told what is being done.
    """

    def __init__(self, out: Path, plan: Plan, say: Say) -> None:
        self.out, self.plan, self.say = out, plan, say
        self.layout = CodeLayout.of(training_head("open"))
        make_folder(out)

    def run(self) -> Demonstrated:
        """All steps.

        Raises:
            MienError: CANCELLED; what is done stays, and the same call goes on.
        """
        torch.set_num_threads(available_cores())
        self._step("faces", self._faces)
        self._step("emotion", partial(self._emotion, "emotion", "mobilenet_large", self.plan.emotion_epochs, 0))
        self._step("other", partial(self._emotion, "other", "mobilenet_small", self.plan.other_epochs, 1))
        self._step("coarse", self._coarse)
        self._step("emoca_without", partial(self._emoca, "emoca_without", 0.0))
        self._step("emoca", partial(self._emoca, "emoca", self.plan.emotion_weight))
        emotion = {name: self._emotion_measured(name) for name in ("emotion", "other")}
        encoders = self._judged()
        return Demonstrated(
            self.plan, device_label(choose_device("auto")), available_cores(), self._seconds(), emotion, encoders,
            self._speeds(),
        )  # fmt: skip

    def _step(self, name: str, work: Callable[[], None]) -> None:
        done = self.out / f"{name}.done.json"
        if done.exists():
            return
        self.say(name)
        start = time.monotonic()
        work()
        seconds = {"seconds": time.monotonic() - start}
        atomic_write(done, lambda file: file.write(json.dumps(seconds).encode()))

    def _seconds(self) -> dict[str, float]:
        paths = sorted(self.out.glob("*.done.json"), key=lambda path: path.stat().st_mtime)
        return {path.name.removesuffix(".done.json"): json.loads(path.read_text())["seconds"] for path in paths}

    def _faces(self) -> None:
        plan = self.plan
        sets = {
            "train": (plan.people, 0), "validation": (plan.validated, OTHER_PEOPLE), "test": (plan.tested, TEST_PEOPLE),
        }  # fmt: skip
        for name, (people, first) in sets.items():
            faces = SyntheticFaces(people, plan.pictures, plan.seed, first_person=first)
            write_faces(faces, self.out / name, workers=available_cores())

    def _stored(self, name: str) -> dict[str, Any]:
        return {"kind": "stored", "folder": str(self.out / name)}

    def _configuration(self, stage: str, epochs: int, batch: int, rate: float, **rest: Any) -> Configuration:
        data = DataSettings(self._stored("train"), self._stored("validation"))
        how = TrainerSettings(
            batch=batch, epochs=epochs, patience=0, workers=0, deterministic=True, log_every=20, save_every=100,
            pictures_every=0,
        )  # fmt: skip
        return Configuration(stage, data, self.plan.seed, optimiser=OptimiserSettings(rate), trainer=how, **rest)

    def _fit(self, name: str, configuration: Configuration, stage: Any = None) -> None:
        lightning.seed_everything(configuration.seed, workers=True, verbose=False)
        stage = make_stage(configuration) if stage is None else stage()
        fit(stage, RunData(configuration), configuration.trainer, self.out / name)

    def _emotion(self, name: str, backbone: str, epochs: int, seed: int) -> None:
        model = {"backbone": backbone, "without_background": 0.5}
        configuration = self._configuration("emotion-network", epochs, 32, 1e-3, model=model)
        lightning.seed_everything(self.plan.seed + seed, workers=True, verbose=False)
        self._fit(name, configuration)

    def _coarse(self) -> None:
        configuration = self._configuration("emoca-coarse", self.plan.coarse_epochs, 32, 1e-3)
        model = face_model(training_head("open"))
        self._fit(
            "coarse", configuration,
            lambda: TaughtCoarseStage("mobilenet_large", configuration.optimiser, model, self.layout),
        )  # fmt: skip
        damage(self.out / "coarse/best.ckpt", self.out / "damaged.ckpt", "mobilenet_large", self.layout)

    def _emoca_configuration(self, start: str, weight: float) -> Configuration:
        checkpoint = str(self.out / start)
        beginning = {"coarse": checkpoint, "expression": checkpoint, "emotion": str(self.out / "emotion/best.ckpt")}
        model = {"backbone": "mobilenet_large", "weights": {
            "emotion": weight, "photometric": 2.0, "eye_closure": 0.5, "lip_closure": 0.5, "mouth_corners": 0.5,
            "expression": 1e-4,
        }}  # fmt: skip
        return self._configuration("emoca-coarse", self.plan.emoca_epochs, 16, 5e-5, model=model, start=beginning)

    def _emoca(self, name: str, weight: float) -> None:
        self._fit(name, self._emoca_configuration("damaged.ckpt", weight))

    def _emotion_measured(self, name: str) -> dict[str, Any]:
        network = emotion_network(str(self.out / name / "best.ckpt")).eval()
        outputs, truth = [], []
        for batch in self._test():
            with torch.no_grad():
                outputs.append(network(batch["image"]).numpy())
            truth.append(np.stack([batch[key].numpy() for key in ("label", "valence", "arousal")], 1))
        found, known = np.concatenate(outputs), np.concatenate(truth)
        classes = classification(found[:, :8].argmax(1), known[:, 0].astype(int))
        return {
            "accuracy": classes.accuracy, "mean_accuracy": classes.mean_accuracy,
            "valence": asdict(agreement(found[:, 8], known[:, 1])),
            "arousal": asdict(agreement(found[:, 9], known[:, 2])), "faces": len(known),
        }  # fmt: skip

    def _judged(self) -> dict[str, Judged]:
        networks = tuple(emotion_network(str(self.out / name / "best.ckpt")) for name in ("emotion", "other"))
        face = torch.from_numpy(face_region(training_head("open")) > 0.5)
        starts = {
            "taught from the truth": "undamaged.ckpt", "damaged start": "damaged.ckpt",
            "EMOCA without the emotion loss": "emoca_without/last.ckpt", "EMOCA": "emoca/last.ckpt",
        }  # fmt: skip
        return {
            title: judge(make_stage(self._emoca_configuration(path, 1.0)), self._test(), networks, face)  # type: ignore[arg-type]
            for title, path in starts.items()
        }

    def _test(self) -> DataLoader:
        return DataLoader(StoredFaces(self.out / "test"), 32)

    def _speeds(self) -> dict[str, StepSpeed]:
        return {
            "EMOCA coarse, MobileNetV3, batch 16": step_speed(self._emoca_configuration("damaged.ckpt", 1.0), steps=10),
        }
