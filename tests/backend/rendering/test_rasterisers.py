# SPDX-License-Identifier: GPL-3.0-or-later
"""All rasterisers see the same: each other, pytorch3d's records, and what is asked of pytorch3d is what it expects."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.heads import load_head
from backend.heads.model import HeadModel
from backend.rendering import raster, rasterisers
from backend.rendering.camera import project_perspective, project_weak
from backend.rendering.raster import interpolate, rasterize
from backend.rendering.rasterisers import Name, choose_rasteriser, installed
from blender_addon.contract.errors import ErrorCode, MienError

ALL: tuple[Name, ...] = ("torch", "numba", "pytorch3d")
FASTER = ALL[1:]


@pytest.fixture(params=ALL)
def name(request: pytest.FixtureRequest) -> Name:
    """Each rasteriser that is installed."""
    return available(request.param)


@pytest.fixture(params=FASTER)
def faster(request: pytest.FixtureRequest) -> Name:
    """Each that is not ours in torch."""
    return available(request.param)


def available(name: Name) -> Name:
    if not installed(name):
        pytest.skip(f"{name} is not installed")
    return name


def soup(seed: int, count: int, extent: float) -> tuple[Tensor, Tensor]:
    """Triangles anywhere, some of which share corners, some broken."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-1.2, 1.2, (2, count, 1, 3))
    vertices = (centres + extent * rng.standard_normal((2, count, 3, 3))).astype(np.float32).reshape(2, -1, 3)
    vertices[1, rng.integers(0, 3 * count)] = np.nan
    faces = rng.integers(0, 3 * count, (2 * count, 3))
    return torch.from_numpy(vertices), torch.from_numpy(faces)


def head_views() -> tuple[Tensor, Tensor]:
    """The open head, turned and with its mouth open, in the rasteriser's frame."""
    turn = torch.tensor([[0.0, 0.0, 0.0], [0.1, 0.6, 0.1]])
    model = HeadModel(load_head())
    posed = model(head_rotation=turn, jaw=torch.tensor([[0.2, 0.0, 0.0], [0.0, 0.0, 0.0]])).vertices
    return project_weak(posed, torch.tensor([[9.0, 0.0, 0.02], [8.0, 0.01, 0.0]])), model.faces.long()


@pytest.mark.parametrize("extent", [0.02, 0.3, 3.0, 50.0])
@pytest.mark.parametrize("size", [(1, 1), (16, 33), (64, 64)])
def test_the_same_faces_of_triangle_soups(faster: Name, extent: float, size: tuple[int, int]) -> None:
    """pytorch3d leaves out small triangles and rounds otherwise, so a few pixels of it may differ."""
    seen = choose_rasteriser(faster, "cpu").visible_faces
    different = pixels = 0
    for seed in range(12):
        vertices, faces = soup(seed, 20, extent)
        different += int((seen(vertices, faces, size) != raster.visible_faces(vertices, faces, size)).sum())
        pixels += 2 * size[0] * size[1]
    assert different <= (0 if faster == "numba" else 0.01 * pixels)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_same_faces_of_a_head(faster: Name, dtype: torch.dtype) -> None:
    vertices, faces = head_views()
    seen = choose_rasteriser(faster, "cpu").visible_faces(vertices.to(dtype), faces, (224, 224))
    ours = raster.visible_faces(vertices.to(dtype), faces, (224, 224))
    assert (ours >= 0).float().mean() > 0.2
    assert seen.shape == ours.shape
    assert seen.dtype == torch.int64
    assert (seen != ours).sum() <= (0 if faster == "numba" else 20)


def test_ties_go_to_the_lowest_face(name: Name) -> None:
    square = [[-1.0, -1], [1, -1], [1, 1], [-1, 1]]
    layers = torch.tensor([[[*corner, z] for z in (0.25, -0.5, -0.25, -0.5) for corner in square]])
    faces = torch.tensor([[4 * layer, 4 * layer + 1, 4 * layer + 2] for layer in range(4)])
    found = choose_rasteriser(name, "cpu").visible_faces(layers, faces, (8, 8))
    assert set(found.unique().tolist()) == {-1, 1}


