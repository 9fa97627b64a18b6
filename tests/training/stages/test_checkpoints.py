# SPDX-License-Identifier: GPL-3.0-or-later
"""What stages of EMOCA leave is EMOCA: 'mien models add' takes their checkpoints, whole and to the bit."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import lightning
import numpy as np
import pytest
import torch
import yaml
from torch import Tensor
from torch.utils.data import DataLoader

from backend.weights.adding import add
from backend.weights.parts import find, write_part
from blender_addon.contract.errors import MienError
from blender_addon.contract.head import HeadDescription
from tests.official_files import write_deca
from tests.seeded_parts import face_encoder
from tests.small_stages import rings
from training.model.starting import weights
from training.stages.making import make_stage
from training.trainer.configuration import Configuration, DataSettings, StageName, TrainerSettings
from training.trainer.run import fit

NETWORKS = ("E_flame.", "E_expression.", "E_detail.", "D_detail.")
HOW = TrainerSettings(batch=1, steps=1, patience=0, workers=0, accelerator="cpu", devices=1, pictures_every=0)


class OneRing(lightning.LightningDataModule):
    """Two pictures of one person, again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.trained = [{name: values[:2] for name, values in rings().items()}]

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.trained)

    val_dataloader = train_dataloader


def write_surroundings() -> None:
    """What is needed of FLAME beside the model: colours, and where the face is."""
    random = np.random.default_rng(0)
    colours = {"mean": random.uniform(0.3, 0.7, (256, 256, 3)), "components": random.normal(0, 0.01, (256, 256, 3, 50))}
    arrays = {name: values.astype(np.float32) for name, values in colours.items()}
    write_part("albedo_space", arrays, origin="FLAME_texture.npz", sha256="d" * 64, name="flame")
    mask = {"mask": np.ones((256, 256), np.float32)}
    write_part("uv_masks", mask, origin="uv_face_eye_mask.png", sha256="e" * 64, name="face_eye")


def trained(stage: StageName, start: dict[str, str], model: dict[str, object], out: Path) -> dict[str, Tensor]:
    """The tensors of the checkpoint after one step."""
    about = DataSettings(train={}, validation={})
    made = make_stage(Configuration(stage, about, head="flame2020", start=start, model=model))
    result = fit(made, OneRing(), HOW, out, progress=False)  # type: ignore[arg-type]
    assert result.steps == 1
    return torch.load(result.last, weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def runs(flame: HeadDescription, module_path: Path) -> SimpleNamespace:
    """EMOCA's coarse stage from DECA's file, with a jaw of its own, and the detail stage from that."""
    write_surroundings()
    deca = write_deca(module_path / "deca_model.tar", encoder=lambda outputs: face_encoder(outputs).state_dict())
    model: dict[str, object] = {"jaw": True, "weights": {"photometric": 2.0, "expression": 1e-4}}
    coarse = trained("emoca-coarse", {"coarse": str(deca)}, model, module_path / "my_coarse")
    names = ("coarse", "expression", "detail_encoder", "detail_decoder")
    start = dict.fromkeys(names, str(module_path / "my_coarse" / "last.ckpt"))
    model = {"jaw": True, "weights": {"photometric": 5.0, "symmetry": 0.005}}
    detail = trained("emoca-detail", start, model, module_path / "my_detail")
    return SimpleNamespace(folder=module_path, deca=weights(str(deca)), coarse=coarse, detail=detail)


@pytest.mark.parametrize("run", ["coarse", "detail"])
def test_a_checkpoint_becomes_an_engine(runs: SimpleNamespace, run: str, parity: Path) -> None:
    saved = {name.removeprefix("deca."): value for name, value in getattr(runs, run).items()}
    outcome = add([runs.folder / f"my_{run}" / "last.ckpt"])
    assert not outcome.problems
    part = find("emoca", f"my_{run}")
    assert part is not None
    assert part.settings == {"head_rotation": "false", "jaw": "true"}
    assert not any("assumed" in note for added in outcome.added for note in added.notes)
    stored = part.tensors()
    assert set(stored) == set(saved)
    for name, value in stored.items():
        assert torch.equal(value, saved[name]), name
    published = json.loads((parity / "emoca" / "networks_keys.json").read_text())
    lists = zip(NETWORKS, ("E_flame", "E_expression_53", "E_detail", "D_detail"), strict=True)
    wanted = {prefix + key: tuple(shape) for prefix, module in lists for key, shape, _ in published[module]}
    assert {name: tuple(value.shape) for name, value in stored.items()} == wanted


def test_only_what_a_stage_trains_differs_from_what_it_began_from(runs: SimpleNamespace) -> None:
    def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
        return {name.split(".")[1] for name in after if name in before and not torch.equal(before[name], after[name])}

    began = {f"deca.{name}": value for name, value in runs.deca.items()}
    assert changed(began, runs.coarse) == set()
    assert changed(runs.coarse, runs.detail) == {"E_detail", "D_detail"}


def test_the_configuration_beside_it_says_which_branch_it_is(runs: SimpleNamespace) -> None:
    said = yaml.safe_load((runs.folder / "my_detail" / "cfg.yaml").read_text())["model"]
    assert (said["exp_deca_jaw_pose"], said["exp_deca_global_pose"]) == (True, False)


def test_a_frozen_part_must_come_from_somewhere(runs: SimpleNamespace) -> None:
    with pytest.raises(MienError, match=r"start\.expression"):
        trained("emoca-detail", {"coarse": str(runs.folder / "deca_model.tar")}, {"weights": {}}, runs.folder / "none")
