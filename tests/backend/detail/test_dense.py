# SPDX-License-Identifier: GPL-3.0-or-later
"""The dense mesh of a head's own UV layout, the published one, and the mesh as a file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.cli import main
from backend.detail.dense import dense_mesh
from backend.detail.exr import write_map
from backend.heads.flame import load_flame
from backend.weights.parts import write_part
from blender_addon.contract.errors import EXIT_CODES, ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from tests.face_flame import write_model, write_template
from tests.fake_flame import flame_take

pytestmark = pytest.mark.usefixtures("mien_home")


@pytest.fixture(scope="module")
def files(module_path: Path) -> tuple[Path, Path]:
    return write_model(module_path / "generic_model.pkl"), write_template(module_path / "head_template.obj")


@pytest.fixture(scope="module")
def head(files: tuple[Path, Path]) -> HeadDescription:
    return load_flame(files[0], template_obj=files[1])


def normals_of(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = vertices[faces].transpose(1, 0, 2)
    return np.cross(b - a, c - a)


def test_undisplaced_it_lies_on_the_head_and_faces_outwards(head):
    mesh = dense_mesh(head)
    flat = mesh.vertices(head, head.template, np.zeros((256, 256)))
    exact = (head.template[mesh.corners.numpy()] * mesh.barycentric.numpy()[..., None]).sum(1)
    assert np.abs(flat - exact).max() < 1e-6
    faces = mesh.faces.numpy()
    assert len(faces) > 1.7 * len(flat)
    coarse = normals_of(head.template, head.faces)
    along = np.zeros_like(head.template)
    for corner in head.faces.T:
        np.add.at(along, corner, coarse)
    smooth = (along[mesh.corners.numpy()] * mesh.barycentric.numpy()[..., None]).sum(1)[faces[:, 0]]
    assert ((normals_of(flat, faces) * smooth).sum(1) > 0).mean() > 0.99


def test_no_triangle_spans_two_islands_of_the_layout(head):
    mesh = dense_mesh(head)
    flat = mesh.vertices(head, head.template, np.zeros((256, 256)))
    longest = np.linalg.norm(flat[mesh.faces.numpy()] - flat[np.roll(mesh.faces.numpy(), 1, 1)], axis=2).max(1)
    assert longest.max() < 0.03


def test_a_constant_map_lifts_by_as_much(head):
    mesh = dense_mesh(head)
    flat, lifted = (mesh.vertices(head, head.template, np.full((256, 256), value)) for value in (0, 0.002))
    np.testing.assert_allclose(np.linalg.norm(lifted - flat, axis=1), 0.002, atol=1e-6)


def test_the_published_mesh_is_used_where_it_was_added(head):
    own = dense_mesh(head)
    arrays = {
        "pixels": own.pixels.numpy()[:9].astype(np.int32), "faces": np.array([[0, 1, 2], [6, 7, 8]], np.int32),
        "corners": own.corners.numpy()[:9].astype(np.int32), "barycentric": own.barycentric.numpy()[:9],
    }  # fmt: skip
    write_part("texture_data", arrays, origin="texture_data_256.npy", sha256="4" * 64)
    made = dense_mesh(head)
    assert len(made.pixels) == 9 and made.faces.tolist() == [[0, 1, 2], [6, 7, 8]]
    write_part("texture_data", {**arrays, "corners": arrays["corners"] + 99999}, origin="x", sha256="4" * 64)
    with pytest.raises(MienError) as caught:
        dense_mesh(head)
    assert caught.value.code is ErrorCode.BAD_HEAD


def test_a_head_without_a_layout_is_refused(files):
    with pytest.raises(MienError) as caught:
        dense_mesh(load_flame(files[0]))
    assert caught.value.code is ErrorCode.BAD_HEAD and "head_template.obj" in caught.value.remedy


def test_it_is_exported_as_obj(head, files, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("backend.exports.dense_obj.load_head", lambda name: head)
    take = flame_take(head, frames=2, expression=np.zeros((2, 100), "f4"), identity=np.zeros(300, "f4"))
    (tmp_path / "shot.displacement").mkdir()
    write_map(tmp_path / "shot.displacement" / "0001.exr", np.full((256, 256), 0.001))
    named = ("shot.displacement/0001.exr",) * 2
    path = tmp_path / "shot.take.npz"
    replace(take, meta=replace(take.meta, displacement=named)).save(path)
    assert main(["export", str(path), "--to", "detail-obj", "--frame", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["written"][0] == str(tmp_path / "shot.detail.obj")
    lines = (tmp_path / "shot.detail.obj").read_text().splitlines()
    mesh = dense_mesh(head)
    kinds = [line.split()[0] for line in lines]
    assert [kinds.count(kind) for kind in ("v", "vt", "f")] == [len(mesh.pixels), len(mesh.pixels), len(mesh.faces)]
    assert (tmp_path / "shot.detail.obj.json").is_file()
    assert main(["export", str(path), "--to", "detail-obj", "--frame", "3"]) == EXIT_CODES[ErrorCode.USAGE]
    (tmp_path / "shot.displacement" / "0001.exr").unlink()
    assert main(["export", str(path), "--to", "detail-obj"]) == EXIT_CODES[ErrorCode.MISSING_FILE]
    take.save(path)
    assert main(["export", str(path), "--to", "detail-obj"]) == EXIT_CODES[ErrorCode.CANNOT_EXPORT]
