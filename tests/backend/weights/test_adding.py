# SPDX-License-Identifier: GPL-3.0-or-later
"""Fabricated official files through `models add`, and what comes out of the store."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.networks.codes import COARSE, DETAIL, ExpressionBranch
from backend.networks.detail_decoder import DetailDecoder
from backend.networks.emotion import EmotionMLP, EmotionNetwork
from backend.networks.face_encoder import FaceEncoder
from backend.networks.mica import Mica
from backend.networks.resnet50 import ResNet50
from backend.networks.smirk_encoder import SmirkEncoder
from backend.networks.smirk_translator import SmirkTranslator
from backend.weights.adding import Outcome, add
from backend.weights.parts import find, parts, parts_dir, use
from backend.weights.revision import flame_additions, flame_revision
from tests.backend.weights.states import same_states
from tests.face_flame import MEDIAPIPE_105, face_flame
from tests.official_files import (
    BEST_LOSS,
    VGGFACE2_PEOPLE,
    WORSE_LOSS,
    fixed_displacement,
    flame_source,
    mask_pixels,
    texture_data,
    write_albedo_space,
    write_deca,
    write_emoca,
    write_emoca_checkpoint,
    write_emotion_mlp,
    write_emotion_network,
    write_eyelids,
    write_face_recognition,
    write_fixed_displacement,
    write_flame_masks,
    write_flame_model,
    write_flame_zip,
    write_landmark_embedding,
    write_masks,
    write_mediapipe_embedding,
    write_mica,
    write_smirk,
    write_template_obj,
    write_texture_data,
    zipped,
)  # fmt: skip
from tests.seeded_networks import seeded

BRANCHES = {
    50: ExpressionBranch(),
    53: ExpressionBranch(jaw=True),
    56: ExpressionBranch(head_rotation=True, jaw=True),
}


def added(*paths: Path, release=None) -> Outcome:
    outcome = add(list(paths), release)
    assert not outcome.problems
    assert [entry.name for entry in parts_dir().iterdir() if not entry.name.endswith(".safetensors")] == []
    return outcome


def kinds(outcome: Outcome) -> list[tuple[str, str]]:
    return sorted((entry.part.kind, entry.part.name) for entry in outcome.added)


@pytest.fixture(scope="module")
def emoca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Outcome]]:
    """EMOCA v2 in its folder, added once, in a data folder of the module's own."""
    base = tmp_path_factory.mktemp("emoca")
    before, os.environ["MIEN_HOME"] = os.environ.get("MIEN_HOME"), str(base / "home")
    write_emoca(base / "models", "EMOCA_v2_lr_mse_20", mediapipe=True, others=(WORSE_LOSS,))
    yield base / "models", added(base / "models")
    if before is None:
        del os.environ["MIEN_HOME"]
    else:
        os.environ["MIEN_HOME"] = before


def test_the_networks_of_emoca_come_out_as_they_went_in(emoca) -> None:
    part = find("emoca", "EMOCA_v2_lr_mse_20")
    assert part.settings == {"head_rotation": "false", "jaw": "false"}
    assert part.origin == f"dataloader_idx_0={BEST_LOSS:.8f}.ckpt"
    networks = {"E_flame.": FaceEncoder(COARSE), "E_expression.": FaceEncoder(50), "E_detail.": FaceEncoder(DETAIL)}
    for prefix, module in (networks | {"D_detail.": DetailDecoder()}).items():
        same_states(part.tensors(prefix), module)
    crops = torch.rand(1, 3, 224, 224)
    ours = FaceEncoder(50)
    ours.load_state_dict(part.tensors("E_expression."), strict=True)
    with torch.inference_mode():
        assert torch.equal(ours.eval()(crops), seeded(FaceEncoder(50))(crops))


