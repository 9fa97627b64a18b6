# SPDX-License-Identifier: GPL-3.0-or-later
"""The tensors of a file against those that a network of ours has: all there, of the same shapes, and none besides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Literal

import numpy as np
import torch
from torch import nn

from backend.networks.arcface import ArcFace
from backend.networks.codes import COARSE, DETAIL
from backend.networks.detail_decoder import DetailDecoder
from backend.networks.emotion import EmotionMLP, EmotionNetwork
from backend.networks.face_encoder import FaceEncoder
from backend.networks.lip_reading import LipReading
from backend.networks.mica import MappingNetwork
from backend.networks.resnet50 import ResNet50
from backend.networks.smirk_encoder import SmirkEncoder
from backend.networks.smirk_translator import SmirkTranslator
from backend.weights.stored import MadeArray, Readable
from blender_addon.contract.errors import ErrorCode, MienError

NetworkName = Literal[
    "coarse encoder", "detail encoder", "detail decoder", "expression encoder 50", "expression encoder 53",
    "expression encoder 56", "SMIRK encoder", "SMIRK translator", "ArcFace", "MICA mapping",
    "emotion network resnet50", "emotion network swin_b", "emotion network emonet", "emotion network mobilenet_large",
    "emotion network mobilenet_small", "emotion MLP 153", "emotion MLP 156", "emotion MLP 281", "emotion MLP 284",
    "face recognition", "lip reading swish", "lip reading prelu",
]  # fmt: skip
_VGGFACE2_PEOPLE = 8631
_NETWORKS: Mapping[NetworkName, Callable[[], nn.Module]] = {
    "coarse encoder": lambda: FaceEncoder(COARSE),
    "detail encoder": lambda: FaceEncoder(DETAIL),
    "detail decoder": DetailDecoder,
    "expression encoder 50": lambda: FaceEncoder(50),
    "expression encoder 53": lambda: FaceEncoder(53),
    "expression encoder 56": lambda: FaceEncoder(56),
    "SMIRK encoder": SmirkEncoder,
    "SMIRK translator": SmirkTranslator,
    "ArcFace": ArcFace,
    "MICA mapping": MappingNetwork,
    "emotion network resnet50": EmotionNetwork,
    "emotion network swin_b": lambda: EmotionNetwork(backbone="swin_b"),
    "emotion network emonet": lambda: EmotionNetwork(backbone="emonet"),
    "emotion network mobilenet_large": lambda: EmotionNetwork(backbone="mobilenet_large"),
    "emotion network mobilenet_small": lambda: EmotionNetwork(backbone="mobilenet_small"),
    "emotion MLP 153": lambda: EmotionMLP(153),
    "emotion MLP 156": lambda: EmotionMLP(156),
    "emotion MLP 281": lambda: EmotionMLP(281),
    "emotion MLP 284": lambda: EmotionMLP(284),
    "face recognition": lambda: ResNet50("caffe", _VGGFACE2_PEOPLE),
    "lip reading swish": LipReading,
    "lip reading prelu": lambda: LipReading("prelu"),
}
_COUNTER = "num_batches_tracked"
"""Of a batch norm, which old files lack and nothing that runs here reads."""
_SHOWN = 3


@cache
def expected(network: NetworkName) -> Mapping[str, tuple[tuple[int, ...], type]]:
    """Shape and type (float32 or int64) of each tensor of a network."""
    with torch.device("meta"):
        state = _NETWORKS[network]().state_dict()
    return {
        name: (tuple(tensor.shape), np.float32 if tensor.is_floating_point() else np.int64)
        for name, tensor in state.items()
    }


def matched(
    file: str, what: str, tensors: Mapping[str, object], networks: Mapping[str, NetworkName]
) -> dict[str, Readable]:
    """The tensors of networks, as a part keeps them.

    Args:
        file: Name of the file, for messages.
        what: What it is taken for ("DECA's networks").
        tensors: All that the file holds, under the prefixes of `networks`.
        networks: Which network stands under which prefix.

    Returns:
        Float32 and int64 arrays by prefix and name, to be read one by one; batch counters that are not there are 0.

    Raises:
        MienError: BAD_WEIGHTS with a list of what is missing, of another shape or too much; the first of each are in
            the message, all in the details. Later, from reading: a number that is none.
    """
    made: dict[str, Readable] = {}
    missing, different, strange = [], [], []
    for prefix, network in networks.items():
        known = expected(network)
        for name, (shape, kind) in known.items():
            found = tensors.get(prefix + name)
            if found is None and name.endswith(_COUNTER):
                made[prefix + name] = MadeArray((), kind, lambda: np.zeros((), np.int64))
            elif not _is_array(found):
                missing.append(prefix + name)
            elif tuple(found.shape) != shape:  # type: ignore[attr-defined]
                different.append(f"{prefix}{name} {_told(found.shape)} instead of {_told(shape)}")  # type: ignore[attr-defined]
            else:
                made[prefix + name] = MadeArray(shape, kind, _checked(file, prefix + name, found))  # type: ignore[arg-type]
        strange += [name for name in tensors if name.startswith(prefix) and name.removeprefix(prefix) not in known]
    if missing or different or strange:
        raise _mismatch(file, what, missing, different, strange)
    return made


def bad_weights(file: str, reason: str, remedy: str, **details: object) -> MienError:
    """A file that is not what networks or heads need.

    Args:
        file: Its name.
        reason: What is wrong, to follow the name.
        remedy: A sentence that says what to do.
        details: For programs.
    """
    return MienError(ErrorCode.BAD_WEIGHTS, f"{file} {reason}.", remedy, {"path": file, **details})


def _is_array(value: object) -> bool:
    """An array of numbers, in memory or in the file."""
    return hasattr(value, "shape") and getattr(getattr(value, "dtype", None), "kind", "") in ("f", "i", "u")


def _checked(file: str, name: str, found: Readable | np.ndarray) -> Callable[[], np.ndarray]:
    def make() -> np.ndarray:
        values = found if isinstance(found, np.ndarray) else found.read()
        if not np.isfinite(values).all():
            remedy = "Download it again; the original has none such."
            raise bad_weights(file, f"is damaged: '{name}' holds values that are not numbers", remedy, cause="damaged")
        return values

    return make


def _mismatch(
    file: str, what: str, missing: Sequence[str], different: Sequence[str], strange: Sequence[str]
) -> MienError:
    lines = []
    for names, reason in ((missing, "missing"), (different, "of another size"), (strange, "not known")):
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            verb = "is" if len(names) == 1 else "are"
            lines.append(f"{len(names)} {verb} {reason} ({', '.join(names[:_SHOWN])}{more})")
    remedy = "Add the file that the publisher gives out; networks of another size or kind cannot be run."
    return bad_weights(
        file, f"does not hold {what} as published: of its tensors {', '.join(lines)}", remedy, cause="mismatch",
        missing=list(missing), different=list(different), strange=list(strange),
    )  # fmt: skip


def _told(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "number"
