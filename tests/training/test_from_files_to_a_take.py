# SPDX-License-Identifier: GPL-3.0-or-later
"""EMOCA from files in the official layouts to a take, as a user does it: `mien models add`, `train`, `capture`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from backend.heads import load_head
from backend.progress import no_progress
from backend.weights.landmarker import landmarker_file
from blender_addon.contract.take import Take
from tests.backend.conftest import fetched
from tests.official_files import write_emotion_network
from tests.pictures import save_astronaut
from tests.published_files import write_downloads

pytestmark = pytest.mark.slow
FEW = (
    "albedo=skins", "trainer.accelerator=cpu", "trainer.devices=1", "trainer.workers=0", "trainer.epochs=1",
    "trainer.steps=2", "trainer.validate_every=1",
)  # fmt: skip


@dataclass(frozen=True)
class User:
    """Somebody with a data folder and a folder to work in."""

    folder: Path
    repository: Path

    def mien(self, *arguments: object) -> str:
        """What the command prints."""
        command = [sys.executable, "-m", "backend.cli", *map(str, arguments)]
        environment = os.environ | {"MIEN_HOME": str(self.folder / "home"), "PYTHONPATH": str(self.repository)}
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def data(*, rings: bool) -> tuple[str, ...]:
    """Synthetic faces of the user's FLAME, two steps of them."""
    ring = ", pictures_a_ring: 2" if rings else ""
    one = f"{{kind: synthetic, head: flame2020, people: 2, pictures: 2{ring}, first_person: "
    about = (f"data.train={one}0}}", f"data.validation={one}50}}", "data.balanced=false", "data.augmentation=none")
    return *about, f"trainer.batch={1 if rings else 2}"


@pytest.fixture(scope="module")
def user(module_path: Path, repository: Path) -> User:
    """With FLAME, DECA and an emotion network, and a run of each stage of EMOCA, of which the second was added."""
    model = fetched(lambda: landmarker_file(no_progress))
    (module_path / "home" / "models").mkdir(parents=True)
    shutil.copy(model, module_path / "home" / "models" / model.name)
    user = User(module_path, repository)
    emotion = write_emotion_network(module_path / "emotion")
    user.mien("models", "add", *write_downloads(module_path, "deca"), emotion)
    user.mien("train", "emoca-coarse", *FEW, *data(rings=False))
    names = ("coarse", "expression", "detail_encoder", "detail_decoder")
    starts = [f"start.{name}=runs/emoca_coarse/best.ckpt" for name in names]
    without_vgg = ("start.vgg19=null", "model.weights.mrf=0")
    user.mien("train", "emoca-detail", *FEW, *data(rings=True), *starts, *without_vgg)
    user.mien("models", "add", "runs/emoca_detail/best.ckpt")
    return user


def test_the_engine_that_was_trained_captures(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "emoca:emoca_detail" in user.mien("models")
    photo = save_astronaut(user.folder / "portrait.png")
    user.mien("capture", photo, "--engine", "emoca", "--weights", "emoca_detail", "--device", "cpu")
    take = Take.load(user.folder / "portrait.take.npz")
    assert take.meta.engine == "emoca" and "emoca emoca_detail" in take.meta.versions
    assert take.meta.commercial_use == "no"
    assert np.isfinite(take.expression).all() and take.expression[0, :50].any()
    assert list((user.folder / "portrait.displacement").iterdir())
    monkeypatch.setenv("MIEN_HOME", str(user.folder / "home"))
    take.require_head(load_head("flame2020"))
