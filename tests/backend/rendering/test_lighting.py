# SPDX-License-Identifier: GPL-3.0-or-later
import torch

from backend.rendering.lighting import KEY, studio_light

SCALE = 0.1
"""Metres: the lights' tolerances are made for a head."""


def plate(height: float, cells: int = 8) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A square facing the key light, at a height along it: vertices, faces, normals."""
    towards = torch.nn.functional.normalize(torch.tensor(KEY), dim=0)
    side = torch.nn.functional.normalize(torch.linalg.cross(towards, torch.tensor([0.0, 1, 0])), dim=0)
    up = torch.linalg.cross(side, towards)
    steps = torch.linspace(-1, 1, cells)
    grid = steps[:, None, None] * side + steps[None, :, None] * up + height * towards
    index = torch.arange(cells * cells).view(cells, cells)
    a, b, c, d = (part.flatten() for part in (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]))
    faces = torch.cat((torch.stack((a, b, c), 1), torch.stack((a, c, d), 1)))
    return SCALE * grid.reshape(-1, 3), faces, towards.expand(cells * cells, 3)


def test_a_plate_under_another_lies_in_its_shadow() -> None:
    lower, upper = plate(0.0), plate(0.25)
    count = len(lower[0])
    vertices = torch.cat((lower[0], upper[0]))
    light = studio_light(vertices, torch.cat((lower[1], upper[1] + count)), torch.cat((lower[2], upper[2])))
    middle = torch.arange(count).view(8, 8)[3:5, 3:5].flatten()
    assert light.key[middle].max() < 0.01
    assert light.key[count + middle].min() > 0.98
    assert (light.irradiance[middle] < 0.5 * light.irradiance[count + middle]).all()
    alone = studio_light(*lower)
    assert alone.key.min() > 0.98


def test_light_falls_off_away_from_the_key_and_is_never_negative() -> None:
    vertices, faces, normals = plate(0.0)
    front, back = studio_light(vertices, faces, normals), studio_light(vertices, faces, -normals)
    assert (front.irradiance.mean(0) > 1.5 * back.irradiance.mean(0)).all()
    assert back.irradiance.min() >= 0
