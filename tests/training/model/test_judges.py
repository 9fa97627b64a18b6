# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks that judge how alike pictures are, from the files that people have of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from backend.networks.vgg import VGG19Features
from blender_addon.contract.errors import MienError
from tests.official_files import write_face_recognition
from tests.seeded_networks import seeded
from training.model.judges import face_recognition, vgg19


@pytest.fixture(scope="module")
def features() -> dict[str, Tensor]:
    return dict(seeded(VGG19Features(), ("mean", "std")).vgg19.state_dict())


@pytest.mark.parametrize("prefix", ["features.", "deca.perceptual_loss.featlayer.vgg19."])
def test_vgg19_by_the_names_of_torchvision_and_of_emoca(
    tmp_path: Path, features: dict[str, Tensor], prefix: str
) -> None:
    path = tmp_path / "vgg19.pth"
    torch.save({prefix + name: value for name, value in features.items()}, path)
    found = vgg19(str(path))
    assert all(torch.equal(value, features[name]) for name, value in found.vgg19.state_dict().items())
    assert found.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])


def test_another_file_is_no_vgg19(tmp_path: Path) -> None:
    torch.save({"linear.weight": torch.zeros(2, 2)}, tmp_path / "other.pth")
    with pytest.raises(MienError, match="no VGG-19"):
        vgg19(str(tmp_path / "other.pth"))


def test_face_recognition_by_the_published_file(tmp_path: Path) -> None:
    network = face_recognition(str(write_face_recognition(tmp_path / "resnet50_ft_weight.pkl")))
    with torch.no_grad():
        assert network(torch.rand(1, 3, 224, 224)).shape == (1, 2048)
