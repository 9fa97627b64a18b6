# SPDX-License-Identifier: GPL-3.0-or-later
"""The film by which a user judges a capture: the fitted heads as lines over each frame, and what was found.

Drawn quickly: the polygons' edges that face the camera as one-pixel lines, every other one of them, the features of
the face (lips, lids, irises) and the outline stronger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from backend.rendering.camera import NEAREST
from backend.rendering.raster import visible_faces
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.projection import HEAD_TO_CAMERA, to_camera

STRIP = 30
"""Height in pixels of the strip for a frame of 720 lines."""
_COLOURS = ((120, 214, 255), (255, 190, 92), (150, 235, 140), (240, 150, 220), (250, 235, 110), (150, 160, 255))
"""RGB of the persons' lines, in their order."""
_FILLED = (255, 90, 70)
_LINE, _SURFACE, _STRONG = 0.42, 0.16, 235
"""Opacity of the thin lines, of the surface between them, and (of 255) of the strong lines."""
_EYES, _SKIN = ("sclera", "iris", "pupil"), ("skin", "lips")
_EYE_LINES = (("sclera", "iris"), ("iris", "pupil"))
_LIP_LINES = (("lips", "skin"), ("lips", "mouth"))
"""Pairs of materials whose common edges are drawn strong."""
_SHIFT = 3
"""Fractional bits of the coordinates."""
_SHADES = 4
_SHORTEST = 0.0035
"""Metres; shorter edges, which would fill up around lids and nostrils, are not drawn."""
_VIEW_SIZE, _VIEW_SCALE = 512, 0.17
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True, eq=False)
class OverlayFrame:
    """One person in one frame.

    Attributes:
        vertices: (V, 3) posed, metres, head space.
        translation: (3,) metres, camera space.
        camera_matrix: (3, 3) pixels of the frame.
        label: what the strip calls the person.
        confidence: 0 to 1.
        filled: whether the values were filled in, since the face was not seen.
        person: number from 1, for the colour.
        head: which of the overlay's heads it is.
    """

    vertices: np.ndarray
    translation: np.ndarray
    camera_matrix: np.ndarray
    label: str
    confidence: float
    filled: bool
    person: int = 1
    head: int = 0


class FrameOverlay:
    """Draws fitted heads over the frames of a clip.

    Args:
        heads: descriptions of the heads that occur.
    """

    def __init__(self, heads: Sequence[HeadDescription]) -> None:
        meshes = {id(head): _Mesh(head) for head in heads}
        self._meshes = [meshes[id(head)] for head in heads]

    def draw(self, pixels: np.ndarray, faces: Sequence[OverlayFrame], title: str = "") -> np.ndarray:
        """Draw one frame.

        Args:
            pixels: (H, W, 3) uint8 RGB; left as it is.
            faces: everyone whose head is drawn.
            title: at the strip's left, such as the frame's number.

        Returns:
            (H, W, 3) uint8 RGB.
        """
        picture = pixels.copy()
        for face in sorted(faces, key=lambda face: -float(face.translation[2])):
            self._meshes[face.head].draw(picture, face)
        _strip(picture, title, faces)
        return picture


@dataclass(frozen=True, eq=False)
class _Lines:
    """Edges of the mesh: their ends (N, 2), and the two polygons beside each (N, 2), -1 where there is none."""

    ends: np.ndarray
    sides: np.ndarray

    def some(self, chosen: np.ndarray) -> _Lines:
        return _Lines(self.ends[chosen], self.sides[chosen])