def test_what_else_a_checkpoint_of_emoca_holds(emoca) -> None:
    outcome, source = emoca[1], flame_source()
    names = ["fixed_displacement", "flame2020", "head_template", "landmark_embedding", "mediapipe_embedding"]
    assert kinds(outcome) == sorted(
        [("emoca", "EMOCA_v2_lr_mse_20"), ("uv_masks", "face_eye"), *((name, "emoca") for name in names)]
    )
    flame = find("flame2020")
    assert (flame.settings["identities"], flame.settings["expressions"]) == ("100", "50")
    arrays = flame.arrays()
    shapes = source.fields["shapedirs"].astype(np.float32)
    np.testing.assert_array_equal(arrays["shapedirs"], np.concatenate([shapes[..., :100], shapes[..., 300:350]], 2))
    np.testing.assert_array_equal(arrays["f"], source.fields["f"])
    template = find("head_template").arrays()
    np.testing.assert_array_equal(template["uv"], source.uv)
    np.testing.assert_array_equal(template["uv_faces"], source.uv_faces)
    media = find("mediapipe_embedding").arrays()
    np.testing.assert_array_equal(media["indices"], MEDIAPIPE_105)
    np.testing.assert_array_equal(media["faces"], source.landmarks["mediapipe"][0])
    mask = find("uv_masks", "face_eye").arrays()["mask"]
    np.testing.assert_array_equal(mask, mask_pixels("face_eye") / np.float32(255))
    assert sum("perceptual_loss" in note for entry in outcome.added for note in entry.notes) == 1


def test_only_the_best_checkpoint_of_a_model_is_read(emoca) -> None:
    outcome = emoca[1]
    assert [part.name for part in parts("emoca")] == ["EMOCA_v2_lr_mse_20"]
    assert any(f"={WORSE_LOSS:.8f}.ckpt" in name for name in outcome.unknown)
    assert any(name.endswith("last.ckpt") for name in outcome.unknown)


def test_the_checkpoint_alone_finds_its_configuration_and_is_there_already(emoca) -> None:
    checkpoint = next(emoca[0].rglob(f"*={BEST_LOSS:.8f}.ckpt"))
    outcome = added(checkpoint)
    assert outcome.added[0].part.name == "EMOCA_v2_lr_mse_20"
    assert all(entry.before for entry in outcome.added)


def test_files_of_their_own_go_before_what_checkpoints_hold(emoca, tmp_path: Path) -> None:
    write_template_obj(tmp_path / "head_template.obj")
    write_fixed_displacement(tmp_path / "fixed_displacement_256.npy")
    outcome = added(tmp_path, write_flame_zip(tmp_path / "zip"))
    assert not outcome.warnings  # the same head
    assert find("head_template").name == find("flame2020").name == find("fixed_displacement").name == ""
    assert find("flame2020").settings["identities"] == "300"
    wrong = added(write_flame_model(tmp_path / "other" / "generic_model.pkl", "face"))
    assert len(wrong.warnings) == 1
    assert "generic_model.pkl" in wrong.warnings[0]
    assert "differs by up to" in wrong.warnings[0]


@pytest.mark.parametrize(("outputs", "yaml"), [(53, True), (53, False), (56, False)])
def test_what_the_expression_encoder_gives(
    tmp_path: Path, mien_home: Path, monkeypatch: pytest.MonkeyPatch, outputs: int, yaml: bool
) -> None:
    written = BRANCHES[outputs] if outputs == 56 or not yaml else ExpressionBranch(head_rotation=True)
    checkpoint = write_emoca(tmp_path, "EMOCA", written, with_yaml=yaml, losses=False)
    notes = added(checkpoint).added[0].notes
    part = find("emoca")
    expected = written if yaml else BRANCHES[outputs]
    assert part.settings == {"head_rotation": str(expected.head_rotation).lower(), "jaw": str(expected.jaw).lower()}
    assert any("jaw was assumed" in note for note in notes) == (outputs == 53 and not yaml)
    assert part.name == "EMOCA"
    assert part.tensors("E_expression.")["layers.2.weight"].shape[0] == outputs


@pytest.mark.parametrize("legacy", [False, True])
def test_deca(tmp_path: Path, mien_home: Path, legacy: bool) -> None:
    outcome = added(write_deca(tmp_path / "deca_model.tar", legacy=legacy))
    assert kinds(outcome) == [("deca", "")]
    part = find("deca")
    for prefix, module in (("E_flame.", FaceEncoder(COARSE)), ("D_detail.", DetailDecoder())):
        same_states(part.tensors(prefix), module)


