# SPDX-License-Identifier: GPL-3.0-or-later
"""Clips with known truth: the open head moves before a camera, painted to look like a person to the detector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache

import cv2
import numpy as np
import torch

from backend.heads.model import HeadModel
from backend.rendering.camera import project_perspective
from backend.rendering.lighting import studio_light
from backend.rendering.raster import interpolate, rasterize
from backend.rendering.shading import vertex_normals
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.projection import HEAD_TO_CAMERA, to_camera
from blender_addon.contract.take import Take, TakeMeta
from blender_addon.contract.version import VERSION
from tests.clip_look import Look, irradiance, make_look, make_room
from tests.motion import Motion

SUPERSAMPLING = 2
NOISE = 1.2
"""Standard deviation of the sensor's noise, of 255."""
_NOISE_TILES = 8
_SHINE = {"skin": 0.05, "lips": 0.1, "sclera": 0.5, "iris": 0.5, "pupil": 0.5, "teeth": 0.2}
_SHARPNESS = {"sclera": 150.0, "iris": 150.0, "pupil": 150.0}
_INSIDE = {"teeth": 0.5, "tongue": 0.3}
"""Least light, by material: none finds its way past lips that are one polygon thick."""
_SHIFT = 4
"""Fractional bits of the shirt's outline."""


def render_clip(
    head: HeadDescription,
    model: HeadModel,
    motion: Motion | Sequence[Motion],
    size: tuple[int, int],
    matrix: np.ndarray,
    seed: int = 0,
    noise: float = NOISE,
) -> Iterator[np.ndarray]:
    """Render a clip, one frame after the other.

    Args:
        head: its description, with the open head's materials.
        model: the whole head's model.
        motion: of one person, or of several through the same frames.
        size: height and width in pixels.
        matrix: (3, 3) K, pixels.
        seed: of skin, light, room and noise; the room changes with the shot.
        noise: of the sensor, of 255.

    Yields:
        (H, W, 3) uint8 sRGB.
    """
    motions = [motion] if isinstance(motion, Motion) else list(motion)
    looks = [_look(head, seed + 1000 * number) for number in range(len(motions))]
    painter = Painter(head, model, looks, size, matrix)
    grain = _Grain(size, seed, noise)
    for frame in range(len(motions[0])):
        with _one_thread():
            picture = painter.frame(motions, frame, _room(size, seed + int(motions[0].segment[frame])))
        yield grain.on(picture, frame)


