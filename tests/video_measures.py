# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a solved take is from the known one: what tests of clips bound and benchmarks print."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from backend.heads.model import HeadModel
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.take import Take
from tests.make_clip import make_clip
from tests.motion import Motion, Span
from tests.synthetic import similarity_aligned

MOVES = 0.1
"""Range from which on a channel counts as moving; 1 is a full unit, a closed lid or 30 degrees."""
MOST_LAG = 6
"""Frames to either side within which a lag is looked for."""
_FULL_TURN = np.radians(30.0)
_BATCH = 64


@dataclass(frozen=True)
class Error:
    """Of a quantity over the frames: the median, what 95 % of the frames stay under, and both without what is the same
    in all frames (a constant turn, or a constant factor of the distance, which a head's size explains as well)."""

    median: float
    most: float
    median_of_motion: float
    most_of_motion: float


@dataclass(frozen=True)
class Jitter:
    """Mean way of the face's vertices from frame to frame, millimetres: within the head's own space (expression), and
    in the camera's (with head rotation and translation)."""

    head: float
    camera: float


@dataclass(frozen=True)
class Numbers:
    """All measures of one clip.

    Attributes:
        correlation: of each channel that moves.
        rotation: of the head, degrees.
        translation: of the head, percent of the distance.
        identity: surface, millimetres.
        jitter: on the still frames.
        lag: frames by which the solved take is late.
        blink: least depth of a blink over the true one.
    """

    correlation: Mapping[str, float]
    rotation: Error
    translation: Error
    identity: float
    jitter: Jitter
    lag: float
    blink: float

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Name, value and bound of each number, for people."""
        worst = sorted(self.correlation, key=self.correlation.__getitem__)
        for name in worst:
            yield f"correlation, {name}", f"{self.correlation[name]:.3f}", "at least .9"
        turn, way = self.rotation, self.translation
        yield "head rotation, median (95 %)", f"{turn.median:.2f} ({turn.most:.2f}) deg", "at most 1 deg"
        yield "  without a constant turn", f"{turn.median_of_motion:.2f} ({turn.most_of_motion:.2f}) deg", ""
        yield "translation, median (95 %) of the distance", f"{way.median:.2f} ({way.most:.2f}) %", "at most 2 %"
        yield "  without a constant factor", f"{way.median_of_motion:.2f} ({way.most_of_motion:.2f}) %", ""
        yield "identity, median surface error", f"{self.identity:.2f} mm", "at most 0.8 mm"
        yield "jitter on still frames, head space", f"{self.jitter.head:.3f} mm a frame", "at most 0.05 mm"
        yield "  camera space", f"{self.jitter.camera:.3f} mm a frame", ""
        yield "lag", f"{self.lag:+.2f} frames", "under 1"
        yield "depth of the shallowest blink", f"{self.blink:.2f}", "at least .95 of the raw values"


def measure(
    folder: Path,
    model: HeadModel,
    motion: Motion,
    capture: Callable[[Path], Take],
    size: tuple[int, int] = (640, 360),
    rate: float = 30.0,
    seed: int = 0,
) -> Numbers:
    """Write a clip of one person, capture it, and compare.

    Args:
        folder: where the clip is written.
        model: of the whole head.
        motion: what the clip shows.
        capture: solves the video at a path; the focal length is `make_clip.FOCAL_MM` (35 mm equivalent).
        size: width and height in pixels.
        rate: frames a second of the motion.
        seed: of the person's looks.
    """
    path = folder / f"synthetic {seed}.mp4"
    (truth,) = make_clip(path, model.head, model, [motion], size, rate, seed)
    return compare(model, truth, capture(path), motion.spans)


def compare(model: HeadModel, truth: Take, solved: Take, spans: Sequence[Span]) -> Numbers:
    """Compare a solved take with the truth.

    Args:
        model: of the whole head.
        truth: known take.
        solved: take of the same clip or of a range of it.
        spans: of the motion, by frame of the truth; "still" and "blink" are used.
    """
    known, found = matched(truth, solved)
    here = list(_spans_of(known, _frames(truth), spans))
    still = next((span for span in here if span.name == "still"), None)
    return Numbers(
        correlation=correlations(known, found),
        rotation=rotation_error(known, found),
        translation=translation_error(known, found),
        identity=identity_error(model, known, found),
        jitter=jitter(model, found, still) if still else Jitter(np.nan, np.nan),
        lag=lag(known, found) if len(known) > 4 * MOST_LAG else float("nan"),
        blink=blink_depth(known, found, here),
    )


def _spans_of(take: Take, numbers: np.ndarray, spans: Sequence[Span]) -> Iterator[Span]:
    """Spans by row of a take, from spans by row of frames with these numbers; those cut short at an end are left out,
    but of a still one the rest is kept."""
    frames = _frames(take)
    for span in spans:
        first, last = numbers[span.first], numbers[min(span.last, len(numbers) - 1)]
        rows = np.flatnonzero((frames >= first) & (frames <= last))
        whole = len(rows) and frames[0] <= first and frames[-1] >= last
        if whole or (span.name == "still" and len(rows) > 1):
            yield Span(span.name, int(rows[0]), int(rows[-1]))


def matched(truth: Take, solved: Take) -> tuple[Take, Take]:
    """The two takes at the frames that both have and in which both see the person."""
    shared, here, there = np.intersect1d(_frames(truth), _frames(solved), return_indices=True)
    if not len(shared):
        raise ValueError("the takes share no frames")
    both = truth.valid[here] & solved.valid[there]
    return at_frames(truth, here[both]), at_frames(solved, there[both])


def at_frames(take: Take, rows: np.ndarray) -> Take:
    """The take with some of its frames only."""
    meta, arrays = take.to_arrays()
    fixed = {"identity", "camera_matrix", "image_size"}
    return Take.from_arrays(meta, {name: a if name in fixed else a[rows] for name, a in arrays.items()})


def _frames(take: Take) -> np.ndarray:
    return take.extra.get("frame", np.arange(1, len(take) + 1))


def channels(take: Take) -> dict[str, np.ndarray]:
    """(T,) curves by name, 1 for a full unit, a closed lid or 30 degrees of jaw, eye or head."""
    curves = {name: take.expression[:, column] for column, name in enumerate(take.meta.channels)}
    curves |= {f"eyelid{side}": take.eyelids[:, column] for column, side in enumerate(("Left", "Right"))}
    angles = {"jaw": take.jaw[:, 0]}
    for side, start in (("Left", 0), ("Right", 3)):
        angles |= {f"eye{side}Down": take.eyes[:, start], f"eye{side}Turn": take.eyes[:, start + 1]}
    angles |= dict(zip(("headPitch", "headYaw", "headRoll"), take.head_rotation.T, strict=True))
    curves |= {name: angle / _FULL_TURN for name, angle in angles.items()}
    return {name: curve.astype(np.float64) for name, curve in curves.items()}


def moving(truth: Take, least: float = MOVES) -> list[str]:
    """Names of the channels that move in the truth."""
    return [name for name, curve in channels(truth).items() if np.ptp(curve) >= least]


def correlations(truth: Take, solved: Take) -> dict[str, float]:
    """Pearson's correlation of each channel that moves in the truth; 0 for one that the solved take leaves still."""
    known, found = channels(truth), channels(solved)
    return {name: _correlation(known[name], found[name]) for name in moving(truth)}


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one, other)[0, 1]) if np.ptp(other) > 1e-9 and np.ptp(one) > 1e-9 else 0.0