@pytest.mark.parametrize("legacy", [False, True])
def test_smirk(tmp_path: Path, mien_home: Path, legacy: bool) -> None:
    added(write_smirk(tmp_path / "renamed.pt", legacy=legacy))
    part = find("smirk")
    same_states(part.tensors("encoder."), SmirkEncoder())
    same_states(part.tensors("translator."), SmirkTranslator())
    network = SmirkEncoder()
    network.load_state_dict(part.tensors("encoder."), strict=True)
    crops = torch.rand(2, 3, 224, 224)
    with torch.inference_mode():
        for ours, theirs in zip(network.eval()(crops), seeded(SmirkEncoder())(crops), strict=True):
            assert torch.equal(ours, theirs)


def test_a_first_stage_of_smirk_has_no_translator(tmp_path: Path, mien_home: Path) -> None:
    added(write_smirk(tmp_path / "stage1.pt", translator=False))
    assert not find("smirk").tensors("translator.")


def test_mica(tmp_path: Path, mien_home: Path) -> None:
    added(write_mica(tmp_path / "mica.tar"))
    same_states(find("mica").tensors(), Mica(), ("arcface.", "regressor."))


def test_emotion_networks(tmp_path: Path, mien_home: Path) -> None:
    write_emotion_network(tmp_path / "emo", spectre=True)
    write_emotion_mlp(tmp_path / "emo")
    added(tmp_path / "emo")
    same_states(find("emotion_network").tensors(), EmotionNetwork())
    same_states(find("emotion_mlp", "EMOCA-emorec").tensors(), EmotionMLP())


def test_face_recognition_without_counters(tmp_path: Path, mien_home: Path) -> None:
    added(write_face_recognition(tmp_path / "resnet50_ft_weight.pkl"))
    same_states(find("face_recognition").tensors(), ResNet50("caffe", VGGFACE2_PEOPLE))


def test_files_of_heads(tmp_path: Path, mien_home: Path) -> None:
    write_landmark_embedding(tmp_path / "a.npy")
    write_mediapipe_embedding(tmp_path / "b.npz")
    write_flame_masks(tmp_path / "c.pkl")
    write_texture_data(tmp_path / "d.npy")
    write_fixed_displacement(tmp_path / "e.npy")
    write_template_obj(tmp_path / "f.obj")
    write_masks(tmp_path)
    added(tmp_path)
    source, dense = flame_source(), texture_data()
    marks = find("landmark_embedding").arrays()
    assert marks["full_faces"].shape == (68,)
    np.testing.assert_array_equal(marks["dynamic_faces"], source.landmarks["dynamic"][0])
    np.testing.assert_array_equal(find("flame_masks").arrays()["left_eyeball"], np.arange(3931, 4477))
    kept = find("texture_data").arrays()
    ids = dense["valid_pixel_ids"]
    np.testing.assert_array_equal(kept["pixels"], dense["y_coords"][ids] * 256 + dense["x_coords"][ids])
    np.testing.assert_array_equal(kept["corners"], dense["valid_pixel_3d_faces"])
    fixed = find("fixed_displacement").arrays()["displacement"]
    np.testing.assert_array_equal(fixed, fixed_displacement().astype(np.float32))
    np.testing.assert_allclose(find("head_template").arrays()["uv"], source.uv, atol=1e-6)
    np.testing.assert_array_equal(find("uv_masks", "face").arrays()["mask"], mask_pixels("face") / np.float32(255))


