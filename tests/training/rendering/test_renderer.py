# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
import torch
from torch import Tensor

from backend.detail.uv_maps import uv_fragments, uv_maps
from backend.heads import load_head
from backend.heads.model import HeadModel
from backend.rendering.camera import project_weak
from backend.rendering.raster import interpolate, rasterize
from backend.rendering.shading import sh_shading, vertex_normals
from blender_addon.contract.errors import MienError
from training.rendering.renderer import FaceRenderer, unwrapped
from training.synthetic.light import ambient

CAMERA = torch.tensor([[9.0, 0.0, 0.02], [8.0, 0.01, 0.0]])
SIZE = 96


@pytest.fixture(scope="module")
def vertices() -> Tensor:
    turn = torch.tensor([[0.0, 0.0, 0.0], [0.1, 0.4, 0.0]])
    return HeadModel(load_head())(head_rotation=turn).vertices


def random_light(seed: int = 0) -> Tensor:
    return torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(seed))


def test_light_from_everywhere_shows_the_albedo(vertices: Tensor) -> None:
    light = torch.from_numpy(ambient()).float()[None, :, None].expand(2, -1, 3)
    render = FaceRenderer(load_head(), SIZE)(vertices, CAMERA, torch.full((2, 3, 64, 64), 0.3), light)
    torch.testing.assert_close(render.image, 0.3 * render.alpha.expand(-1, 3, -1, -1))
    assert torch.equal(render.mask, render.alpha)
    assert 0.2 < render.alpha.mean() < 0.9


def test_shading_is_that_of_the_vertex_normals(vertices: Tensor) -> None:
    head, light = load_head(), random_light()
    render = FaceRenderer(head, SIZE)(vertices, CAMERA, torch.ones(2, 3, 8, 8), light)
    faces = torch.from_numpy(head.faces).long()
    fragments = rasterize(project_weak(vertices, CAMERA), faces, (SIZE, SIZE))
    normals = torch.nn.functional.normalize(interpolate(fragments, faces, vertex_normals(vertices, faces)), dim=-1)
    expected = sh_shading(normals, light).movedim(-1, 1) * fragments.mask[:, None]
    torch.testing.assert_close(render.image, expected)


def test_detail_normals_are_shaded_in_uv_space(vertices: Tensor) -> None:
    """With the coarse normals as a map the picture is the same but for the map's resolution."""
    head, light = load_head(), random_light() * 0.3
    faces, uv_faces = torch.from_numpy(head.faces).long(), torch.from_numpy(head.uv_faces).long()
    maps = uv_maps(uv_fragments(torch.from_numpy(head.uv), uv_faces, 512), faces, vertex_normals(vertices, faces))
    renderer, albedo = FaceRenderer(head, SIZE), torch.ones(2, 3, 8, 8)
    coarse = renderer(vertices, CAMERA, albedo, light)
    mapped = renderer(vertices, CAMERA, albedo, light, maps)
    assert (coarse.image - mapped.image).abs().median() < 0.01
    bent = torch.nn.functional.normalize(maps + torch.tensor([0.5, 0, 0]).view(3, 1, 1), dim=1)
    assert (renderer(vertices, CAMERA, albedo, light, bent).image - mapped.image).abs().mean() > 0.01


def test_the_mask_is_seen_through_the_uvs(vertices: Tensor) -> None:
    half = torch.ones(1, 1, 64, 64)
    half[..., :32] = 0
    head = load_head()
    render = FaceRenderer(head, SIZE, half)(vertices, CAMERA, torch.ones(2, 3, 8, 8), random_light())
    share = (render.mask.sum() / render.alpha.sum()).item()
    assert 0.2 < share < 0.8
    assert (render.mask <= render.alpha).all()


def test_the_mask_has_no_gradient(vertices: Tensor) -> None:
    """Or a masked difference of colours would fall where the face gets smaller."""
    posed = vertices.clone().requires_grad_()
    renderer = FaceRenderer(load_head(), SIZE, torch.rand(1, 1, 64, 64))
    render = renderer(posed, CAMERA, torch.ones(2, 3, 8, 8), random_light())
    assert render.image.requires_grad and not render.mask.requires_grad


def test_gradients_reach_all_arguments(vertices: Tensor) -> None:
    albedo = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    inputs = [tensor.clone().requires_grad_() for tensor in (vertices, CAMERA, albedo, random_light())]
    render = FaceRenderer(load_head(), SIZE)(*inputs)
    gradients = torch.autograd.grad(render.image.square().mean(), inputs)
    for gradient in gradients:
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0


def test_descent_finds_the_light(vertices: Tensor) -> None:
    renderer, albedo = FaceRenderer(load_head(), SIZE), torch.full((2, 3, 8, 8), 0.5)
    truth = renderer(vertices, CAMERA, albedo, random_light()).image
    light = torch.zeros(2, 9, 3, requires_grad=True)
    optimiser = torch.optim.Adam([light], 0.1)
    for _ in range(60):
        optimiser.zero_grad()
        loss = (renderer(vertices, CAMERA, albedo, light).image - truth).abs().mean()
        loss.backward()
        optimiser.step()
    assert loss < 0.1 * truth.abs().mean()


def test_a_photo_unwraps_to_the_texture_it_was_rendered_with(vertices: Tensor) -> None:
    head = load_head()
    faces, uv_faces = torch.from_numpy(head.faces).long(), torch.from_numpy(head.uv_faces).long()
    smooth = torch.nn.functional.interpolate(
        torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(2)), (128, 128), mode="bicubic"
    )
    light = torch.from_numpy(ambient()).float()[None, :, None].expand(2, -1, 3)
    photo = FaceRenderer(head, 224)(vertices, CAMERA, smooth, light).image
    fragments = uv_fragments(torch.from_numpy(head.uv), uv_faces, 128)
    points = uv_maps(fragments, faces, project_weak(vertices, CAMERA))
    colours, seen = unwrapped(photo, points, uv_maps(fragments, faces, vertex_normals(vertices, faces)))
    compared = (seen * fragments.mask[:, None]).bool().expand_as(colours)
    # Visibility does not know of what hides a texel (the mouth's inside, the backs of the eyes): leave that out here.
    depth = rasterize(project_weak(vertices, CAMERA), faces, (224, 224)).zbuf[:, None]
    place = points[:, :2].movedim(1, -1)
    nearest = torch.nn.functional.grid_sample(depth, place, mode="nearest", align_corners=False)
    first = (points[:, 2:] - nearest).abs() < 0.03
    inside = (points[:, :2].abs() < 0.95).all(1, keepdim=True)
    error = (colours - smooth).abs()[compared & (first & inside).expand_as(colours)]
    assert error.median() < 0.01
    assert error.quantile(0.95) < 0.05


def test_the_rasteriser_can_be_chosen(vertices: Tensor) -> None:
    head, light, albedo = load_head(), random_light(), torch.ones(2, 3, 8, 8)
    renders = [FaceRenderer(head, SIZE, rasteriser=name)(vertices, CAMERA, albedo, light) for name in ("torch", "auto")]
    assert torch.equal(renders[0].image, renders[1].image)
    with pytest.raises(MienError, match="no rasteriser"):
        FaceRenderer(head, SIZE, rasteriser="opengl")  # type: ignore[arg-type]