def test_nothing_in_sight(name: Name) -> None:
    seen = choose_rasteriser(name, "cpu").visible_faces
    away = torch.tensor([[[2.0, 0, 0], [3, 0, 0], [2, 1, 0]]])
    assert (seen(away, torch.tensor([[0, 1, 2]]), (4, 6)) == -1).all()
    broken = torch.full((1, 3, 3), torch.nan)
    assert (seen(broken, torch.tensor([[0, 1, 2]]), (4, 6)) == -1).all()


def test_records_of_pytorch3d(name: Name, parity: Path) -> None:
    """What pytorch3d 0.7.9 gave: faces in all pixels, weights, depths, images, loss and gradients."""
    known = dict(np.load(parity / "render" / "raster.npz"))
    ids, faces = known["pix_to_face"], torch.from_numpy(known["faces"])
    vertices = torch.from_numpy(known["verts"]).requires_grad_()
    found = rasterize(vertices, faces, ids.shape[1:], choose_rasteriser(name, "cpu").visible_faces)
    np.testing.assert_array_equal(found.pix_to_face.numpy(), ids)
    image = interpolate(found, faces, torch.from_numpy(known["attributes"]))
    rng = np.random.Generator(np.random.PCG64(30))
    loss = (image * torch.from_numpy(rng.standard_normal(image.shape).astype(np.float32))).sum()
    loss.backward()
    corners = known["verts"][:, known["faces"], :2] * ids.shape[1] / 2
    sides = corners[:, :, 1:] - corners[:, :, :1]
    area = 0.5 * np.abs(sides[..., 0, 0] * sides[..., 1, 1] - sides[..., 0, 1] * sides[..., 1, 0])
    large = (ids >= 0) & (np.take_along_axis(area, ids.reshape(len(ids), -1).clip(0), 1).reshape(ids.shape) > 0.5)
    np.testing.assert_allclose(found.bary.detach().numpy()[large], known["bary"][large], atol=1e-4)
    # Recorded around z = 10, where the 1e-8 that pytorch3d adds to areas shifts depths by up to 4e-4.
    np.testing.assert_allclose(found.zbuf.detach().numpy()[large], known["z"][large], atol=1e-3)
    np.testing.assert_allclose(image.detach().numpy()[large], known["image"][large], atol=1e-4)
    assert loss.item() == pytest.approx(known["loss"].item(), rel=1e-4)
    tiny = np.zeros(known["verts"].shape[:2], bool)
    for view in range(len(ids)):
        tiny[view, known["faces"][area[view] < 0.05]] = True
    # With the 1e-8 the gradients agree to 1e-4 (test_raster); ours have no such thing.
    expected = known["grad_verts"][~tiny]
    assert np.abs(vertices.grad.numpy()[~tiny] - expected).max() <= 2e-3 * np.abs(expected).max()


def test_gradients_are_those_of_torch(faster: Name) -> None:
    vertices, faces = head_views()
    gradients = []
    for name in ("torch", faster):
        points = vertices.clone().requires_grad_()
        found = rasterize(points, faces, (64, 64), choose_rasteriser(name, "cpu").visible_faces)
        (interpolate(found, faces, vertices).square().sum() + found.zbuf.sum()).backward()
        gradients.append(points.grad)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4 if faster == "pytorch3d" else 0)


class FakePytorch3d:
    """Answers as pytorch3d would, by our rasteriser, and keeps what it was asked."""

    def __init__(self) -> None:
        self.meshes: SimpleNamespace | None = None
        self.settings: dict[str, object] = {}

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        modules = {name: ModuleType(name) for name in (
            "pytorch3d", "pytorch3d.renderer", "pytorch3d.renderer.mesh", "pytorch3d.structures",
        )}  # fmt: skip
        modules["pytorch3d.structures"].Meshes = lambda verts, faces: SimpleNamespace(verts=verts, faces=faces)
        modules["pytorch3d.renderer.mesh"].rasterize_meshes = self.rasterize_meshes
        modules["pytorch3d"].__spec__ = SimpleNamespace()
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)

    def rasterize_meshes(self, meshes: SimpleNamespace, **settings: object) -> tuple[Tensor, ...]:
        self.meshes, self.settings = meshes, settings
        height, width = settings["image_size"]
        shorter = min(height, width)
        scale = torch.tensor([-shorter / width, -shorter / height, 1.0])
        assert meshes.faces.shape[0] == meshes.verts.shape[0]
        found = torch.cat([
            raster.visible_faces(verts[None] * scale, faces, (height, width))
            for verts, faces in zip(meshes.verts, meshes.faces, strict=True)
        ])  # fmt: skip
        packed = found + torch.arange(len(found))[:, None, None] * meshes.faces.shape[1]
        packed = torch.where(found < 0, -1, packed)[..., None]
        return packed, torch.zeros_like(packed), torch.zeros_like(packed), torch.zeros_like(packed)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePytorch3d]:
    made = FakePytorch3d()
    made.install(monkeypatch)
    forget()
    yield made
    forget()