class _Mesh:
    """What of a head is drawn: the polygons that can be seen from somewhere in front, so no sockets and nostrils."""

    def __init__(self, head: HeadDescription) -> None:
        self._head = head
        self._outer = _seen_from_outside(head)

    def draw(self, picture: np.ndarray, face: OverlayFrame) -> None:
        """Draw one head into the picture (H, W, 3)."""
        points = to_camera(np.asarray(face.vertices, np.float64), np.asarray(face.translation, np.float64))
        if points[:, 2].min() < NEAREST:
            return
        pixels = (points @ np.asarray(face.camera_matrix).T)[:, :2] / points[:, 2:]
        window = _window(pixels, picture.shape)
        if window is None:
            return
        part = picture[window[1] : window[3], window[0] : window[2]]
        places = pixels - window[:2]
        facing = np.where(self._outer, self._facing(points), -1.0)
        colour = _FILLED if face.filled else _COLOURS[(face.person - 1) % len(_COLOURS)]
        self._blend(part, places, facing, np.array(colour, np.float32))

    def _blend(self, part: np.ndarray, places: np.ndarray, facing: np.ndarray, colour: np.ndarray) -> None:
        centred = places - 0.5  # to OpenCV, whole numbers are the centres of pixels
        fixed = np.round(centred * (1 << _SHIFT)).astype(np.int32)
        cover = np.zeros(part.shape[:2], np.uint8)
        thick = max(1, round(part.shape[0] / 400))

        def strong(lines: np.ndarray) -> None:
            cv2.polylines(cover, list(fixed[lines]), False, _STRONG, thick, cv2.LINE_AA, _SHIFT)

        self._fill(cover, fixed, self._eyes, facing)
        strong(self._seen(self._eye_lines, facing))
        self._fill(cover, fixed, self._skin, facing)  # hides what of the eyes lies behind the lids
        mesh = self._seen(self._mesh, facing)
        cv2.polylines(cover, list(fixed[mesh]), False, int(255 * _LINE), 1, cv2.LINE_8, _SHIFT)
        strong(np.concatenate([self._seen(self._lip_lines, facing), self._outline(facing)]))
        weight = cover[..., None].astype(np.uint16)
        mixed = part * (255 - weight) + weight * colour.astype(np.uint16)
        part[:] = (mixed + 127) // 255

    def _facing(self, points: np.ndarray) -> np.ndarray:
        """(P,) cosine between a polygon's normal and the way to the camera; positive where its outside is seen."""
        a, b, c = (points[self._head.polygons[:, corner]] for corner in range(3))
        normals = np.cross(b - a, c - a)
        towards = -a
        return (normals * towards).sum(1) / (np.linalg.norm(normals, axis=1) * np.linalg.norm(towards, axis=1) + 1e-12)

    @staticmethod
    def _seen(lines: _Lines, facing: np.ndarray) -> np.ndarray:
        """Ends (N, 2) of the lines with a visible polygon beside them."""
        return lines.ends[(np.append(facing, -1.0)[lines.sides] > 0.05).any(1)]

    def _outline(self, facing: np.ndarray) -> np.ndarray:
        """Ends (N, 2) of the edges between what faces the camera and what does not."""
        front = np.append(facing, -1.0)[self._contour.sides] > 0
        return self._contour.ends[front[:, 0] != front[:, 1]]

    def _fill(self, cover: np.ndarray, fixed: np.ndarray, polygons: np.ndarray, facing: np.ndarray) -> None:
        """Cover what is seen of some polygons, the more the more they turn away, in a few steps."""
        seen = polygons[facing[polygons] > 0]
        corners = self._head.polygons[seen]
        corners = np.where(corners < 0, corners[:, 2:3], corners)
        level = np.minimum((facing[seen] * _SHADES).astype(int), _SHADES - 1)
        for shade in reversed(range(_SHADES)):
            tone = int(255 * _SURFACE * (1.6 - shade / (_SHADES - 1)))
            chosen = fixed[corners[level == shade]]
            if len(chosen):
                cv2.fillPoly(cover, list(chosen), tone, cv2.LINE_8, _SHIFT)

    @cached_property
    def _skin(self) -> np.ndarray:
        return self._polygons_of(*_SKIN)

    @cached_property
    def _eyes(self) -> np.ndarray:
        return self._polygons_of(*_EYES)

    def _polygons_of(self, *names: str) -> np.ndarray:
        """Numbers of the polygons of some materials that can be seen."""
        return np.flatnonzero(np.isin(self._head.polygon_material, self._numbers(*names)) & self._outer)

    def _numbers(self, *names: str) -> list[int]:
        return [number for number, name in enumerate(self._head.materials) if name in names]

    @cached_property
    def _edges(self) -> _Lines:
        polygons = self._head.polygons
        last = np.where(polygons[:, 3] < 0, polygons[:, 2], polygons[:, 3])
        corners = np.stack([polygons[:, 0], polygons[:, 1], polygons[:, 2], last], axis=1)
        ends = np.sort(np.stack([corners, np.roll(corners, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
        owner = np.repeat(np.arange(len(polygons)), 4)
        real = ends[:, 0] != ends[:, 1]
        unique, index = np.unique(ends[real], axis=0, return_inverse=True)
        sides = np.full((len(unique), 2), -1)
        sides[index[::-1], 0] = owner[real][::-1]
        sides[index, 1] = owner[real]
        sides[sides[:, 0] == sides[:, 1], 1] = -1
        return _Lines(unique, sides)

    @cached_property
    def _between(self) -> np.ndarray:
        """(N, 2) materials on both sides of each edge; -1 where there is nothing."""
        return np.append(self._head.polygon_material.astype(np.int64), -1)[self._edges.sides]

    @cached_property
    def _contour(self) -> _Lines:
        """Edges on which the outline may lie: those of the skin."""
        skin = np.isin(self._between, self._numbers("skin")).all(1)
        return self._edges.some(skin & np.append(self._outer, False)[self._edges.sides].all(1))

    @cached_property
    def _lip_lines(self) -> _Lines:
        return self._where_meet(_LIP_LINES)

    @cached_property
    def _eye_lines(self) -> _Lines:
        return self._where_meet(_EYE_LINES)

    def _where_meet(self, pairs: Sequence[tuple[str, str]]) -> _Lines:
        """Edges where two materials meet."""
        found = np.zeros(len(self._between), bool)
        for pair in pairs:
            numbers = self._numbers(*pair)
            if len(numbers) == 2:
                found |= (np.sort(self._between, axis=1) == sorted(numbers)).all(1)
        return self._edges.some(found)

    @cached_property
    def _mesh(self) -> _Lines:
        """The wireframe of the skin, thinned where it is dense."""
        skin = self._contour
        length = np.linalg.norm(np.subtract(*self._head.template[skin.ends].swapaxes(0, 1)), axis=1)
        return skin.some(length > _SHORTEST)


def _seen_from_outside(head: HeadDescription) -> np.ndarray:
    """(P,) bool: polygons of the template that are seen from some direction, from the front to both sides."""
    centre = (head.template.min(0) + head.template.max(0)) / 2
    turns = Rotation.from_euler("xy", [(pitch, yaw) for pitch in (-25, 10) for yaw in range(-90, 91, 30)], degrees=True)
    axes = np.diag(HEAD_TO_CAMERA) / _VIEW_SCALE
    views = np.stack([turn.apply(head.template - centre) * axes for turn in turns])
    faces = torch.from_numpy(head.faces)
    with torch.inference_mode():
        shown = visible_faces(torch.as_tensor(views, dtype=torch.float32), faces, (_VIEW_SIZE, _VIEW_SIZE))
    outer = np.zeros(len(head.polygons), bool)
    outer[head.face_polygon[np.unique(shown[shown >= 0].numpy())]] = True
    return outer


def _window(pixels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Left, top, right, bottom of what is drawn; none outside the picture."""
    low = np.maximum(np.floor(pixels.min(0)).astype(int) - 3, 0)
    high = np.minimum(np.ceil(pixels.max(0)).astype(int) + 4, (shape[1], shape[0]))
    return None if (high <= low).any() else np.concatenate([low, high])


def _strip(picture: np.ndarray, title: str, faces: Sequence[OverlayFrame]) -> None:
    """The title and each person's label, confidence as a bar, and a mark where the values were filled in."""
    height = max(14, round(STRIP * picture.shape[0] / 720))
    height = min(height, picture.shape[0])
    strip = picture[-height:]
    strip[:] = strip // 4
    needed = _line(strip.copy(), title, faces, height)
    _line(strip, title, faces, height * min(1.0, strip.shape[1] / needed))


def _line(strip: np.ndarray, title: str, faces: Sequence[OverlayFrame], size: float) -> int:
    """Write what the strip says as large as fits a strip of this height; returns where it ends."""
    scale, gap = size / 44, round(size * 0.5)
    baseline = round((strip.shape[0] + 0.4 * size) / 2)
    x = gap
    if title:
        x = _text(strip, title, (x, baseline), scale, (235, 235, 235)) + 2 * gap
    for face in sorted(faces, key=lambda face: face.person):
        colour = _FILLED if face.filled else _COLOURS[(face.person - 1) % len(_COLOURS)]
        x = _text(strip, face.label, (x, baseline), scale, colour) + gap
        x = _bar(strip, x, round(2 * size), float(face.confidence), colour) + gap
        note = "filled" if face.filled else f"{face.confidence:.0%}"
        x = _text(strip, note, (x, baseline), scale, colour) + 2 * gap
    return x


def _text(strip: np.ndarray, text: str, place: tuple[int, int], scale: float, colour: tuple[int, int, int]) -> int:
    """Write, and return where the text ends."""
    cv2.putText(strip, text, place, _FONT, scale, colour, 1, cv2.LINE_AA)
    return place[0] + cv2.getTextSize(text, _FONT, scale, 1)[0][0]


def _bar(strip: np.ndarray, x: int, width: int, share: float, colour: tuple[int, int, int]) -> int:
    """A bar that is full at 1; returns where it ends."""
    height = strip.shape[0]
    top, bottom = round(height * 0.35), round(height * 0.7)
    cv2.rectangle(strip, (x, top), (x + width, bottom), (90, 90, 90), -1)
    cv2.rectangle(strip, (x, top), (x + round(width * min(max(share, 0.0), 1.0)), bottom), colour, -1)
    return x + width