@pytest.mark.parametrize(("kind", "white"), [("bfm", 1), ("flame", 255)])
def test_albedo_spaces_are_red_first_and_within_one(tmp_path: Path, mien_home: Path, kind: str, white: int) -> None:
    with np.load(write_albedo_space(tmp_path / "space.npz", kind, components=52)) as file:
        mean, basis = (file[name] for name in (("MU", "PC") if kind == "bfm" else ("mean", "tex_dir")))
    added(tmp_path / "space.npz")
    arrays = find("albedo_space", kind).arrays()
    np.testing.assert_allclose(arrays["mean"], mean[..., ::-1] / white, rtol=1e-6)
    np.testing.assert_allclose(arrays["components"], basis[:, :, ::-1, :50] / white, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("swapped", [False, True])
def test_flame_tells_the_side_of_an_eyelid(tmp_path: Path, mien_home: Path, swapped: bool) -> None:
    lids = tmp_path / "lids"
    lids.mkdir()
    left, right = write_eyelids(lids)
    if swapped:
        left.rename(lids / "x.npy"), right.rename(left), (lids / "x.npy").rename(right)
    outcome = added(lids, write_flame_model(tmp_path / "generic_model.pkl", "face"))
    assert any("lies there on FLAME" in note for entry in outcome.added for note in entry.notes)
    offsets = face_flame().eyelids.astype(np.float32)
    np.testing.assert_array_equal(find("eyelids", "left").arrays()["offsets"], offsets[..., 0])
    np.testing.assert_array_equal(find("eyelids", "right").arrays()["offsets"], offsets[..., 1])


def test_without_flame_the_name_tells_the_side(tmp_path: Path, mien_home: Path) -> None:
    outcome = added(*write_eyelids(tmp_path))
    assert kinds(outcome) == [("eyelids", "left"), ("eyelids", "right")]
    assert all("its name says" in entry.notes[0] for entry in outcome.added)


def test_archives_in_archives_and_a_real_tar(tmp_path: Path, mien_home: Path) -> None:
    inner = tmp_path / "inner"
    write_smirk(inner / "SMIRK_em1.pt", translator=False)
    write_flame_zip(inner)
    archive = zipped(inner)
    with tarfile.open(tmp_path / "all.tar.gz", "w:gz", compresslevel=1) as outer:
        outer.add(archive, "some/where/inner.zip")
    outcome = added(tmp_path / "all.tar.gz")
    assert {kind for kind, _ in kinds(outcome)} == {"flame2020", "smirk"}
    assert find("flame2020").name == ""
    assert find("flame2020").origin == "generic_model.pkl"


def test_a_part_that_is_used_goes_first(tmp_path: Path, mien_home: Path) -> None:
    added(write_flame_zip(tmp_path))
    use(find("flame2020", "male"))
    assert find("flame2020").name == "male"


def test_the_revision_follows_the_parts(tmp_path: Path, mien_home: Path) -> None:
    assert flame_revision(flame_additions("flame2020")) == ""
    added(write_landmark_embedding(tmp_path / "a.npy"))
    first = flame_revision(flame_additions("flame2020"))
    added(*write_eyelids(tmp_path))
    assert len(first) == 64
    assert flame_revision(flame_additions("flame2020")) != first


@pytest.mark.parametrize(
    ("name", "release", "kind"),
    [
        ("generic_model.pkl", None, "flame2020"),
        ("model.pkl", None, "flame2020"),
        ("flame2023.pkl", None, "flame2023"),
        ("flame2023_Open.pkl", None, "flame2023_open"),
        ("FLAME2023Open/model.pkl", None, "flame2023_open"),
        ("model.pkl", "flame2023_open", "flame2023_open"),
        ("flame2023.pkl", "flame2020", "flame2020"),
    ],
)
def test_which_flame(tmp_path: Path, mien_home: Path, name: str, release, kind: str) -> None:
    outcome = added(write_flame_model(tmp_path / name), release=release)
    assert kinds(outcome) == [(kind, "")]
    notes = " ".join(outcome.added[0].notes)
    assert "Taken as" in notes
    assert ("Its name is that of" in notes) == (name == "flame2023.pkl" and release == "flame2020")


def test_nobody_gets_the_open_licence_by_accident(tmp_path: Path, mien_home: Path) -> None:
    outcome = add([write_flame_model(tmp_path / "FLAME2023Open" / "generic_model.pkl")])
    assert "named as FLAME 2023 Open" in str(outcome.problems[0])
    added(write_flame_model(tmp_path / "generic_model.pkl"))
    outcome = add([tmp_path / "generic_model.pkl"], "flame2023_open")
    assert "is the very file that is there as FLAME 2020" in str(outcome.problems[0])
    assert not parts("flame2023_open")


def test_deca_in_emocas_layout(tmp_path: Path, mien_home: Path) -> None:
    from tests.official_files import deca_state

    state = {f"deca.{a}.{b}": t for a, inner in deca_state().items() for b, t in inner.items()}
    added(write_emoca_checkpoint(tmp_path / "DECA" / "detail" / "checkpoints" / "x=1.0.ckpt", state))
    assert find("deca").name == "DECA"
