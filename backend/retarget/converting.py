# SPDX-License-Identifier: GPL-3.0-or-later
"""A take on another head: fitted anew to where the first head's vertices go, never by its coefficients.

The person becomes one identity of the other head, by least squares over the skin, with the rigid motion between the
heads. The motion is fitted frame by frame to how the face moves from the person without expression, so that what the
identities do not share is not taken for expression: the jaw begins as the first head's, then jaw, expression and
eyelids are found together, with priors, and with ARKit's bounds on a head of ARKit's channels. Turns and places are
such that the face stands where it stood before the camera: heads have their joints and origins in different places.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from backend.heads import load_head
from backend.progress import Progress, no_progress
from blender_addon.contract.arkit import SOLVED, arkit_curves, has_arkit
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import CommercialUse, HeadDescription
from blender_addon.contract.smoothing import has_raw, smooth, unsmoothed, with_raw
from blender_addon.contract.take import Take, TakeMeta
from blender_addon.contract.version import VERSION

from .arkit import arkit_solver, with_arkit
from .pairing import FAR, Counterparts, counterparts, face_weights, same_mesh, skull_weights
from .refitting import Refit

Pairing = Callable[[HeadDescription, HeadDescription, Progress], Counterparts]

_STRICTEST: tuple[CommercialUse, ...] = ("no", "unclear", "yes")
_DETAIL = "detail_code"
_RAW_SOLVED = f"raw_{SOLVED}"


@dataclass(frozen=True)
class Residual:
    """Distances over the face between the surfaces of the two heads, millimetres.

    Attributes:
        mean: Over vertices and frames.
        p95: The 95 % quantile over vertices and frames.
        most: The largest mean of a frame.
        most_frame: Index of that frame.
        rest: The mean of the person without expression.
    """

    mean: float
    p95: float
    most: float
    most_frame: int
    rest: float


@dataclass(frozen=True)
class Converted:
    """A take on another head.

    Attributes:
        take: The take.
        residual: How far it is from the one that it was made of.
        notes: What did not come along, as sentences for the user.
    """

    take: Take
    residual: Residual
    notes: tuple[str, ...]


def convert(
    take: Take,
    source: HeadDescription,
    target: HeadDescription,
    progress: Progress = no_progress,
    pairing: Pairing = counterparts,
) -> Converted:
    """A take on another head.

    The unsmoothed twins are converted and the take is smoothed from them as it was; a take without them is converted as
    it is. Licences are those of the take and of both heads, the strictest first.

    Args:
        take: The take.
        source: Its head.
        target: Another head.
        progress: Told of the registration, where it is not known yet, and of the frames.
        pairing: What says which place of a head is which of another.

    Raises:
        MienError: WRONG_HEAD where `source` is not the take's head; USAGE where the take is on the target already; what
            the registration raises.
    """
    take.require_head(source)
    if source.sha256 == target.sha256:
        message = f"The take of {take.meta.source} is on the head '{target.id}' already: there is nothing to convert."
        raise MienError(ErrorCode.USAGE, message, "Use the take as it is, or name another head with --to-head.")
    refit = _refit(take, source, target, progress, pairing)
    twins = has_raw(take)
    made = refit.converted(unsmoothed(take) if twins else take, progress)
    extra, notes = _kept(take, source, target, progress, pairing)
    meta = replace(_meta(take.meta, source, target), displacement=_displacement(take, source, target))
    result = replace(made, meta=meta, extra=extra)
    if twins:
        raw = with_raw(result)
        if SOLVED in extra:  # which is smoothed already; its twin is the take's
            raw = replace(raw, extra={**raw.extra, _RAW_SOLVED: extra[_RAW_SOLVED]})
        result = smooth(raw, take.meta.smoothing)
        result = replace(result, meta=replace(result.meta, smoothing=take.meta.smoothing))
    if not target.eyelids.shape[2] and take.eyelids.any():
        notes.append(f"The head '{target.id}' has no eyelid shapes: lids close in the take, its mesh does not show it.")
    return Converted(result, _residual(refit, take, result), tuple(notes))


def _refit(
    take: Take, source: HeadDescription, target: HeadDescription, progress: Progress, pairing: Pairing
) -> Refit:
    opened = load_head("open")
    pairs = _paired(source, target, progress, pairing)
    from_open = pairs if source.sha256 == opened.sha256 else _paired(opened, target, progress, pairing)
    near = pairs.distance < FAR
    face, skull = (
        np.where(near, weights, 0.0) for weights in (face_weights(target, from_open), skull_weights(target, from_open))
    )
    return Refit.of(take, source, target, pairs, face / face.sum(), skull / skull.sum())


def _paired(one: HeadDescription, other: HeadDescription, progress: Progress, pairing: Pairing) -> Counterparts:
    """Meshes that are the same are never registered."""
    return (counterparts if same_mesh(one, other) else pairing)(one, other, progress)


def _kept(
    take: Take, source: HeadDescription, target: HeadDescription, progress: Progress, pairing: Pairing
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Optional arrays that mean the same on the other head, and what is said of those that do not.

    ARKit's weights come along as the first head tells them, to a head that has other channels.
    """
    kept = {
        name: value
        for name, value in take.extra.items()
        if not name.startswith("raw_") and name not in (SOLVED, _DETAIL)
    }
    notes = []
    if same_mesh(source, target):
        kept |= {_DETAIL: take.extra[_DETAIL]} if _DETAIL in take.extra else {}
    elif _DETAIL in take.extra or take.meta.displacement:
        notes.append(f"Wrinkles belong to the mesh of '{source.id}': their maps and codes are left out.")
    if not has_arkit(target.expression_names):
        kept |= _arkit_arrays(take, source, progress, pairing)
    return kept, notes


