# SPDX-License-Identifier: GPL-3.0-or-later
"""Files in the layouts in which the published networks and heads are given out, with seeded numbers in them.

None of the originals is needed: tensors are named, shaped and typed as in the official files, and folders lie as in the
official downloads. `tests.seeded_networks.seeded_state` gives the weights, so the tests know what must come out. The
files of heads are in `tests.official_heads`, and can be had from here as well.
"""

from __future__ import annotations

import pickle
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import numpy as np
import torch
import yaml
from PIL import Image
from torch import Tensor

from backend.networks.arcface import ArcFace
from backend.networks.codes import COARSE, DETAIL, ExpressionBranch
from backend.networks.detail_decoder import DetailDecoder
from backend.networks.emotion import EmotionMLP, EmotionNetwork
from backend.networks.face_encoder import FaceEncoder
from backend.networks.mica import MappingNetwork
from backend.networks.resnet50 import ResNet50
from backend.networks.smirk_encoder import SmirkEncoder
from backend.networks.smirk_translator import SmirkTranslator
from backend.networks.vgg import VGG19Features
from tests.official_heads import (  # noqa: F401  # tests find all writers here
    ALBEDO_SIZE,
    REGIONS,
    RELEASE_FILES,
    RELEASE_ZIPS,
    FlameSource,
    HeadKind,
    State,
    fixed_displacement,
    flame_buffers,
    flame_source,
    mask_pixels,
    render_buffers,
    texture_data,
    write_albedo_space,
    write_eyelids,
    write_fixed_displacement,
    write_flame_masks,
    write_flame_model,
    write_flame_zip,
    write_landmark_embedding,
    write_masks,
    write_mediapipe_embedding,
    write_template_obj,
    write_texture_data,
)  # fmt: skip
from tests.seeded_networks import seeded_state

Encoder = Callable[[int], State]
"""Gives the weights of an encoder by its number of outputs."""
VGGFACE2_PEOPLE = 8631
BEST_LOSS, WORSE_LOSS = 3.25521111, 9.44489288


@cache
def encoder_state(outputs: int) -> State:
    """Of DECA's and EMOCA's encoders (322 tensors); not to be changed."""
    return seeded_state(FaceEncoder(outputs))


@cache
def decoder_state() -> State:
    """Of the detail decoder (44 tensors); not to be changed."""
    return seeded_state(DetailDecoder())


def deca_state(encoder: Encoder = encoder_state) -> dict[str, State]:
    """The networks in `deca_model.tar`."""
    return {"E_flame": encoder(COARSE), "E_detail": encoder(DETAIL), "D_detail": decoder_state()}


def write_deca(path: Path, *, legacy: bool = False, encoder: Encoder = encoder_state) -> Path:
    """`deca_model.tar`, which `torch.save` wrote, with what upstream's training leaves beside the networks."""
    rest = {"opt": {"state": {}, "param_groups": [{"lr": 1e-4}]}, "global_step": 1000, "batch_size": 6}
    return _save(deca_state(encoder) | rest, path, legacy=legacy)


def emoca_state(
    branch: ExpressionBranch = ExpressionBranch(),  # noqa: B008  # frozen
    *,
    mediapipe: bool = False,
    texture: bool = False,
    losses: bool = True,
    head: HeadKind = "random",
    seed: int = 0,
    encoder: Encoder = encoder_state,
) -> State:
    """The `state_dict` of an EMOCA checkpoint (1070 tensors without texture).

    Args:
        branch: What the expression encoder gives.
        mediapipe: As version 2, which also has MediaPipe's landmarks.
        texture: With the albedo space.
        losses: With VGG-19, which the training's loss needs (80 MB).
        head: The head in it.
        seed: Of the head.
        encoder: The encoders' weights.
    """
    mask = torch.from_numpy(mask_pixels("face_eye").astype(np.float32) / 255)
    fixed = torch.from_numpy(fixed_displacement()).float()
    state: State = {"uv_face_eye_mask": mask[None, None], "fixed_uv_dis": fixed}
    state |= under("D_detail.", decoder_state())
    if losses:
        state |= under("perceptual_loss.featlayer.", VGG19Features().state_dict())
    for name, outputs in (("E_flame", COARSE), ("E_expression", branch.outputs), ("E_detail", DETAIL)):
        state |= under(f"{name}.", encoder(outputs))
    source = flame_source(head, seed)
    state |= under("flame.", flame_buffers(source, mediapipe))
    if texture:
        texels = 3 * ALBEDO_SIZE**2
        state["flametex.texture_mean"] = torch.rand(1, 1, texels)
        state["flametex.texture_basis"] = torch.rand(1, texels, 50)
    state |= under("render.", render_buffers(source))
    return under("deca.", state)


