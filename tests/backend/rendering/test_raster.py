# SPDX-License-Identifier: GPL-3.0-or-later
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.rendering import raster
from backend.rendering.raster import Fragments, interpolate, rasterize


def readable(
    vertices: np.ndarray, faces: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the rasteriser is meant to do, triangle by triangle in float64: every pixel's candidates (F, H, W).

    Returns for each triangle and pixel how far inside it is (smallest barycentric weight), its depth, and the weights.
    """
    height, width = size
    x, y = np.meshgrid((2 * np.arange(width) + 1) / width - 1, (2 * np.arange(height) + 1) / height - 1)
    insides, depths, weights = [], [], []
    for face in faces:
        a, b, c = vertices[face].astype(np.float64)
        with np.errstate(invalid="ignore"):
            area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if not np.isfinite(vertices[face]).all() or abs(area) < 2e-10:
            area = np.nan
        with np.errstate(all="ignore"):
            of_b = ((x - a[0]) * (c[1] - a[1]) - (y - a[1]) * (c[0] - a[0])) / area
            of_c = ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) / area
        weight = np.stack((1 - of_b - of_c, of_b, of_c))
        insides.append(np.where(np.isnan(weight).any(0), -np.inf, weight.min(0)))
        depths.append(np.tensordot(vertices[face, 2].astype(np.float64), weight, 1))
        weights.append(weight)
    return np.array(insides), np.array(depths), np.array(weights)


def check_against_readable(vertices: np.ndarray, faces: np.ndarray, size: tuple[int, int]) -> Fragments:
    """Equal in every pixel, except where float32 cannot tell: on an edge, or between two equal depths."""
    found = rasterize(torch.from_numpy(vertices)[None], torch.from_numpy(faces), size)
    inside, depth, weights = readable(vertices, faces, size)
    extent = np.abs(np.nan_to_num(vertices[faces], nan=0, posinf=0, neginf=0)).max((1, 2))
    edge_tolerance = (1e-4 * (1 + extent))[:, None, None]
    ids = found.pix_to_face[0].numpy()
    surely, maybe = inside > edge_tolerance, inside > -edge_tolerance
    assert not ((ids < 0) & surely.any(0)).any(), "a covered pixel is empty"
    rows, columns = np.nonzero(ids >= 0)
    chosen = ids[rows, columns]
    assert maybe[chosen, rows, columns].all(), "a pixel sees a triangle that does not cover it"
    at_pixels = depth[:, rows, columns]
    nearest_sure = np.where(surely[:, rows, columns], at_pixels, np.inf).min(0)
    own = depth[chosen, rows, columns]
    assert (own <= nearest_sure + 1e-4 * (1 + np.abs(own)) * (1 + extent[chosen])).all(), "a nearer triangle is hidden"
    well_shaped = inside[chosen, rows, columns] > edge_tolerance[chosen, 0, 0]
    bary = found.bary[0].numpy()[rows, columns][well_shaped]
    expected = np.moveaxis(weights, 1, -1)[chosen, rows, columns][well_shaped]
    scale = 1 + extent[chosen][well_shaped][:, None]
    assert (np.abs(bary - expected) <= 2e-3 * scale).all()
    return found


def random_triangles(seed: int, count: int, spread: float, extent: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-spread, spread, (count, 1, 3))
    vertices = (centres + extent * rng.standard_normal((count, 3, 3))).astype(np.float32).reshape(-1, 3)
    return vertices, np.arange(3 * count).reshape(-1, 3)


@given(
    st.integers(0, 10**6),
    st.integers(1, 12),
    st.sampled_from([0.02, 0.3, 3.0, 50.0]),
    st.sampled_from([(1, 1), (7, 5), (16, 33)]),
)
@settings(max_examples=80, deadline=None)
def test_agrees_with_the_readable_one(seed: int, count: int, extent: float, size: tuple[int, int]) -> None:
    """Triangles smaller than a pixel, crossing the border, and far larger than the image."""
    check_against_readable(*random_triangles(seed, count, 1.2, extent), size)


def test_degenerate_and_broken_triangles_are_left_out() -> None:
    vertices, faces = random_triangles(3, 6, 0.3, 0.8)
    vertices[1] = vertices[0]
    vertices[3:6] = [[-1, -1, 0], [0, 0, 0], [1, 1, 0]]
    vertices[6, 2], vertices[9, 0], vertices[12, 1] = np.nan, np.inf, -np.inf
    found = check_against_readable(vertices, faces, (20, 24))
    assert set(found.pix_to_face.unique().tolist()) <= {-1, 5}
    assert found.zbuf.isfinite().all()
    assert found.bary.isfinite().all()


def test_nothing_in_sight() -> None:
    vertices = torch.tensor([[[2.0, 0, 0], [3, 0, 0], [2, 1, 0]]])
    found = rasterize(vertices, torch.tensor([[0, 1, 2]]), (4, 6))
    assert (found.pix_to_face == -1).all()
    assert not found.bary.any()
    assert interpolate(found, torch.tensor([[0, 1, 2]]), vertices).shape == (1, 4, 6, 3)
    empty = rasterize(vertices, torch.zeros(0, 3, dtype=torch.long), (4, 6))
    assert (empty.pix_to_face == -1).all()


def test_one_triangle_over_the_whole_of_a_large_image() -> None:
    vertices = torch.tensor([[[-5.0, -5, 1], [15, -5, 1], [-5, 15, 1]]])
    found = rasterize(vertices, torch.tensor([[0, 1, 2]]), (1100, 1000))
    assert (found.pix_to_face == 0).all()
    torch.testing.assert_close(found.zbuf, torch.ones(1, 1100, 1000))


@pytest.mark.parametrize("size", [(64, 64), (37, 91)])
def test_a_mesh_has_no_cracks(size: tuple[int, int]) -> None:
    """Edges through pixel centres, slivers and all: every pixel under a wrinkled sheet sees it."""
    rng = np.random.default_rng(0)
    n = 33
    x, y = np.meshgrid(np.linspace(-1.5, 1.5, n), np.linspace(-1.5, 1.5, n))
    vertices = np.stack((x, y, np.zeros_like(x)), -1).reshape(-1, 3)
    vertices[::2, :2] = np.round(vertices[::2, :2] * size[1]) / size[1]
    vertices[1::2, :2] += rng.uniform(-0.02, 0.02, vertices[1::2, :2].shape)
    grid = np.arange(n * n).reshape(n, n)
    a, b, c, d = (part.ravel() for part in (grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]))
    faces = np.concatenate((np.stack((a, b, c), -1), np.stack((d, a, c), -1)))
    found = rasterize(torch.from_numpy(vertices.astype(np.float32))[None], torch.from_numpy(faces), size)
    assert (found.pix_to_face >= 0).all()


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    vertices, faces = random_triangles(5, 40, 0.8, 0.3)
    arguments = (torch.from_numpy(vertices)[None], torch.from_numpy(faces), (48, 40))
    whole = rasterize(*arguments)
    monkeypatch.setattr(raster, "_CHUNK", 37)
    pieces = rasterize(*arguments)
    assert torch.equal(whole.pix_to_face, pieces.pix_to_face)
    assert torch.equal(whole.bary, pieces.bary)


def test_a_batch_equals_its_images_alone() -> None:
    vertices, faces = random_triangles(6, 30, 0.8, 0.4)
    views = torch.from_numpy(np.stack((vertices, vertices[:, [1, 0, 2]], -vertices)))
    together = rasterize(views, torch.from_numpy(faces), (30, 20))
    attributes = torch.from_numpy(np.random.default_rng(0).standard_normal((3, len(vertices), 2)).astype(np.float32))
    pictures = interpolate(together, torch.from_numpy(faces), attributes)
    for view in range(3):
        alone = rasterize(views[view : view + 1], torch.from_numpy(faces), (30, 20))
        assert torch.equal(alone.pix_to_face[0], together.pix_to_face[view])
        torch.testing.assert_close(alone.zbuf[0], together.zbuf[view])
        torch.testing.assert_close(interpolate(alone, torch.from_numpy(faces), attributes[view])[0], pictures[view])


def test_equal_depth_goes_to_the_lowest_face_and_negative_depths_sort() -> None:
    square = [[-1.0, -1], [1, -1], [1, 1], [-1, 1]]
    layers = torch.tensor([[[*corner, z] for z in (0.25, -0.5, -0.25, -0.5) for corner in square]])
    faces = torch.tensor([[4 * layer, 4 * layer + 1, 4 * layer + 2] for layer in range(4)])
    found = rasterize(layers, faces, (8, 8))
    assert set(found.pix_to_face.unique().tolist()) == {-1, 1}


def test_gradients_are_right() -> None:
    vertices, faces = random_triangles(7, 3, 0.2, 0.7)
    faces = torch.from_numpy(faces)
    attributes = torch.randn(len(vertices), 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def picture(points: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        found = rasterize(points, faces, (6, 7))
        return torch.cat((interpolate(found, faces, values), found.zbuf[..., None]), -1)

    points = torch.from_numpy(vertices.astype(np.float64))[None].requires_grad_()
    assert torch.autograd.gradcheck(picture, (points, attributes.requires_grad_()), eps=1e-7, atol=1e-4)


def test_attributes_may_have_corners_of_their_own() -> None:
    vertices = torch.tensor([[[-1.0, -1, 0], [1, -1, 0], [-1, 1, 0]]])
    found = rasterize(vertices, torch.tensor([[0, 1, 2]]), (4, 4))
    uv = torch.tensor([[9.0, 9.0], [0, 0], [1, 0], [0, 1]])
    picture = interpolate(found, torch.tensor([[1, 2, 3]]), uv)
    torch.testing.assert_close(picture[0, 0, 0], torch.tensor([0.125, 0.125]))


@pytest.fixture
def pytorch3d(parity: Path) -> dict[str, np.ndarray]:
    """The recorded renders, with the area in pixels of every triangle (2, F) added."""
    known = dict(np.load(parity / "render" / "raster.npz"))
    corners = known["verts"][:, known["faces"], :2] * known["pix_to_face"].shape[1] / 2
    sides = corners[:, :, 1:] - corners[:, :, :1]
    known["area"] = 0.5 * np.abs(sides[..., 0, 0] * sides[..., 1, 1] - sides[..., 0, 1] * sides[..., 1, 0])
    return known


def test_renders_agree_with_pytorch3d(pytorch3d: dict[str, np.ndarray]) -> None:
    ids, faces = pytorch3d["pix_to_face"], torch.from_numpy(pytorch3d["faces"])
    found = rasterize(torch.from_numpy(pytorch3d["verts"]), faces, ids.shape[1:])
    np.testing.assert_array_equal(found.pix_to_face.numpy(), ids)
    area = np.take_along_axis(pytorch3d["area"], ids.reshape(len(ids), -1).clip(0), 1).reshape(ids.shape)
    large = (ids >= 0) & (area > 0.5)
    assert large.sum() > 1000
    np.testing.assert_allclose(found.bary.numpy()[large], pytorch3d["bary"][large], atol=1e-4)
    # The recorded depths were made around z = 10, where pytorch3d's 1e-8 in the area shifts them by up to 4e-4.
    np.testing.assert_allclose(found.zbuf.numpy()[large], pytorch3d["z"][large], atol=1e-3)
    image = interpolate(found, faces, torch.from_numpy(pytorch3d["attributes"]))
    np.testing.assert_allclose(image.numpy()[large], pytorch3d["image"][large], atol=1e-4)


@pytest.mark.parametrize(("added_area", "tolerance"), [(0.0, 2e-3), (-1e-8, 1e-4)])
def test_gradients_agree_with_pytorch3d(
    pytorch3d: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch, added_area: float, tolerance: float
) -> None:
    """pytorch3d adds 1e-8 to signed areas: with the same the gradients are the same, without it nearly."""
    exact = raster._barycentric

    def with_added_area(corners: torch.Tensor, points: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        a, b, c = corners[..., :2]
        area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
        return exact(corners, points) * (area / (area + added_area))

    monkeypatch.setattr(raster, "_barycentric", with_added_area)
    vertices = torch.from_numpy(pytorch3d["verts"]).requires_grad_()
    faces = torch.from_numpy(pytorch3d["faces"])
    image = interpolate(rasterize(vertices, faces, (128, 128)), faces, torch.from_numpy(pytorch3d["attributes"]))
    rng = np.random.Generator(np.random.PCG64(30))
    loss = (image * torch.from_numpy(rng.standard_normal(image.shape).astype(np.float32))).sum()
    assert loss.item() == pytest.approx(pytorch3d["loss"].item(), rel=1e-4)
    loss.backward()
    tiny = np.zeros(pytorch3d["verts"].shape[:2], bool)
    for view, area in enumerate(pytorch3d["area"]):
        tiny[view, pytorch3d["faces"][area < 0.05]] = True
    expected = pytorch3d["grad_verts"][~tiny]
    assert np.abs(vertices.grad.numpy()[~tiny] - expected).max() <= tolerance * np.abs(expected).max()
