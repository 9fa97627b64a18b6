# SPDX-License-Identifier: GPL-3.0-or-later
import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch

from backend.heads.flame import load_flame
from backend.heads.model import HeadModel
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from tests.fake_heads import normalised

V, F, IDENTITY = 30, 50, 20


def flame_arrays() -> dict[str, object]:
    """The fields of a FLAME pickle, small."""
    rng = np.random.default_rng(0)
    weights = normalised(rng.uniform(0, 1, (V, 5)))
    weights[:3] = (0, 0, 0, 1, 0)
    faces = np.vstack(([0, 1, 2], rng.integers(0, V, (F - 1, 3))))
    return {
        "v_template": rng.standard_normal((V, 3)),
        "shapedirs": 0.1 * rng.standard_normal((V, 3, IDENTITY + 100)),
        "posedirs": 0.1 * rng.standard_normal((V, 3, 36)),
        "J_regressor": normalised(rng.uniform(0, 1, (5, V))),
        "weights": weights,
        "f": faces.astype(np.uint32),
        "kintree_table": np.array([[4294967295, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


def published(arrays: dict[str, object]) -> bytes:
    """A pickle as it is published: Python 2 protocol, chumpy arrays, a scipy sparse regressor."""
    sparse = dict(arrays, J_regressor=scipy.sparse.csc_matrix(arrays["J_regressor"]))
    raw = b"\x80\x02}("
    for name, value in sparse.items():
        body = pickle.dumps(value, protocol=2)[2:-1]
        if name in ("v_template", "shapedirs", "posedirs", "weights"):
            state = pickle.dumps({"x": value, "_dirty_vars": set(), "_itr": None}, protocol=2)[2:-1]
            body = b"cchumpy.ch\nCh\n)\x81" + state + b"b"
        raw += pickle.dumps(name, protocol=2)[2:-1] + body
    return raw + b"u."


@pytest.fixture
def flame_file(tmp_path: Path) -> Path:
    path = tmp_path / "generic_model.pkl"
    path.write_bytes(published(flame_arrays()))
    return path


def test_a_published_pickle_becomes_a_head(flame_file: Path) -> None:
    head, arrays = load_flame(flame_file), flame_arrays()
    np.testing.assert_array_equal(head.template, arrays["v_template"].astype(np.float32))
    np.testing.assert_array_equal(head.identity, arrays["shapedirs"][..., :IDENTITY].astype(np.float32))
    np.testing.assert_array_equal(head.expression, arrays["shapedirs"][..., IDENTITY:].astype(np.float32))
    np.testing.assert_array_equal(head.pose_correctives[7].reshape(V, 3), arrays["posedirs"][..., 7].astype(np.float32))
    np.testing.assert_array_equal(head.joint_regressor, arrays["J_regressor"].astype(np.float32))
    np.testing.assert_array_equal(head.faces, arrays["f"])
    assert head.sha256 == hashlib.sha256(flame_file.read_bytes()).hexdigest()
    assert (head.id, head.commercial_use, head.eyelids.shape) == ("flame2020", "no", (V, 3, 0))
    assert head.joints_follow_expression
    assert head.materials[head.polygon_material[0]] == "sclera"
    assert len(head.expression_names) == 100


def test_the_same_numbers_from_pickle_and_npz_and_after_saving(flame_file: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "flame.npz", **{k: v for k, v in flame_arrays().items() if not isinstance(v, str)})
    head = load_flame(flame_file)
    head.save(tmp_path / "saved.npz")
    pose = {"jaw": torch.tensor([[0.3, 0.0, 0.1]]), "expression": torch.ones(1, 100)}
    expected = HeadModel(head)(**pose).vertices
    for other in (load_flame(tmp_path / "flame.npz"), HeadDescription.load(tmp_path / "saved.npz")):
        torch.testing.assert_close(HeadModel(other)(**pose).vertices, expected)


@pytest.mark.parametrize(
    ("name", "head_id", "expected", "commercial"),
    [
        ("flame2023.pkl", None, "flame2023", "no"),
        ("flame2023_open.pkl", None, "flame2023", "no"),
        ("model.pkl", "flame2023_open", "flame2023_open", "yes"),
        ("model.pkl", "flame2023", "flame2023", "no"),
    ],
)
def test_the_release_decides_the_licence(
    tmp_path: Path, name: str, head_id: str | None, expected: str, commercial: str
) -> None:
    path = tmp_path / name
    path.write_bytes(published(flame_arrays()))
    head = load_flame(path, head_id)
    assert (head.id, head.commercial_use) == (expected, commercial)


def test_uvs_of_the_template_obj(flame_file: Path, tmp_path: Path) -> None:
    faces, obj = flame_arrays()["f"], tmp_path / "head_template.obj"
    corners = np.arange(3 * F).reshape(F, 3)
    lines = [f"vt {i / (3 * F)} 0.25" for i in range(3 * F)]
    lines += [
        "f " + " ".join(f"{v + 1}/{t + 1}" for v, t in zip(*pair, strict=True))
        for pair in zip(faces, corners, strict=True)
    ]
    obj.write_text("\n".join(lines))
    head = load_flame(flame_file, template_obj=obj)
    np.testing.assert_array_equal(head.uv_faces, corners)
    np.testing.assert_allclose(head.uv[4], (4 / (3 * F), 0.25))
    obj.write_text("\n".join(lines[:-1]))
    with pytest.raises(MienError, match="not those of the model"):
        load_flame(flame_file, template_obj=obj)


def broken(**changes: object) -> bytes:
    arrays = flame_arrays() | changes
    return pickle.dumps({name: value for name, value in arrays.items() if value is not None}, protocol=2)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pickle.dumps([1, 2]), "no dictionary"),
        (broken(shapedirs=None), "no 'shapedirs'"),
        (broken(weights="heavy"), "'weights' is not an array"),
        (broken(shapedirs=np.zeros((V, 3, 90))), "'shapedirs' has 90 columns"),
        (broken(posedirs=np.zeros((V, 3, 207))), "'posedirs' has shape"),
        (broken(J_regressor=np.zeros((24, V))), "'J_regressor' has shape"),
        (broken(kintree_table=np.array([[0, 0, 0, 0, 0], [0, 1, 2, 3, 4]])), "joints are not"),
        (broken(f=np.full((F, 3), V)), "out of range"),
        (b"not a pickle", "damaged"),
    ],
)
def test_other_files_are_refused_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(content)
    with pytest.raises(MienError, match=reason) as caught:
        load_flame(path)
    assert caught.value.code is ErrorCode.BAD_HEAD


def test_an_unknown_release_is_refused(flame_file: Path) -> None:
    with pytest.raises(MienError) as caught:
        load_flame(flame_file, "flame2017")
    assert caught.value.code is ErrorCode.USAGE