def rotation_error(truth: Take, solved: Take) -> Error:
    """Angle between the head rotations, degrees."""
    known, found = (Rotation.from_rotvec(take.head_rotation.astype(np.float64)) for take in (truth, solved))
    apart = known.inv() * found
    constant = apart.mean()
    return _error(np.degrees(apart.magnitude()), np.degrees((apart * constant.inv()).magnitude()))


def translation_error(truth: Take, solved: Take) -> Error:
    """Distance between the head translations as percent of the distance from the camera."""
    known, found = truth.translation.astype(np.float64), solved.translation.astype(np.float64)
    away = np.linalg.norm(known, axis=1)
    factor = (known * found).sum() / (found**2).sum()
    plain, scaled = (np.linalg.norm(known - part, axis=1) / away * 100 for part in (found, factor * found))
    return _error(plain, scaled)


def _error(values: np.ndarray, of_motion: np.ndarray) -> Error:
    parts = [(float(np.median(part)), float(np.percentile(part, 95))) for part in (values, of_motion)]
    return Error(*parts[0], *parts[1])


def identity_error(model: HeadModel, truth: Take, solved: Take) -> float:
    """Median distance over the skin of the resting face after a similarity, millimetres."""
    front = face_vertices(model.head)
    heads = [_vertices(model, take, (), 1)[0][front].astype(np.float64) for take in (truth, solved)]
    aligned = similarity_aligned(heads[1], heads[0])
    return float(np.median(np.linalg.norm(aligned - heads[0], axis=1))) * 1e3


