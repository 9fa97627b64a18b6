# SPDX-License-Identifier: GPL-3.0-or-later
"""The open head as it ships: its file, its shape, its symmetry, its eyes and jaw, its texture layout."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from backend.heads import OPEN_HEAD, load_head
from backend.heads.asset import HASH_FILE, load_asset, save_asset, with_landmarks
from backend.heads.model import HeadModel
from backend.heads.open_head.uv import quality
from backend.rendering.raster import rasterize
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import load_arrays, save_arrays
from blender_addon.contract.head import HeadDescription, Landmarks

MIRROR = np.array([-1.0, 1.0, 1.0])
JAW_OPEN = 0.423
"""Radians of the whole jawOpen unit."""


@pytest.fixture(scope="module")
def head() -> HeadDescription:
    return load_head("open")


@pytest.fixture(scope="module")
def model(head: HeadDescription) -> HeadModel:
    return HeadModel(head)


@pytest.fixture(scope="module")
def mirror(head: HeadDescription) -> np.ndarray:
    """(V,) permutation under x -> -x, by nearest neighbours."""
    tree = cKDTree(head.template)
    distance, index = tree.query(head.template * MIRROR)
    assert distance.max() < 1e-7
    return index


def material(head: HeadDescription, *names: str) -> np.ndarray:
    """(P,) polygons of some materials."""
    return np.isin(head.polygon_material, [head.materials.index(name) for name in names])


def vertices_of(head: HeadDescription, *names: str) -> np.ndarray:
    used = np.unique(head.polygons[material(head, *names)])
    return used[used >= 0]


def posed(model: HeadModel, **parameters: np.ndarray) -> np.ndarray:
    tensors = {name: torch.tensor(np.atleast_2d(value), dtype=torch.float32) for name, value in parameters.items()}
    return model(**tensors).vertices[0].numpy()


def front_view(
    vertices: np.ndarray, faces: np.ndarray, centre: tuple[float, float], width: float, size: int
) -> np.ndarray:
    """(size,size) visible face of an orthographic view from the front, -1 where empty."""
    half = width / 2
    x, y = (vertices[:, 0] - centre[0]) / half, -(vertices[:, 1] - centre[1]) / half
    frame = torch.tensor(np.stack([x, y, 1.0 - vertices[:, 2]], axis=1), dtype=torch.float32)[None]
    return rasterize(frame, torch.tensor(faces.astype(np.int64)), (size, size)).pix_to_face[0].numpy()


# The file


def test_the_asset_has_its_recorded_hash_and_is_small() -> None:
    recorded, name = OPEN_HEAD.with_name(HASH_FILE).read_text(encoding="ascii").split()
    assert name == OPEN_HEAD.name
    assert hashlib.sha256(OPEN_HEAD.read_bytes()).hexdigest() == recorded == load_head("open").sha256
    assert OPEN_HEAD.stat().st_size <= 4_000_000


def test_the_licence_is_cc0_and_its_sources_are_named(head: HeadDescription, repository: Path) -> None:
    assert (head.id, head.licence, head.commercial_use) == ("open", "CC0-1.0", "yes")
    notice = (repository / "NOTICE").read_text(encoding="utf-8")
    assert "Mika Suominen" in notice and "MakeHuman" in notice and "CC0" in notice


def test_sizes_and_channels(head: HeadDescription) -> None:
    assert head.identity.shape[2] == 120
    assert len(head.expression_names) == 49
    assert not {"jawOpen", "eyeBlinkLeft", "eyeBlinkRight"} & set(head.expression_names)
    assert head.eyelids.shape[2] == 2
    assert head.joints_follow_expression is False
    assert (head.polygons[material(head, "skin")][:, 3] >= 0).mean() > 0.95
    assert set(head.polygon_material) == set(range(len(head.materials)))


def test_the_head_is_loaded_once() -> None:
    assert load_head("open") is load_head()


def test_storing_again_changes_nothing(tmp_path: Path) -> None:
    copy = tmp_path / "open_head.npz"
    assert save_asset(load_asset(OPEN_HEAD), copy) == load_head("open").sha256
    assert copy.read_bytes() == OPEN_HEAD.read_bytes()


def test_landmarks_are_merged_without_touching_the_rest(tmp_path: Path, head: HeadDescription) -> None:
    copy = tmp_path / "head.npz"
    copy.write_bytes(OPEN_HEAD.read_bytes())
    marks = Landmarks(np.array([5, 7], np.int32), np.array([[1, 0, 0], [0.25, 0.25, 0.5]], np.float32))
    sha256 = with_landmarks(copy, {"two": marks})
    changed = load_asset(copy)
    assert sha256 == changed.sha256 != head.sha256
    assert sha256 in copy.with_name(HASH_FILE).read_text(encoding="ascii")
    assert set(changed.landmarks) == {*head.landmarks, "two"}
    np.testing.assert_array_equal(changed.landmarks["two"].barycentric, marks.barycentric)
    for field in dataclasses.fields(HeadDescription):
        if isinstance(getattr(head, field.name), np.ndarray):
            np.testing.assert_array_equal(getattr(changed, field.name), getattr(head, field.name))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda meta, arrays: meta.update(asset_format=99), ErrorCode.UNKNOWN_SCHEMA),
        (lambda meta, arrays: arrays.pop("identity.low"), ErrorCode.BAD_HEAD),
        (lambda meta, arrays: arrays.update({"units.vertices": arrays["units.vertices"][:-1]}), ErrorCode.BAD_HEAD),
        (lambda meta, arrays: meta.pop("materials"), ErrorCode.BAD_HEAD),
    ],
)
def test_a_damaged_asset_is_refused(tmp_path: Path, change, code: ErrorCode) -> None:
    meta, arrays = load_arrays(OPEN_HEAD)
    change(meta, arrays)
    path = tmp_path / "head.npz"
    save_arrays(path, meta, arrays)
    with pytest.raises(MienError) as caught:
        load_asset(path)
    assert caught.value.code is code


# Mesh


def test_the_surface_is_closed(head: HeadDescription) -> None:
    """Skin, lips and the bag of the mouth are one closed surface of genus 0: no ragged neck, no cracks."""
    gums = ~np.isin(head.polygons[:, 0], connected(head, int(vertices_of(head, "skin")[0])))
    polygons = head.polygons[material(head, "skin", "lips", "mouth") & ~gums]
    edges: Counter[tuple[int, int]] = Counter()
    for polygon in polygons.tolist():
        corners = [v for v in polygon if v >= 0]
        edges.update(zip(corners, corners[1:] + corners[:1], strict=True))
    assert max(edges.values()) == 1
    assert all((b, a) in edges for a, b in edges)
    assert len(np.unique(polygons[polygons >= 0])) - len(edges) // 2 + len(polygons) == 2


def connected(head: HeadDescription, seed: int) -> np.ndarray:
    """Vertices connected with one by edges."""
    pairs = head.faces[:, [0, 1, 1, 2]].reshape(-1, 2)
    count = len(head.template)
    labels = connected_components(coo_matrix((np.ones(len(pairs)), pairs.T), shape=(count, count)), directed=False)[1]
    return np.flatnonzero(labels == labels[seed])


def test_the_neck_ends_in_a_plane(head: HeadDescription) -> None:
    lowest = head.template[np.argmin(head.template[:, 1])]
    normal = np.array([0.0, 1.0, 0.41]) / np.hypot(1.0, 0.41)
    height = (head.template - lowest) @ normal
    assert height.min() > -1e-6
    assert (height < 1e-6).sum() > 100
    assert not ((height > 1e-5) & (height < 0.0015)).any()


def test_no_triangle_is_degenerate(head: HeadDescription) -> None:
    a, b, c = (head.template[head.faces[:, k]].astype(float) for k in range(3))
    assert np.linalg.norm(np.cross(b - a, c - a), axis=1).min() > 1e-9


def test_left_and_right_mirror_each_other(head: HeadDescription, mirror: np.ndarray) -> None:
    np.testing.assert_allclose(head.template[mirror] * MIRROR, head.template, atol=1e-8)
    np.testing.assert_array_equal(head.albedo[mirror], head.albedo)
    swapped = head.skinning[mirror][:, [0, 1, 2, 4, 3]]
    np.testing.assert_allclose(swapped, head.skinning, atol=2e-5)
    np.testing.assert_allclose(head.eyelids[mirror][:, :, ::-1] * MIRROR[:, None], head.eyelids, atol=3e-6)
    for k, name in enumerate(head.expression_names):
        other = name.replace("Left", "\0").replace("Right", "Left").replace("\0", "Right")
        twin = head.expression[:, :, head.expression_names.index(other)]
        np.testing.assert_allclose(twin[mirror] * MIRROR, head.expression[:, :, k], atol=3e-6, err_msg=name)


def test_triangles_mirror_each_other(head: HeadDescription, mirror: np.ndarray) -> None:
    assert (mirror[mirror] == np.arange(len(mirror))).all()
    known = {frozenset(face) for face in head.faces.tolist()}
    assert all(frozenset(face) in known for face in mirror[head.faces].tolist())


def test_identity_components_are_symmetric_or_antisymmetric(head: HeadDescription, mirror: np.ndarray) -> None:
    twins = head.identity[mirror] * MIRROR[:, None]
    same = np.abs(twins - head.identity).max(axis=(0, 1))
    opposite = np.abs(twins + head.identity).max(axis=(0, 1))
    assert np.minimum(same, opposite).max() < 3e-6
    assert (same < opposite).sum() > 50 and (opposite < same).sum() > 20


# Joints


def test_joints_of_the_average_head(head: HeadDescription) -> None:
    """Positions measured in the feasibility study, metres."""
    np.testing.assert_allclose(head.joint_regressor.sum(axis=1), 1.0, atol=1e-5)
    middle = [[0, -0.118, -0.034], [0, -0.021, 0], [0, -0.012, 0.013]]
    eyes = [[0.0287, 0.0195, 0.0749], [-0.0287, 0.0195, 0.0749]]
    np.testing.assert_allclose(head.joint_regressor @ head.template, middle + eyes, atol=0.003)


def test_eye_joints_are_the_centres_of_the_eyeballs_for_everybody(head: HeadDescription) -> None:
    random = np.random.default_rng(1)
    eyeballs = vertices_of(head, "sclera")
    for _ in range(5):
        vertices = head.template + head.identity @ random.standard_normal(120).astype(np.float32)
        for side in (3, 4):
            own = eyeballs[head.skinning[eyeballs, side] > 0.99]
            # The limbus bulges a little; the white of the eye lies on the sphere.
            radius = np.linalg.norm(vertices[own] - head.joint_regressor[side] @ vertices, axis=1)
            assert np.ptp(radius) < 0.0004
            assert 0.010 < radius.mean() < 0.022


def test_eyeballs_belong_to_the_eye_joints_alone(head: HeadDescription) -> None:
    eyeballs = vertices_of(head, "sclera", "iris", "pupil")
    assert (head.skinning[eyeballs, 3:].max(axis=1) > 0.9999).all()
    assert np.abs(head.expression[eyeballs]).max() == 0.0
    assert np.abs(head.eyelids[eyeballs]).max() == 0.0
    assert (head.skinning[np.setdiff1d(np.arange(len(head.template)), eyeballs), 3:] == 0).all()


def test_teeth_and_tongue_ride_on_head_and_jaw(head: HeadDescription) -> None:
    assert head.skinning.min() >= 0
    inside = vertices_of(head, "teeth", "tongue", "lashes")
    assert head.skinning[inside, 0].max() == 0


# Looks


def test_the_mouth_is_closed_and_the_eyes_are_open(head: HeadDescription, model: HeadModel) -> None:
    seen = seen_materials(head, posed(model), (0.0, -0.02), 0.16)
    assert seen["teeth"] == 0
    assert seen["iris"] > 500 and seen["pupil"] > 50 and seen["sclera"] > 500 and seen["lips"] > 1000


def test_closed_lids_cover_the_eyes(head: HeadDescription, model: HeadModel) -> None:
    seen = seen_materials(head, posed(model, eyelids=np.ones(2)), (0.0, 0.02), 0.12)
    assert seen["iris"] == seen["pupil"] == 0
    assert seen["sclera"] <= 3


def test_the_jaw_shows_the_teeth(head: HeadDescription, model: HeadModel) -> None:
    seen = seen_materials(head, posed(model, jaw=np.array([JAW_OPEN, 0, 0])), (0.0, -0.03), 0.16)
    assert seen["teeth"] > 200


def seen_materials(
    head: HeadDescription, vertices: np.ndarray, centre: tuple[float, float], width: float
) -> Counter[str]:
    seen = front_view(vertices, head.faces, centre, width, 512)
    names = np.array(head.materials)[head.polygon_material[head.face_polygon[seen[seen >= 0]]]]
    return Counter({str(name): int((names == name).sum()) for name in head.materials})


@pytest.mark.parametrize("seed", range(4))
def test_eyeballs_show_through_the_lids_opening_only(head: HeadDescription, model: HeadModel, seed: int) -> None:
    """Each eye is seen as one patch, so nowhere does the eyeball poke through a lid. Lashes are left out."""
    identity = np.random.default_rng(seed).standard_normal(120) * (seed > 0)
    vertices = posed(model, identity=identity)
    faces = head.faces[~material(head, "lashes")[head.face_polygon]]
    ball = material(head, "sclera", "iris", "pupil")[head.face_polygon][~material(head, "lashes")[head.face_polygon]]
    for side in (3, 4):
        centre = head.joint_regressor[side] @ vertices
        seen = front_view(vertices, faces, (centre[0], centre[1]), 0.05, 256)
        labels, count = ndimage.label((seen >= 0) & ball[np.maximum(seen, 0)])
        sizes = np.bincount(labels.ravel())[1:]
        assert count and sizes.max() > 500
        assert sizes.sum() - sizes.max() <= 12


def test_the_open_jaw_is_no_inverted_mess(head: HeadDescription, model: HeadModel) -> None:
    """At 35 degrees, beyond the unit, few faces outside the mouth turn over and the lower teeth stay rigid."""
    rest, opened = posed(model), posed(model, jaw=np.array([np.radians(35.0), 0, 0]))
    skin = head.faces[material(head, "skin", "lips")[head.face_polygon]]
    turn = np.sum(normals(rest, skin) * normals(opened, skin), axis=1)
    assert (turn < -0.2).mean() < 0.01
    teeth = vertices_of(head, "teeth")
    lower = teeth[head.skinning[teeth, 2] > 0.99]
    assert len(lower) > 100
    before, after = (np.linalg.norm(v[lower] - v[lower[0]], axis=1) for v in (rest, opened))
    np.testing.assert_allclose(before, after, atol=0.0012)
    assert (rest[lower] - opened[lower])[:, 1].mean() > 0.02


def normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)


def test_colours_tell_the_features_apart(head: HeadDescription) -> None:
    """A landmark detector needs dark pupils and irises, redder lips, darker brows."""
    brightness = head.albedo.astype(float).mean(axis=1)
    mean = {name: head.albedo[vertices_of(head, name)].astype(float).mean(axis=0) for name in head.materials}
    assert mean["pupil"].mean() < 40 < mean["iris"].mean() < 120 < mean["sclera"].mean()
    assert mean["lips"][1] < mean["skin"][1] - 30
    brow = np.linalg.norm(head.template - [0.032, 0.0455, 0.095], axis=1).argmin()
    assert brightness[brow] < mean["skin"].mean() - 40


# Texture layout


def test_the_layout_has_no_flipped_and_no_overlapping_triangles(head: HeadDescription) -> None:
    size = 2048
    assert head.uv.min() >= 0 and head.uv.max() <= 1
    covered = np.zeros((size, size), np.uint8)
    for corners in head.uv[head.uv_faces].astype(np.float64) * size:
        (a, b, c), low, high = corners, np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
        assert cross(b - a, c - a) > 0
        x, y = np.meshgrid(np.arange(low[0], high[0] + 1) + 0.5, np.arange(low[1], high[1] + 1) + 0.5)
        points = np.stack([x.ravel(), y.ravel()], axis=1)
        inside = (cross(b - a, points - a) > 0) & (cross(c - b, points - b) > 0) & (cross(a - c, points - c) > 0)
        columns, rows = points[inside].astype(int).T
        covered[rows, columns] += 1
    assert covered.max() == 1


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def test_stretch_and_shares_of_the_layout(head: HeadDescription) -> None:
    layout = quality(head.template, head.faces, head.uv, head.uv_faces)
    assert layout.flipped == 0
    skin = material(head, "skin", "lips")[head.face_polygon]
    assert np.median(layout.stretch[skin]) < 1.4
    assert np.percentile(layout.stretch[skin], 95) < 3.2
    assert layout.face_share > 0.25
    assert layout.used > 0.55
    front = skin & face_region(head)
    assert np.median(layout.stretch[front]) < 1.35
    assert np.percentile(layout.stretch[front], 95) < 2.0


def face_region(head: HeadDescription) -> np.ndarray:
    """(F,) triangles of the face seen from the front."""
    centre = head.template[head.faces].mean(axis=1)
    seen = np.unique(front_view(head.template, head.faces, (0.0, 0.0), 0.24, 1024))
    visible = np.zeros(len(head.faces), bool)
    visible[seen[seen >= 0]] = True
    return visible & (centre[:, 2] > 0.05) & (centre[:, 1] > -0.08) & (centre[:, 1] < 0.09)


def test_the_face_has_no_seam_and_mirrors_in_the_texture(head: HeadDescription, mirror: np.ndarray) -> None:
    faces = np.flatnonzero(face_region(head) & material(head, "skin", "lips")[head.face_polygon])
    places: dict[int, set[int]] = {}
    for k in faces:
        for v, t in zip(head.faces[k].tolist(), head.uv_faces[k].tolist(), strict=True):
            places.setdefault(v, set()).add(t)
    split = [v for v, own in places.items() if len(own) > 1]
    # Only where the lids and lips turn inside is there a seam.
    assert len(split) <= 0.03 * len(places)
    whole = [v for v in places if v not in split and int(mirror[v]) in places and int(mirror[v]) not in split]
    # The inner rims of the lids lie in charts of their own, below the skin's.
    whole = [v for v in whole if head.uv[next(iter(places[v])), 1] > 0.28]
    uv = np.array([head.uv[next(iter(places[v]))] for v in whole])
    twin = np.array([head.uv[next(iter(places[int(mirror[v])]))] for v in whole])
    np.testing.assert_allclose(uv[:, 0] + twin[:, 0], 1.0, atol=1e-6)
    np.testing.assert_allclose(uv[:, 1], twin[:, 1], atol=1e-6)
    left = head.template[whole, 0] > 0.01
    assert (uv[left, 0] > 0.5).all()