def write_emoca_checkpoint(path: Path, state: Mapping[str, Tensor]) -> Path:
    """A checkpoint as Lightning 1.4 writes it, whose callbacks' states lie under their classes."""
    with named_class("pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint") as checkpoint:
        kept = {
            "monitor": "val_loss", "best_model_score": torch.tensor(1.5), "best_model_path": "best.ckpt",
            "current_score": torch.tensor(2.0), "dirpath": "checkpoints",
        }  # fmt: skip
        content = {
            "epoch": 10, "global_step": 58014, "pytorch-lightning_version": "1.4.9", "state_dict": dict(state),
            "callbacks": {checkpoint: kept}, "optimizer_states": [], "lr_schedulers": [],
        }  # fmt: skip
        return _save(content, path)


@contextmanager
def named_class(full_name: str) -> Iterator[type]:
    """A class that pickles take for one of a package that need not be here."""
    module, _, name = full_name.rpartition(".")
    made = type(name, (), {"__module__": module})
    places = module.split(".")
    modules = {".".join(places[: count + 1]): ModuleType(place) for count, place in enumerate(places)}
    setattr(modules[module], name, made)
    with patch.dict(sys.modules, modules):
        yield made


def write_emoca(
    folder: Path,
    name: str = "EMOCA",
    branch: ExpressionBranch = ExpressionBranch(),  # noqa: B008  # frozen
    *,
    with_yaml: bool = True,
    deca_class: str = "ExpDECA",
    backbone: str = "deca_clone",
    others: Sequence[float] = (),
    **content: object,
) -> Path:
    """The folder of one of EMOCA's models as in the official download.

    Args:
        folder: The folder of models.
        name: Of the model ("EMOCA_v2_lr_mse_20").
        branch: What the expression encoder gives.
        with_yaml: Write `cfg.yaml`.
        deca_class, backbone: What that says.
        others: Losses of worse checkpoints that lie beside the best one (small files that hold nothing), and a
            `last.ckpt`.
        content: See `emoca_state`.

    Returns:
        The checkpoint that is the best, `BEST_LOSS`.
    """
    model = folder / name
    checkpoints = model / "detail" / "checkpoints"
    if with_yaml:
        _write_yaml(model / "cfg.yaml", {stage: {"model": {
            "deca_class": deca_class, "expression_backbone": backbone, "exp_deca_jaw_pose": branch.jaw,
            "exp_deca_global_pose": branch.head_rotation, "n_shape": 100, "n_exp": 50, "n_detail": 128, "mode": stage,
        }} for stage in ("coarse", "detail")})  # fmt: skip
    for loss in others:
        _save({"state_dict": {}}, checkpoints / "deca-epoch=03-val_loss" / f"dataloader_idx_0={loss:.8f}.ckpt")
    if others:
        _save({"state_dict": {}}, checkpoints / "last.ckpt")
    path = checkpoints / "deca-epoch=10-val_loss" / f"dataloader_idx_0={BEST_LOSS:.8f}.ckpt"
    return write_emoca_checkpoint(path, emoca_state(branch, **content))  # type: ignore[arg-type]


def smirk_state(translator: bool = True, encoder: Mapping[str, Tensor] | None = None) -> State:
    """The content of `SMIRK_em1.pt` (940 tensors)."""
    state = under("smirk_encoder.", encoder or seeded_state(SmirkEncoder()))
    return state | (under("smirk_generator.", seeded_state(SmirkTranslator())) if translator else {})