def face_vertices(head: HeadDescription) -> np.ndarray:
    """Indices of the skin of the face, from ear to ear and from brow to chin."""
    skin = np.unique(head.faces[head.polygon_material[head.face_polygon] == head.materials.index("skin")])
    return skin[(head.template[skin, 2] > 0.02) & (head.template[skin, 1] > -0.11)]


def jitter(model: HeadModel, take: Take, still: Span) -> Jitter:
    """How much the face trembles while the person sits still."""
    part = at_frames(take, np.arange(still.first, still.last + 1))
    front = face_vertices(model.head)
    face = _vertices(model, part, ("expression", "eyelids", "jaw"), len(part))[:, front]
    whole = _vertices(model, part, ("expression", "eyelids", "jaw", "neck", "head_rotation"), len(part))[:, front]
    whole = whole * [1, -1, -1] + part.translation[:, None]
    ways = [np.linalg.norm(np.diff(points.astype(np.float64), axis=0), axis=2).mean() * 1e3 for points in (face, whole)]
    return Jitter(*map(float, ways))


def _vertices(model: HeadModel, take: Take, names: Sequence[str], count: int) -> np.ndarray:
    """(count, V, 3) vertices posed by some of a take's arrays."""
    batches = []
    with torch.inference_mode():
        identity = torch.from_numpy(take.identity[None].copy())
        for start in range(0, count, _BATCH):
            parts = {name: torch.from_numpy(getattr(take, name)[start : start + _BATCH].copy()) for name in names}
            batches.append(model(identity=identity, **parts).vertices.numpy())
    return np.concatenate(batches)


def lag(truth: Take, solved: Take) -> float:
    """Frames by which the solved take is late: where its speeds agree best with the truth's, to parts of a frame.

    Speeds of all moving channels, each weighed by how much the truth says it moves, are correlated at whole shifts; a
    parabola through the best and its neighbours gives the rest. The takes must have every frame of their range.
    """
    known, found = channels(truth), channels(solved)
    names = moving(truth)
    if not names:
        raise ValueError("nothing moves")
    one, other = (np.diff(np.stack([curves[name] for name in names], axis=1), axis=0) for curves in (known, found))
    scale = np.linalg.norm(other, axis=0)
    other = np.where(scale > 1e-9, other / np.maximum(scale, 1e-9), 0)
    one = one / np.linalg.norm(one, axis=0)
    most = min(MOST_LAG, len(one) // 4)
    inner = slice(most, len(one) - most)
    shifts = np.arange(-most, most + 1)
    agreement = [(one[inner] * np.roll(other, -shift, axis=0)[inner]).sum() for shift in shifts]
    best = int(np.clip(np.argmax(agreement), 1, len(shifts) - 2))
    before, at, after = agreement[best - 1 : best + 2]
    bend = before - 2 * at + after
    return float(shifts[best] + (0.5 * (before - after) / bend if bend else 0.0))


def blink_depth(truth: Take, solved: Take, spans: Sequence[Span]) -> float:
    """Least closure that a blink reaches over the one it reaches in the truth (or in raw values given as such)."""
    depths = []
    for span in spans:
        if span.name == "blink":
            known, found = (take.eyelids[span.first : span.last + 1].max(0) for take in (truth, solved))
            depths.append(float((found / known).min()))
    return min(depths) if depths else float("nan")