def _arkit_arrays(
    take: Take, source: HeadDescription, progress: Progress, pairing: Pairing
) -> dict[str, np.ndarray]:
    if has_arkit(take.meta.channels):
        arrays = {SOLVED: take}
        if has_raw(take):
            arrays[_RAW_SOLVED] = unsmoothed(take)
        weights = {name: np.clip(arkit_curves(one).weights, 0, 1) for name, one in arrays.items()}
        return {name: array.astype(np.float32) for name, array in weights.items()}
    if SOLVED not in take.extra or (has_raw(take) and _RAW_SOLVED not in take.extra):
        opened = load_head("open")
        solver = arkit_solver(source, _paired(opened, source, progress, pairing), progress)
        take = with_arkit(take, source, solver=solver)
    return {name: take.extra[name] for name in (SOLVED, _RAW_SOLVED) if name in take.extra}


def _displacement(take: Take, source: HeadDescription, target: HeadDescription) -> tuple[str, ...]:
    return take.meta.displacement if same_mesh(source, target) else ()


def _meta(meta: TakeMeta, source: HeadDescription, target: HeadDescription) -> TakeMeta:
    """What the take on the target is about; `versions` says from which head it was converted."""
    uses = {f"{head.licence} (head {head.id})": head.commercial_use for head in (source, target)}
    known = {name: uses.get(name, meta.commercial_use) for name in meta.licences} | uses
    use = min((meta.commercial_use, *uses.values()), key=_STRICTEST.index)
    # A licence of the take's that is no head's is as strict as the take says, at most: it keeps its place.
    ordered = sorted(known, key=lambda name: _STRICTEST.index(known[name]))
    return replace(
        meta,
        head_id=target.id,
        head_sha256=target.sha256,
        channels=target.expression_names,
        versions={**meta.versions, "convert": f"{VERSION}, from {source.id} {source.sha256}"},
        licences=tuple(ordered),
        commercial_use=use,
    )


def _residual(refit: Refit, before: Take, after: Take) -> Residual:
    distances = refit.distances(before, after) * 1e3
    frames = distances.mean(axis=1)
    return Residual(
        float(distances.mean()),
        float(np.quantile(distances, 0.95)),
        float(frames.max()),
        int(frames.argmax()),
        float(refit.at_rest().mean() * 1e3),
    )
