# SPDX-License-Identifier: GPL-3.0-or-later
"""From a take's detail codes to displacement maps (Feng et al. 2021, section 4.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from backend.detail.displacement import displacement_map
from backend.networks.codes import DETAIL, EXPRESSION
from backend.networks.detail_decoder import MAP_SIZE, DetailDecoder
from backend.networks.inference import optimised
from backend.weights.parts import Part, find
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.take import Take

CODE = "detail_code"
"""The array of a take that the decoder needs."""
_DECODER = "D_detail."
_BATCH = 8


@dataclass(frozen=True, eq=False)
class Wrinkles:
    """What turns codes into maps.

    Attributes:
        decoder: Latents (B, 181) to (B, 1, 256, 256) metres.
        mask: (256, 256) 0 to 1, where the prediction counts.
        fixed: (256, 256) metres, what all heads share.
        device: Where the decoder is.
        key: Changes with anything of this that changes a map.
    """

    decoder: nn.Module
    mask: Tensor
    fixed: Tensor
    device: torch.device
    key: str

    def maps(self, latents: np.ndarray) -> Iterator[np.ndarray]:
        """A map (256, 256) float32, metres, row 0 at v = 1, for each row of latents (N, 181)."""
        for rows in torch.from_numpy(latents).split(_BATCH):
            with torch.inference_mode():
                predicted = self.decoder(rows.to(self.device)).float().cpu() * self.mask
            yield from displacement_map(predicted, self.fixed)[:, 0].numpy()


def load_wrinkles(engine: str, weights: str, device: torch.device, masked: bool = True) -> Wrinkles | None:
    """The decoder of the engine's weights, with the mask and the fixed displacement where these were added.

    The published export has no mask. What the decoder says outside of the face was never learnt from pictures, so a
    head in a scene would get seams there: the prediction is cut to the face and the eyes unless asked otherwise.

    Args:
        engine: "deca" or "emoca"; None is the answer for others.
        weights: Name of the weights; empty for those that were added or chosen last.
        device: Where to decode.
        masked: Whether the prediction counts on the face and the eyes alone.

    Returns:
        None for an engine that sees no wrinkles, and for weights without a decoder.

    Raises:
        MienError: BAD_HEAD for files that are damaged or whose arrays do not fit the network.
    """
    part = find(engine, weights) if engine in ("deca", "emoca") else None  # type: ignore[arg-type]  # both are kinds
    state = part.tensors(_DECODER) if part is not None else {}
    if part is None or not state:
        return None
    mask = find("uv_masks", "face_eye") if masked else None
    fixed = find("fixed_displacement")
    ones, zeros = torch.ones(MAP_SIZE, MAP_SIZE), torch.zeros(MAP_SIZE, MAP_SIZE)
    used = [f"{part.kind}:{part.sha256}:{part.path.stat().st_size}"]
    used += [f"{other.kind}:{other.sha256}" for other in (mask, fixed) if other is not None]
    return Wrinkles(
        optimised(_decoder(part, state), device),
        ones if mask is None else _map(mask, "mask"),
        zeros if fixed is None else _map(fixed, "displacement"),
        device,
        " ".join(used),
    )


def sees_wrinkles(take: Take) -> bool:
    """Whether a take has codes that a decoder understands."""
    return take.extra[CODE].shape[1] == DETAIL if CODE in take.extra else False


def latents(take: Take, frames: np.ndarray) -> np.ndarray:
    """What the decoder needs for some frames (N,) of a take: (N, 181) jaw, expression, detail code.

    Raises:
        MienError: BAD_TAKE for a take without codes or with too few expression coefficients.
    """
    if not sees_wrinkles(take) or take.expression.shape[1] < EXPRESSION:
        message = f"The take of {take.meta.source} has no wrinkles."
        raise MienError(ErrorCode.BAD_TAKE, message, "Capture it with an engine that sees them: deca or emoca.")
    codes = filled_codes(take)
    return np.concatenate((take.jaw, take.expression[:, :EXPRESSION], codes), axis=1)[frames].astype(np.float32)


def filled_codes(take: Take) -> np.ndarray:
    """(T, 128) detail codes; those of frames without a face run between their neighbours of the same shot."""
    codes = take.extra[CODE].astype(np.float64)
    segment = take.extra.get("segment", np.zeros(len(take), np.int32))
    frames = np.arange(len(take))
    for shot in np.unique(segment):
        here = segment == shot
        seen = frames[here & take.valid] if (here & take.valid).any() else frames[take.valid]
        if not len(seen):
            return codes  # nothing tells better
        missing = frames[here & ~take.valid]
        after = np.searchsorted(seen, missing)
        right, left = seen[np.minimum(after, len(seen) - 1)], seen[np.maximum(after - 1, 0)]
        left = np.where(after == 0, right, left)
        share = np.where(right > left, (missing - left) / np.maximum(right - left, 1), 0.0)[:, None]
        codes[missing] = (1 - share) * codes[left] + share * codes[right]
    return codes


def digest(wrinkles: Wrinkles, rows: np.ndarray) -> str:
    """A short name for the maps that some latents give: equal for equal maps."""
    return hashlib.sha256(wrinkles.key.encode() + rows.tobytes()).hexdigest()[:16]


def _decoder(part: Part, state: dict[str, Tensor]) -> DetailDecoder:
    decoder = DetailDecoder()
    try:
        decoder.load_state_dict(state, strict=True)
    except RuntimeError as error:
        message = f"The detail decoder in {part.path} is not that of {part.kind.upper()}."
        remedy = "Add the original file again with 'mien models add'."
        raise MienError(ErrorCode.BAD_HEAD, message, remedy, {"path": str(part.path)}) from error
    return decoder


def _map(part: Part, name: str) -> Tensor:
    array = part.tensors().get(name)
    if array is None or array.shape != (MAP_SIZE, MAP_SIZE):
        message = f"{part.path} holds no map of {MAP_SIZE}x{MAP_SIZE}."
        remedy = "Add the original file again with 'mien models add'."
        raise MienError(ErrorCode.BAD_HEAD, message, remedy, {"path": str(part.path)})
    return array.float()