def forget() -> None:
    """What was loaded and chosen."""
    rasterisers._loaded.cache_clear()
    rasterisers._automatic.cache_clear()
    sys.modules.pop("backend.rendering.raster_pytorch3d", None)


@pytest.mark.parametrize("size", [(32, 32), (24, 40), (40, 24)])
def test_pytorch3d_is_called_as_published(fake: FakePytorch3d, size: tuple[int, int]) -> None:
    vertices, faces = soup(3, 20, 0.3)
    found = choose_rasteriser("pytorch3d", "cpu").visible_faces(vertices, faces, size)
    assert (found == raster.visible_faces(vertices, faces, size)).float().mean() > 0.995
    assert fake.settings == {
        "image_size": size, "blur_radius": 0, "faces_per_pixel": 1, "bin_size": None, "perspective_correct": False,
        "cull_backfaces": False,
    }  # fmt: skip
    given = fake.meshes.verts
    assert given.isfinite().all()
    assert given[..., 2].min() > 0
    longer = torch.tensor([size[1], size[0]]) / min(size)
    torch.testing.assert_close(given[0, :, :2], -vertices[0, :, :2] * longer)
    away = given[0, :, 2] - vertices[0, :, 2]
    torch.testing.assert_close(away, away[:1].expand_as(away))


def test_pytorch3d_gets_perspective_and_doubles(fake: FakePytorch3d) -> None:
    posed = torch.from_numpy(load_head().template)[None].double()
    matrix = torch.tensor([[300.0, 0, 32], [0, 300, 32], [0, 0, 1]]).double()
    points = project_perspective(posed, torch.tensor([[0.0, 0.0, 0.9]]).double(), matrix, (64, 64))
    faces = torch.from_numpy(load_head().faces)
    found = choose_rasteriser("pytorch3d", "cpu").visible_faces(points, faces, (64, 64))
    assert fake.meshes.verts.dtype == torch.float32
    assert (found != raster.visible_faces(points, faces, (64, 64))).sum() <= 10


def test_auto_is_told(fake: FakePytorch3d, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """numba on a CPU, pytorch3d on CUDA, torch elsewhere and where these are not."""
    caplog.set_level(logging.INFO, "mien.rasteriser")
    assert choose_rasteriser("auto", "cuda:0").name == "pytorch3d"
    assert choose_rasteriser("auto", "mps").name == "torch"
    assert choose_rasteriser("auto", "cpu").name == ("numba" if installed("numba") else "torch")
    assert "rasteriser for cuda: pytorch3d" in caplog.text
    forget()
    monkeypatch.setattr(rasterisers, "installed", lambda name: name == "torch")
    assert choose_rasteriser("auto", "cpu").name == choose_rasteriser("auto", "cuda").name == "torch"
    assert "torch (numba is not installed)" in caplog.text


def test_one_that_does_not_load_is_refused_by_name_and_told_by_auto(
    fake: FakePytorch3d, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "pytorch3d.structures", None)  # an import of it fails
    caplog.set_level(logging.INFO, "mien.rasteriser")
    with pytest.raises(MienError, match="pytorch3d does not load") as caught:
        choose_rasteriser("pytorch3d", "cpu")
    assert caught.value.code is ErrorCode.SETUP_FAILED
    assert "torch" in caught.value.remedy
    assert choose_rasteriser("auto", "cuda").name == "torch"
    assert "does not load" in caplog.text


def test_one_that_is_not_there_or_unknown_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    forget()
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "backend.rendering.raster_numba", raising=False)
    monkeypatch.setattr(rasterisers, "installed", lambda name: False)
    with pytest.raises(MienError, match="numba is not installed") as caught:
        choose_rasteriser("numba", "cpu")
    assert "mien setup --fan" in caught.value.remedy
    with pytest.raises(MienError, match="no rasteriser 'opengl'"):
        choose_rasteriser("opengl", "cpu")  # type: ignore[arg-type]
    forget()
