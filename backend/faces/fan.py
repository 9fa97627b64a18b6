# SPDX-License-Identifier: GPL-3.0-or-later
"""FAN's 68 landmarks (Bulat and Tzimiropoulos 2017), around which DECA's and EMOCA's crops were published. Optional:
`mien setup --fan`, and weights that the user brings.

Of the package face-alignment the network alone is used. Its own functions go image by image, compile with a C++
compiler that few have, and download what nobody checks; here crops are made and run in batches, and the weights must
have the hash that their name states.

Without FAN, the 68 of MediaPipe's landmarks nearest to its points stand in. The box of all 478 would not do, as it
reaches up to the hairline: in 71 pictures of three portraits and two clips its side was 9 % larger (5 to 95 %: 7 to 11)
and its middle 7.5 % of the face's size higher (4.5 to 10), sideways within 1.3 %. How far FAN's own points are from
those 68 was not measured, since its weights were not at hand.
"""

from __future__ import annotations

import importlib.util
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.networks.loading import ReadyNetwork, ready
from backend.weights.fetch import sha256_of
from backend.weights.restricted import load_restricted
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.places import models_dir

FILE_NAME = "2DFAN4-11f355bf06.pth.tar"
SHA256_START = "11f355bf06"
"""Of the weights: what their author's file name states of their SHA-256."""
SOURCE = f"https://www.adrianbulat.com/downloads/python-fan/{FILE_NAME}"
MODULES, CROP, HEATMAP = 4, 256, 64
BATCH = 16
"""Crops at once: the heatmaps and what leads to them take 60 MB each."""

_REFERENCE, _SCALE, _UP = 195.0, 200.0, 0.12
"""A box whose sides sum to 195 pixels has a crop of 200; its middle is 12 % of its height above the box's."""
_QUARTER = 0.25
_MIRRORED = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1), 45, 44, 43, 42, 47, 46, 39, 38, 37, 36]
    + [41, 40, *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65]
)
"""(68,) which point each becomes in the mirrored picture."""


def fan_installed() -> bool:
    """Whether face-alignment is installed."""
    return importlib.util.find_spec("face_alignment") is not None