def write_smirk(
    path: Path, translator: bool = True, *, legacy: bool = False, encoder: Mapping[str, Tensor] | None = None
) -> Path:
    """`SMIRK_em1.pt`; without the translator 14 MB, as of a first stage of training."""
    return _save(smirk_state(translator, encoder), path, legacy=legacy)


def mica_state() -> dict[str, State]:
    """The networks in `mica.tar`; its FLAME buffers are left out."""
    return {"arcface": seeded_state(ArcFace()), "flameModel": under("regressor.", seeded_state(MappingNetwork()))}


def write_mica(path: Path, head: HeadKind = "random") -> Path:
    """`mica.tar`, which `torch.save` wrote, 260 MB."""
    state = mica_state()
    buffers = flame_buffers(flame_source(head), False, identity=300, expression=0)
    rest = {"opt": {}, "scheduler": {}, "validator": {}, "epoch": 8, "global_step": 160000, "batch_size": 8}
    return _save(state | {"flameModel": state["flameModel"] | under("generator.", buffers)} | rest, path)


def write_emotion_network(folder: Path, *, spectre: bool = False) -> Path:
    """The folder `ResNet50` of EMOCA's emotion networks; returns the checkpoint. SPECTRE's names one layer anew."""
    state = seeded_state(EmotionNetwork())
    if spectre:
        state = {name.replace("linear.", "linear.0."): tensor for name, tensor in state.items()}
    config = {"model": {"backbone": "resnet50", "n_expression": 8, "emotion_type": "emo_net"}}
    _write_yaml(folder / "ResNet50" / "cfg.yaml", config)
    place = folder / "ResNet50" / "checkpoints" / "deca-epoch=01-val_loss_total"
    return write_emoca_checkpoint(place / "dataloader_idx_0=1.27607644.ckpt", state)


def write_emotion_mlp(folder: Path, inputs: int = 153) -> Path:
    """The folder `EMOCA-emorec` of EMOCA's emotion networks; returns the checkpoint."""
    state = under("mlp.model.", part(seeded_state(EmotionMLP(inputs)), "model."))
    state |= {"deca.deca.E_flame.layers.2.bias": torch.zeros(COARSE)}
    _write_yaml(folder / "EMOCA-emorec" / "cfg.yaml", {"model": {"num_mlp_layers": 4, "use_detail_code": inputs > 160}})
    place = folder / "EMOCA-emorec" / "checkpoints" / "deca-epoch=00-val_loss_total"
    return write_emoca_checkpoint(place / "dataloader_idx_0=1.38192022.ckpt", state)


def write_face_recognition(path: Path) -> Path:
    """`resnet50_ft_weight.pkl`: a pickled dictionary of numpy arrays, without counters of batches."""
    state = seeded_state(ResNet50("caffe", VGGFACE2_PEOPLE))
    arrays = {name: tensor.numpy() for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(arrays, protocol=2))
    return path


def write_deca_data(folder: Path, head: HeadKind = "random", *, model: bool = True) -> Path:
    """The folder `data` of DECA's repository after its download script."""
    folder.mkdir(parents=True, exist_ok=True)
    if model:
        write_deca(folder / "deca_model.tar")
    write_flame_model(folder / "generic_model.pkl", head)
    write_template_obj(folder / "head_template.obj", head)
    write_landmark_embedding(folder / "landmark_embedding.npy", head)
    write_fixed_displacement(folder / "fixed_displacement_256.npy")
    write_texture_data(folder / "texture_data_256.npy")
    write_masks(folder)
    Image.new("RGB", (512, 512), (180, 140, 120)).save(folder / "mean_texture.jpg")
    return folder


def zipped(folder: Path, path: Path | None = None) -> Path:
    """The folder as an archive, with its own name as the first of each path."""
    path = path or folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent))
    return path


def part(state: Mapping[str, Tensor], prefix: str) -> State:
    """The tensors under a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def under(prefix: str, state: Mapping[str, Tensor]) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def _write_yaml(path: Path, values: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(values))


def _save(content: object, path: Path, *, legacy: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path
