# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of the store with seeded networks that answer as to faces: small codes, a camera that shows a head."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from backend.heads.flame import load_flame
from backend.networks.codes import COARSE, DETAIL, ExpressionBranch
from backend.networks.emotion import EmotionMLP, EmotionNetwork
from backend.networks.face_encoder import FaceEncoder
from backend.networks.mica import Mica
from backend.networks.smirk_encoder import SmirkEncoder
from backend.weights.parts import Part, write_part
from blender_addon.contract.head import HeadDescription, Landmarks
from tests.face_flame import embedded, face_flame, write_model
from tests.seeded_networks import seeded

CAMERA = (8.0, 0.0, 0.02)
"""About what the published networks say of faces: s, tx, ty."""


@lru_cache
def flame_head(folder: Path) -> HeadDescription:
    """The head of `tests.face_flame` as the store would give it, with eyelids and landmarks."""
    from dataclasses import replace

    head, made = load_flame(write_model(folder / "generic_model.pkl")), face_flame()
    open_marks = _open_landmarks()
    marks = {name: Landmarks(*_typed(embedded(open_marks[name]))) for name in ("ibug68", "mediapipe478")}
    return replace(head, eyelids=made.eyelids.astype(np.float32), landmarks=marks, id="flame2020")


def write_embedding() -> Part:
    """FLAME's landmark embedding, of which engines only name the licence."""
    return write_part("landmark_embedding", {"static_faces": np.zeros(51, np.int32)}, origin="l.npy", sha256="e" * 64)


def write_deca() -> Part:
    return _write("deca", {"E_flame.": face_encoder(COARSE), "E_detail.": face_encoder(DETAIL)})


def write_emoca(branch: ExpressionBranch = ExpressionBranch(), name: str = "EMOCA_v2_lr_mse_20") -> Part:  # noqa: B008
    networks = {"E_flame.": face_encoder(COARSE), "E_detail.": face_encoder(DETAIL)}
    settings = {"head_rotation": str(branch.head_rotation).lower(), "jaw": str(branch.jaw).lower()}
    return _write("emoca", networks | {"E_expression.": face_encoder(branch.outputs)}, name, settings)


def write_smirk() -> Part:
    return _write("smirk", {"encoder.": smirk_encoder()})


def write_mica() -> Part:
    return _write("mica", {"": seeded(Mica())})


def write_emotion() -> Part:
    return _write("emotion_network", {"": seeded(EmotionNetwork())})


def write_emotion_mlp() -> Part:
    return _write("emotion_mlp", {"": seeded(EmotionMLP())})


@lru_cache
def face_encoder(outputs: int) -> FaceEncoder:
    """An encoder whose coarse code, if it gives one, has a camera that shows a head."""
    network = seeded(FaceEncoder(outputs))
    tame(network, network.layers[2])
    if outputs == COARSE:
        _point_camera(network.layers[2], 206)
    return network


@lru_cache
def smirk_encoder() -> SmirkEncoder:
    network = seeded(SmirkEncoder())
    pose, shape, expression = network.pose_encoder, network.shape_encoder, network.expression_encoder
    tame(pose, pose.pose_cam_layers[0])
    tame(shape, shape.shape_layers[0])
    tame(expression, expression.expression_layers[0])
    _point_camera(pose.pose_cam_layers[0], 3)
    with torch.no_grad():
        expression.expression_layers[0].weight[50:] *= 0.2
        expression.expression_layers[0].bias[50:53] = torch.tensor([0.4, 0.5, 0.2])
    return network


def eager(engine: str, crops: Tensor) -> dict[str, np.ndarray]:
    """What the networks say without being made faster."""
    with torch.inference_mode():
        if engine == "smirk":
            return {name: value.numpy() for name, value in smirk_encoder().eval()(crops)._asdict().items()}
        code = face_encoder(236).eval()(crops).numpy()
        said = {"identity": code[:, :100], "jaw": code[:, 203:206], "head_rotation": code[:, 200:203]}
        said |= {"expression": code[:, 150:200], "camera": code[:, 206:209]}
        said["detail"] = face_encoder(128).eval()(crops).numpy()
        if engine == "emoca":
            said["expression"] = face_encoder(50).eval()(crops).numpy()
        return said


def tame(network: nn.Module, last: nn.Linear) -> None:
    """Make a network's answers to a picture of noise about as large as those of faces are."""
    noise = torch.from_numpy(np.random.default_rng(0).uniform(0, 1, (1, 3, 224, 224)).astype(np.float32))
    with torch.no_grad():
        last.bias.zero_()
        last.weight *= 0.3 / network.eval()(noise).std()


def _point_camera(last: nn.Linear, first: int) -> None:
    with torch.no_grad():
        last.weight[first : first + 3] *= 0.01
        last.bias[first : first + 3] = torch.tensor(CAMERA)


def _write(kind: str, networks: dict[str, nn.Module], name: str = "", settings: dict[str, str] | None = None) -> Part:
    arrays: dict[str, np.ndarray] = {}
    for prefix, network in networks.items():
        arrays |= {prefix + key: _array(value) for key, value in network.state_dict().items()}
    sha = hashlib.sha256(f"{kind} {name}".encode()).hexdigest()
    return write_part(kind, arrays, origin=f"{kind}.tar", sha256=sha, name=name, settings=settings or {})


def _array(value: Tensor) -> np.ndarray:
    return value.detach().numpy()


def _typed(embedding: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return embedding[0].astype(np.int32), embedding[1].astype(np.float32)


def _open_landmarks() -> dict[str, Landmarks]:
    from backend.heads import load_head

    return dict(load_head("open").landmarks)
