# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks with seeded weights, for tests and measurements; torch and numpy only, so that it runs on a bare machine."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from backend.networks.arcface import ArcFace
from backend.networks.detail_decoder import LATENT, DetailDecoder
from backend.networks.emotion import EmotionMLP, EmotionNetwork
from backend.networks.face_encoder import FaceEncoder
from backend.networks.mica import MappingNetwork, Mica
from backend.networks.smirk_encoder import ExpressionEncoder, PoseEncoder, ShapeEncoder, SmirkEncoder
from backend.networks.smirk_translator import SmirkTranslator
from backend.networks.vgg import VGG16Features, VGG19Features

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Subject:
    """A network and the shape of one of its inputs."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]


CROP = (3, 224, 224)
SUBJECTS: Mapping[str, Subject] = {
    "DECA coarse encoder": Subject(lambda: FaceEncoder(236), CROP),
    "DECA detail encoder": Subject(lambda: FaceEncoder(128), CROP),
    "EMOCA expression encoder": Subject(lambda: FaceEncoder(50), CROP),
    "detail decoder": Subject(DetailDecoder, (LATENT,)),
    "emotion network": Subject(EmotionNetwork, CROP),
    "emotion MLP": Subject(EmotionMLP, (153,)),
    "SMIRK pose encoder": Subject(PoseEncoder, CROP),
    "SMIRK shape encoder": Subject(ShapeEncoder, CROP),
    "SMIRK expression encoder": Subject(ExpressionEncoder, CROP),
    "SMIRK encoder": Subject(SmirkEncoder, CROP),
    "SMIRK translator": Subject(SmirkTranslator, (6, 224, 224)),
    "ArcFace": Subject(ArcFace, (3, 112, 112)),
    "MICA mapping": Subject(MappingNetwork, (512,)),
    "MICA": Subject(Mica, (3, 112, 112)),
    "VGG-16 features": Subject(VGG16Features, CROP),
    "VGG-19 features": Subject(VGG19Features, CROP),
}
"""All networks that run on crops or parameters, by the name under which measurements print them."""


def named_rng(name: str) -> np.random.Generator:
    """The generator of a tensor: PCG64 seeded with the crc32 of its name."""
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def seeded_state(module: nn.Module) -> dict[str, Tensor]:
    """Weights from the tensors' names alone, in the sizes that keep activations finite."""
    tensors = module.state_dict()
    state = {}
    for name, tensor in tensors.items():
        sibling = name.removesuffix("weight") + "running_mean"
        is_norm = tensor.dim() == 1 and name.endswith(".weight") and sibling in tensors
        state[name] = torch.from_numpy(_drawn(name, tuple(tensor.shape), tensor.is_floating_point(), is_norm))
    return state


@lru_cache(maxsize=400)  # of one network: those after it often have the same tensors
def _drawn(name: str, shape: tuple[int, ...], floating: bool, is_norm: bool) -> np.ndarray:
    rng = named_rng(name)
    if not floating:
        return np.zeros(shape, np.int64)
    if name.endswith("running_var") or is_norm:
        values = rng.uniform(0.5, 1.5, shape)
    elif len(shape) < 2:
        values = 0.1 * rng.standard_normal(shape)
    else:
        values = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    return np.asarray(values, np.float32)


def seeded(module: Network, keep: tuple[str, ...] = ()) -> Network:
    """The module in evaluation with seeded weights, loaded strictly; tensors in `keep` stay as they were built."""
    kept = {name: module.state_dict()[name] for name in keep}
    module.load_state_dict(seeded_state(module) | kept, strict=True)
    return module.eval()


def seeded_subject(name: str) -> nn.Module:
    """One of `SUBJECTS`."""
    module = SUBJECTS[name].build()
    return seeded(module, tuple(key for key in ("mean", "std") if key in module.state_dict()))


def random_input(name: str, batch: int, seed: int = 0) -> Tensor:
    """An input of one of `SUBJECTS`: uniform in [0, 1]."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return torch.from_numpy(rng.uniform(0, 1, (batch, *SUBJECTS[name].shape)).astype(np.float32))