def fan_weights() -> Path | None:
    """The weights where the user put them: in the models folder, or where face-alignment itself keeps them."""
    torch_home = os.environ.get("TORCH_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "torch")
    places = (models_dir(), Path(torch_home).expanduser() / "hub" / "checkpoints")
    return next((place / FILE_NAME for place in places if (place / FILE_NAME).exists()), None)


def fan_landmarks(frame: np.ndarray, boxes: np.ndarray, device: torch.device | str = "cpu") -> np.ndarray:
    """FAN's landmarks of faces in a frame.

    The published code cuts them to whole pixels; these are not cut.

    Args:
        frame: (H,W,3) uint8 RGB.
        boxes: (B,4) or (4,) x0, y0, x1, y1 from forehead to chin: MediaPipe's bounds, or a detector's.
        device: where the network runs.

    Returns:
        (B,68,2) or (68,2) in iBUG's order: full-frame pixels, origin top left, pixel centres at +0.5.

    Raises:
        MienError: SETUP_FAILED where face-alignment is not installed; MISSING_FILE where the weights are not there,
            WRONG_HASH or BAD_HEAD where they are others.
        ValueError: a box has no size.
    """
    boxes = np.asarray(boxes, np.float64)
    if boxes.ndim == 1:
        return fan_landmarks(frame, boxes[None], device)[0]
    network = load_fan(str(device))
    middle, side = crop_squares(boxes)
    pixels = torch.from_numpy(np.ascontiguousarray(frame)).to(device)
    found = [np.zeros((0, len(_MIRRORED), 2))]
    for start in range(0, len(boxes), BATCH):
        part = slice(start, start + BATCH)
        points = peaks(_heatmaps(network, _crops(pixels, middle[part], side[part])))
        found.append(middle[part, None] + (points / HEATMAP - 0.5) * side[part, None, None])
    return np.concatenate(found)


@lru_cache(maxsize=2)
def load_fan(device: str) -> ReadyNetwork:
    """FAN, ready on a device: crops (B,3,256,256), RGB in [0,1] -> heatmaps (B,68,64,64). Raises as `fan_landmarks`."""
    if not fan_installed():
        message = "FAN's landmarks need the package face-alignment, which is not installed."
        raise MienError(ErrorCode.SETUP_FAILED, message, "Run 'mien setup --fan', or use --boxes mediapipe.")
    path = fan_weights()
    if path is None:
        message = f"The weights of FAN are not there: {models_dir() / FILE_NAME} is missing."
        remedy = f"Download {SOURCE} and put it there, or use --boxes mediapipe."
        raise MienError(ErrorCode.MISSING_FILE, message, remedy, {"path": str(models_dir() / FILE_NAME)})
    found = sha256_of(path)
    if not found.startswith(SHA256_START):
        message = f"{path} is damaged or not the weights of FAN (its SHA-256 is {found[:12]}...)."
        remedy = f"Delete the file and download it again from {SOURCE}."
        raise MienError(ErrorCode.WRONG_HASH, message, remedy, {"path": str(path), "sha256": found})
    network = LastHeatmaps()
    try:
        state = {name: torch.from_numpy(np.asarray(value)) for name, value in _state(path).items()}
        network.fan.load_state_dict(state, strict=True)
    except (RuntimeError, TypeError, AttributeError) as error:
        message = f"{path} does not hold the weights of FAN."
        raise MienError(ErrorCode.BAD_HEAD, message, f"Download {SOURCE} again.", {"path": str(path)}) from error
    return ready(network, found, torch.device(device), (3, CROP, CROP))


def _state(path: Path) -> dict[str, np.ndarray]:
    state = load_restricted(path)
    if not isinstance(state, dict):
        raise TypeError("no table of tensors")
    return state


class LastHeatmaps(nn.Module):
    """The network of face-alignment, of whose four heatmaps the last counts."""

    def __init__(self) -> None:
        super().__init__()
        from face_alignment.models import FAN

        self.fan = FAN(MODULES)

    def forward(self, crops: Tensor) -> Tensor:
        return self.fan(crops)[-1]


def crop_squares(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middles (B,2) and sides (B,) of FAN's crops of faces in boxes (B,4).

    Raises:
        ValueError: a box has no size.
    """
    low, high = boxes[:, :2], boxes[:, 2:]
    size = high - low
    if not (size > 0).all():
        raise ValueError("a box without size has no crop")
    middle = (low + high) / 2 - size[:, 1:] * [0.0, _UP]
    return middle, size.sum(axis=1) * (_SCALE / _REFERENCE)


def _crops(frame: Tensor, middle: np.ndarray, side: np.ndarray) -> Tensor:
    """(B,3,256,256) RGB in [0,1], sampled linearly, black outside the frame (H,W,3)."""
    height, width = frame.shape[:2]
    steps = (np.arange(CROP) + 0.5) / CROP - 0.5
    places = middle[:, None] + steps[None, :, None] * side[:, None, None]
    relative = torch.from_numpy(2 * places / [width, height] - 1).to(frame.device, torch.float32)
    across, down = relative[:, None, :, 0], relative[:, :, None, 1]
    grid = torch.stack(torch.broadcast_tensors(across, down), -1)
    image = (frame.permute(2, 0, 1)[None].float() / 255).expand(len(middle), -1, -1, -1)
    return functional.grid_sample(image, grid, padding_mode="zeros", align_corners=False)


def _heatmaps(network: ReadyNetwork, crops: Tensor) -> np.ndarray:
    """(B,68,64,64) of crops and their mirror images together, as published."""
    mirrored = network(crops.flip(-1)).flip(-1)[:, _MIRRORED.tolist()]
    return (network(crops) + mirrored).cpu().numpy()


def peaks(heatmaps: np.ndarray) -> np.ndarray:
    """(B,68,2) where heatmaps (B,68,64,64) are highest, in their pixels with centres at +0.5: a quarter of a pixel
    towards the higher neighbour."""
    rows, columns = np.divmod(heatmaps.reshape(*heatmaps.shape[:2], -1).argmax(axis=-1), HEATMAP)
    inside = (rows > 0) & (rows < HEATMAP - 1) & (columns > 0) & (columns < HEATMAP - 1)
    padded = np.pad(heatmaps, ((0, 0), (0, 0), (1, 1), (1, 1)))
    image, point = np.ogrid[: len(heatmaps), : heatmaps.shape[1]]
    right = np.sign(padded[image, point, rows + 1, columns + 2] - padded[image, point, rows + 1, columns])
    down = np.sign(padded[image, point, rows + 2, columns + 1] - padded[image, point, rows, columns + 1])
    moved = _QUARTER * inside[..., None] * np.stack((right, down), -1)
    return np.stack((columns, rows), -1) + 0.5 + moved