@contextmanager
def _one_thread() -> Iterator[None]:
    """For tensors as small as these, more threads cost more than they bring, most of all on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def truth_take(
    head: HeadDescription, motion: Motion, size: tuple[int, int], matrix: np.ndarray, person: int = 1
) -> Take:
    """The motion as a take, to compare a solved one with."""
    count = len(motion)
    rate = 1 / float(np.diff(motion.time).mean()) if count > 1 else 0.0
    meta = TakeMeta(
        head_id=head.id,
        head_sha256=head.sha256,
        engine="truth",
        versions={"mien": VERSION},
        source="synthetic",
        person=person,
        licences=(head.licence,),
        commercial_use=head.commercial_use,
        channels=head.expression_names,
        rate=rate,
    )
    arrays = {
        name: getattr(motion, name).astype(np.float32)
        for name in ("identity", "expression", "eyelids", "jaw", "eyes", "head_rotation", "translation")
    }
    return Take(
        meta,
        time=motion.time,
        valid=motion.present,
        confidence=motion.present.astype(np.float32),
        neck=np.zeros((count, 3), np.float32),
        camera_matrix=np.asarray(matrix, np.float64),
        image_size=np.array([size[1], size[0]], np.int32),
        crop_camera=np.tile(np.float32([1, 0, 0]), (count, 1)),
        crop_transform=np.tile(np.eye(3), (count, 1, 1)),
        extra={"segment": motion.segment, "frame": np.arange(1, count + 1, dtype=np.int32)},
        **arrays,
    )


def posed(model: HeadModel, motion: Motion, frame: int) -> torch.Tensor:
    """(V, 3) vertices of one frame, metres, head space."""

    def one(values: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(values[None], dtype=torch.float32)

    names = ("expression", "head_rotation", "jaw", "eyes", "eyelids")
    with torch.inference_mode():
        parts = {name: one(getattr(motion, name)[frame]) for name in names}
        return model(identity=one(motion.identity), **parts).vertices[0]


class Painter:
    """Draws heads into a room.

    Args:
        head: description of all heads.
        model: the whole head's model.
        looks: one for each person.
        size: height and width in pixels.
        matrix: (3, 3) K, pixels.
    """

    def __init__(
        self, head: HeadDescription, model: HeadModel, looks: Sequence[Look], size: tuple[int, int], matrix: np.ndarray
    ) -> None:
        self._model, self._looks, self._size, self._matrix = model, looks, size, np.asarray(matrix, np.float64)
        self._faces = torch.from_numpy(head.faces).long()
        self._uv_faces = torch.from_numpy(head.uv_faces).long()
        owner = np.zeros(len(head.uv), np.int64)
        owner[head.uv_faces] = head.faces
        self._owner = torch.from_numpy(owner)
        self._uv = head.uv.astype(np.float32)
        self._occlusion = _occlusion(head)
        self._shine, self._sharpness = (_by_vertex(head, *table) for table in ((_SHINE, 0.0), (_SHARPNESS, 18.0)))

    def frame(self, motions: Sequence[Motion], frame: int, room: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 without noise: everyone who is there, the farthest first."""
        picture = room.copy()
        order = sorted(range(len(motions)), key=lambda person: -motions[person].translation[frame, 2])
        for person in order:
            if motions[person].present[frame]:
                self._draw(picture, motions[person], frame, self._looks[person])
        return _encoded(picture)

    def _draw(self, picture: np.ndarray, motion: Motion, frame: int, look: Look) -> None:
        vertices, place = posed(self._model, motion, frame), motion.translation[frame]
        self._dress(picture, place, look, _COLLAR, 0.35)
        window = self._window(vertices.numpy(), place)
        if window is not None:
            left, top, right, bottom = window
            size = ((bottom - top) * SUPERSAMPLING, (right - left) * SUPERSAMPLING)
            colour = self._shaded(vertices, place, (left, top), size, look)
            small = cv2.resize(colour, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
            part = picture[top:bottom, left:right]
            part *= 1 - small[..., 3:]
            part += small[..., :3]
        self._dress(picture, place, look, _SHOULDERS, 1.0)

    def _window(self, vertices: np.ndarray, place: np.ndarray) -> tuple[int, int, int, int] | None:
        """Left, top, right, bottom of the head in the picture."""
        points = to_camera(vertices, place)
        pixels = (points @ self._matrix.T)[:, :2] / points[:, 2:]
        height, width = self._size
        left, top = np.maximum(np.floor(pixels.min(0)).astype(int) - 1, 0)
        right, bottom = np.minimum(np.ceil(pixels.max(0)).astype(int) + 1, (width, height))
        return None if right <= left or bottom <= top else (int(left), int(top), int(right), int(bottom))

    def _shaded(
        self, vertices: torch.Tensor, place: np.ndarray, corner: tuple[int, int], size: tuple[int, int], look: Look
    ) -> np.ndarray:
        """(H, W, 4) linear RGB times cover, and cover."""
        camera = np.diag([SUPERSAMPLING, SUPERSAMPLING, 1.0]) @ self._matrix
        camera[:2, 2] -= np.array(corner) * SUPERSAMPLING
        with torch.inference_mode():
            normals = vertex_normals(vertices[None], self._faces)[0]
            attributes = torch.from_numpy(self._attributes(vertices, normals.numpy(), place, look))[self._owner]
            parts = (torch.as_tensor(part, dtype=torch.float32) for part in (place, camera))
            points = project_perspective(vertices[None], *parts, size)[:, self._owner]
            faces = self._uv_faces[_towards_camera(points[0], self._uv_faces)]
            fragments = rasterize(points, faces, size)
            values = torch.cat((attributes, torch.from_numpy(self._uv)), 1)
            image = interpolate(fragments, faces, values)[0].numpy()
        cover = fragments.mask[0].numpy()[..., None].astype(np.float32)
        count = look.texture.shape[0]
        column, row = image[..., 4] * count - 0.5, (1 - image[..., 5]) * count - 0.5
        albedo = cv2.remap(look.texture, column, row, cv2.INTER_LINEAR)
        colour = albedo * image[..., :3]
        colour += image[..., 3:4]
        colour *= cover
        return np.concatenate([colour, cover], axis=2)

    def _attributes(self, vertices: torch.Tensor, normals: np.ndarray, place: np.ndarray, look: Look) -> np.ndarray:
        """(V, 4) irradiance and highlight."""
        light = irradiance(normals, look.light) * self._occlusion[:, None]
        to_eye = -(vertices.numpy() + HEAD_TO_CAMERA @ place)
        to_eye /= np.linalg.norm(to_eye, axis=1, keepdims=True)
        half = to_eye + look.shine
        half /= np.linalg.norm(half, axis=1, keepdims=True)
        lobe = (normals * half).sum(1).clip(0) ** self._sharpness
        return np.concatenate([light, (self._shine * lobe * self._occlusion)[:, None]], axis=1).astype(np.float32)

    def _dress(
        self, picture: np.ndarray, place: np.ndarray, look: Look, outline: np.ndarray, brightness: float
    ) -> None:
        """Paint a part of the shirt, whose outline (N, 2) is in metres from the neck's root; it does not turn."""
        root = to_camera(np.array([0.0, -0.105, -0.02]), place)
        scale = self._matrix[0, 0] / root[2]
        middle = (self._matrix @ root)[:2] / root[2]
        points = middle + outline * scale
        layer = np.zeros(picture.shape[:2], np.uint8)
        cv2.fillPoly(layer, [np.round((points - 0.5) * (1 << _SHIFT)).astype(np.int32)], 255, cv2.LINE_AA, _SHIFT)
        top = max(0, int(points[:, 1].min()) - 2)
        if top >= picture.shape[0]:
            return
        cover = layer[top:, :, None].astype(np.float32) / 255
        across = (np.arange(picture.shape[1], dtype=np.float32) - middle[0]) / (0.2 * scale)
        shade = brightness * (0.35 + 0.5 / (1 + across**2))
        picture[top:] += cover * (look.shirt * shade[:, None] - picture[top:])


def _shoulders() -> np.ndarray:
    """(N, 2) outline of neckline and shoulders, metres from the neck's root, x right and y down."""
    angle = np.linspace(np.pi, 0, 24)
    neckline = np.stack([0.058 * np.cos(angle), 0.012 + 0.034 * np.sin(angle)], axis=1)
    x = np.linspace(0.058, 0.215, 16)
    slope = 0.012 + 0.055 * ((x - 0.058) / 0.157) ** 2.2
    right = np.concatenate([np.stack([x, slope], axis=1), [[0.235, 0.12], [0.245, 0.8]]])
    return np.concatenate([neckline, right, (right * [-1, 1])[::-1]])


_SHOULDERS = _shoulders()
_COLLAR = np.array([[-0.056, 0.022], [0.056, 0.022], [0.056, 0.1], [-0.056, 0.1]])
"""What is seen of the shirt's inside, behind the neck."""


def _towards_camera(points: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
    """(F,) bool: triangles whose outside is seen."""
    a, b, c = (points[faces[:, corner], :2] for corner in range(3))
    ab, ac = b - a, c - a
    return ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0] < 0


def _by_vertex(head: HeadDescription, table: dict[str, float], default: float) -> np.ndarray:
    """(V,) a value by material."""
    values = np.full(len(head.template), default)
    for number, name in enumerate(head.materials):
        values[head.faces[head.polygon_material[head.face_polygon] == number]] = table.get(name, default)
    return values


@cache
def _occlusion(head: HeadDescription) -> np.ndarray:
    """(V,) how much of a room's light arrives: a studio's light with shadows against the smooth light nearest to it."""
    points, faces = torch.from_numpy(head.template), torch.from_numpy(head.faces).long()
    with torch.inference_mode():
        normals = vertex_normals(points[None], faces)[0]
        light = studio_light(points, faces, normals).irradiance.mean(1).numpy()
    x, y, z = normals.numpy().T
    smooth = np.stack([np.ones_like(x), x, y, z, x * y, x * z, y * z, x * x - y * y, 3 * z * z - 1], axis=1)
    weight = np.sqrt(light)[:, None]
    found = np.linalg.lstsq(smooth * weight, light * weight[:, 0], rcond=None)[0]
    ratio = light / np.maximum(smooth @ found, 0.15)
    ratio = (ratio + _mirror(head, ratio)) / 2
    least = np.maximum(_by_vertex(head, _INSIDE, 0.0), 0.12)
    return np.maximum(ratio, least).clip(0, 1.1)


def _mirror(head: HeadDescription, values: np.ndarray) -> np.ndarray:
    """Values (V,) with the head's sides swapped."""
    keys = np.round(head.template * 1e6).astype(np.int64)
    other = keys * [-1, 1, 1]
    swapped = np.empty_like(values)
    swapped[np.lexsort(keys.T)] = values[np.lexsort(other.T)]
    return swapped


@lru_cache(maxsize=4)
def _look(head: HeadDescription, seed: int) -> Look:
    return make_look(head, seed)


@lru_cache(maxsize=4)
def _room(size: tuple[int, int], seed: int) -> np.ndarray:
    return make_room(size, seed)


@cache
def _curve() -> np.ndarray:
    """(4096,) uint8: linear light 0..1 to sRGB, highlights rolled off."""
    light = np.linspace(0, 1.6, 4096)
    light = light * (1 + 0.2 * light) / (1 + 0.55 * light)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (encoded.clip(0, 1) * 255).round().astype(np.uint8)


def _encoded(picture: np.ndarray) -> np.ndarray:
    index = (picture * (4095 / 1.6)).clip(0, 4095).astype(np.uint16)
    return _curve()[index]


class _Grain:
    """The sensor's noise: a few tiles of it, shifted anew for each frame."""

    def __init__(self, size: tuple[int, int], seed: int, amount: float) -> None:
        random = np.random.default_rng([seed, 79])
        tiles = random.normal(size=(_NOISE_TILES, size[0] // 2 + 1, size[1] // 2 + 1, 3)) * amount if amount else None
        self._tiles = None if tiles is None else tiles.round().astype(np.int16)
        self._seed, self._size = seed, size

    def on(self, picture: np.ndarray, frame: int) -> np.ndarray:
        if self._tiles is None:
            return picture
        random = np.random.default_rng([self._seed, frame])
        quarters = [
            np.roll(self._tiles[random.integers(_NOISE_TILES)], random.integers(0, self._tiles.shape[1:3]), (0, 1))
            for _ in range(4)
        ]
        rows = [np.concatenate(quarters[:2], 1), np.concatenate(quarters[2:], 1)]
        noise = np.concatenate(rows, 0)[: self._size[0], : self._size[1]]
        return (picture + noise).clip(0, 255).astype(np.uint8)
