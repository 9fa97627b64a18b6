# SPDX-License-Identifier: GPL-3.0-or-later
"""What each step of the demonstration does, and what is measured at its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader

from backend.device import available_cores
from training.demonstration.judging import Judged, judge
from training.demonstration.plan import Plan
from training.demonstration.start import TaughtCoarseStage, TaughtExpressionStage, damage
from training.metrics import Agreement, agreement, classification
from training.model.emotion import emotion_network
from training.model.layout import CodeLayout
from training.model.making import face_model, training_head
from training.rendering.face_region import face_region
from training.stages.emoca_coarse import PAPER_WEIGHTS, EmocaCoarseStage
from training.stages.making import make_stage
from training.stages.stage import OptimiserSettings, Stage
from training.synthetic.dataset import SyntheticFaces
from training.synthetic.on_disk import StoredFaces, write_faces
from training.trainer.configuration import Configuration, DataSettings, StageName, TrainerSettings
from training.trainer.data import RunData
from training.trainer.run import fit
from training.trainer.speed import StepSpeed, step_speed

OTHER_PEOPLE, TEST_PEOPLE = 1_000_000, 2_000_000
"""Numbers of the first person who is validated and tested with; training people count from 0."""
ENCODERS = {
    "taught from the truth": "taught.ckpt", "damaged start": "damaged.ckpt",
    "EMOCA without the emotion loss": "emoca_without/last.ckpt", "EMOCA": "emoca/last.ckpt",
}  # fmt: skip
"""Expression encoders that are compared, and their checkpoints."""
_FROM_RANDOM = OptimiserSettings(2e-3, schedule="one-cycle")


@dataclass(frozen=True)
class Told:
    """How well an emotion network does.

    Attributes:
        faces: how many it was tested with.
        accuracy: share of right classes.
        valence, arousal: agreement with the truth.
    """

    faces: int
    accuracy: float
    valence: Agreement
    arousal: Agreement


class Work:
    """What each step does, by its name, and what is measured at the end.

    Args:
        out: where everything is kept.
        plan: how much.
    """

    def __init__(self, out: Path, plan: Plan) -> None:
        self.out, self.plan = out, plan
        self._layout = CodeLayout.of(training_head("open"))

    def faces(self) -> None:
        """Faces to train, validate and test with, of different people."""
        plan = self.plan
        sets = {
            "train": (plan.people, 0), "validation": (plan.validated, OTHER_PEOPLE), "test": (plan.tested, TEST_PEOPLE),
        }  # fmt: skip
        for name, (people, first) in sets.items():
            faces = SyntheticFaces(people, plan.pictures, plan.seed, first_person=first)
            write_faces(faces, self.out / name, workers=available_cores())

    def emotion(self) -> None:
        """The emotion network of the loss."""
        self._emotion_network("emotion", self.plan.seed)

    def other(self) -> None:
        """Another one, that only judges."""
        self._emotion_network("other", self.plan.seed + 1)

    def coarse(self) -> None:
        """The coarse encoder."""
        self._taught("coarse", TaughtCoarseStage, self.plan.coarse_epochs)

    def expression(self) -> None:
        """The expression encoder before it is damaged."""
        self._taught("expression", TaughtExpressionStage, self.plan.expression_epochs)

    def damaged(self) -> None:
        """Both encoders, taught and damaged."""
        damage(self.out / "coarse/best.ckpt", self.out / "expression/best.ckpt", self.out)

    def emoca_without(self) -> None:
        """EMOCA's coarse stage without its emotion loss."""
        self._fit("emoca_without", self._emoca("damaged.ckpt", 0.0))

    def emoca(self) -> None:
        """EMOCA's coarse stage."""
        self._fit("emoca", self._emoca("damaged.ckpt", self.plan.emotion_weight))

    def told(self, name: str) -> Told:
        """How well an emotion network tells the emotions of people it has not seen."""
        network = emotion_network(str(self.out / name / "best.ckpt")).eval()
        outputs, truth = [], []
        for batch in self._test():
            with torch.no_grad():
                outputs.append(network(batch["image"]).numpy())
            truth.append(np.stack([batch[key].numpy() for key in ("label", "valence", "arousal")], 1))
        found, known = np.concatenate(outputs), np.concatenate(truth)
        classes = classification(found[:, :8].argmax(1), known[:, 0].astype(int))
        return Told(
            len(known), classes.accuracy, agreement(found[:, 8], known[:, 1]), agreement(found[:, 9], known[:, 2])
        )

    def judged(self) -> dict[str, Judged]:
        """Each expression encoder on people it has not seen."""
        paths = [str(self.out / name / "best.ckpt") for name in ("emotion", "other")]
        networks = emotion_network(paths[0]), emotion_network(paths[1])
        face = torch.from_numpy(face_region(training_head("open")) > 0.5)
        return {
            title: judge(cast(EmocaCoarseStage, make_stage(self._emoca(path, 1.0))), self._test(), networks, face)
            for title, path in ENCODERS.items()
        }

    def speed(self) -> StepSpeed:
        """Of a step of EMOCA's coarse stage with the emotion loss."""
        return step_speed(self._emoca("damaged.ckpt", 1.0), 20)

    def _taught(self, name: str, stage: type[TaughtCoarseStage | TaughtExpressionStage], epochs: int) -> None:
        how = self._configuration("emoca-coarse", epochs, 32, _FROM_RANDOM)
        model = face_model(training_head("open"))
        self._fit(name, how, lambda: stage(self.plan.backbone, how.optimiser, model, self._layout))

    def _emotion_network(self, name: str, seed: int) -> None:
        model = {"backbone": self.plan.backbone, "without_background": 0.5}
        how = self._configuration("emotion-network", self.plan.emotion_epochs, 32, _FROM_RANDOM, model=model)
        self._fit(name, replace(how, seed=seed))

    def _emoca(self, start: str, weight: float) -> Configuration:
        checkpoint = str(self.out / start)
        beginning = {"coarse": checkpoint, "expression": checkpoint, "emotion": str(self.out / "emotion/best.ckpt")}
        model = {"backbone": self.plan.backbone, "weights": {**PAPER_WEIGHTS, "emotion": weight}}
        optimiser = OptimiserSettings(5e-5)
        return self._configuration("emoca-coarse", self.plan.emoca_epochs, 16, optimiser, model=model, start=beginning)

    def _configuration(
        self, stage: StageName, epochs: int, batch: int, optimiser: OptimiserSettings, **rest: Any
    ) -> Configuration:
        data = DataSettings(*({"kind": "stored", "folder": str(self.out / name)} for name in ("train", "validation")))
        how = TrainerSettings(
            batch=batch, epochs=epochs, patience=0, workers=0, deterministic=True, save_every=100, pictures_every=0
        )
        return Configuration(stage, data, self.plan.seed, optimiser=optimiser, trainer=how, **rest)

    def _fit(self, name: str, configuration: Configuration, make: Callable[[], Stage] | None = None) -> None:
        lightning.seed_everything(configuration.seed, workers=True, verbose=False)
        stage = make_stage(configuration) if make is None else make()
        fit(stage, RunData(configuration), configuration.trainer, self.out / name, progress=False)

    def _test(self) -> DataLoader:
        return DataLoader(StoredFaces(self.out / "test"), 32)
