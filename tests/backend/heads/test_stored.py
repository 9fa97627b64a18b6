# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME heads from the files that were added."""

from __future__ import annotations

import numpy as np
import pytest

from backend.heads import load_head
from backend.heads.carried import DETECTED
from backend.weights.parts import write_part
from backend.weights.readiness import models
from backend.weights.revision import flame_additions, flame_revision
from blender_addon.contract.errors import ErrorCode, MienError
from tests.face_flame import embedded, face_flame

SHA256 = "ab" * 32


def add_flame(kind: str = "flame2020", name: str = "", identity: int = 300, expressions: int = 100) -> None:
    made = face_flame().fields
    arrays = {key: made[key].astype(np.float32) for key in ("v_template", "J_regressor", "weights")}
    shapes = made["shapedirs"]
    chosen = np.concatenate([shapes[..., :identity], shapes[..., 300 : 300 + expressions]], axis=2)
    arrays["shapedirs"] = chosen.astype(np.float32)
    arrays["posedirs"] = made["posedirs"].reshape(-1, 36).T.astype(np.float32)
    arrays["f"] = made["f"].astype(np.int32)
    sha256 = SHA256 if not name else "cd" * 32
    settings = {"expressions": str(expressions)}
    about = {"origin": "generic_model.pkl", "sha256": sha256, "name": name, "settings": settings}
    write_part(kind, arrays, first=name != "emoca", **about)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_HOME", str(tmp_path_factory.mktemp("home")))
        yield


def test_heads_that_were_not_added_say_where_they_come_from(mien_home):
    for name in ("flame2020", "flame2023_open", "e" * 64):
        with pytest.raises(MienError) as caught:
            load_head(name)
        assert caught.value.code is ErrorCode.MISSING_FILE and "models add" in caught.value.remedy


def test_a_stored_head_has_all_that_came_to_it(home):
    add_flame("flame2023")
    plain = load_head("flame2023")
    assert (plain.id, plain.sha256, plain.revision, plain.commercial_use) == ("flame2023", SHA256, "", "no")
    assert plain.identity.shape[2] == 300 and plain.expression.shape[2] == 100
    known = face_flame()
    faces, weights = embedded(load_head("open").landmarks["ibug68"])
    names = {"full_faces": faces, "full_barycentric": weights}
    names |= {"static_faces": faces[17:], "static_barycentric": weights[17:]}
    write_part("landmark_embedding", names, origin="landmark_embedding.npy", sha256="1" * 64)
    layout = {"uv": known.uv, "uv_faces": known.uv_faces, "faces": known.fields["f"].astype(np.int32)}
    write_part("head_template", layout, origin="head_template.obj", sha256="2" * 64)
    for column, side in enumerate(("left", "right")):
        offsets = {"offsets": known.eyelids[..., column].astype(np.float32)}
        write_part("eyelids", offsets, origin=f"{side[0]}_eyelid.npy", sha256=str(3 + column) * 64, name=side)
    head = load_head("flame2023")
    assert head.sha256 == plain.sha256 and head.revision == flame_revision(flame_additions("flame2023")) != ""
    assert np.allclose(head.eyelids, known.eyelids, atol=1e-6) and np.array_equal(head.uv, known.uv)
    assert len(head.landmarks["ibug68"].faces) == 68 and len(head.landmarks["static51"].faces) == 51
    assert load_head(SHA256).id == "flame2023"


def test_the_open_heads_landmarks_and_lids_are_carried_over(home):
    head, known, source = load_head("flame2023"), face_flame(), load_head("open")
    faces, weights = embedded(source.landmarks[DETECTED])
    marks = head.landmarks[DETECTED]
    here = (head.template[head.faces[marks.faces]] * marks.barycentric[..., None]).sum(axis=1)
    there = (known.fields["v_template"][known.fields["f"].astype(int)[faces]] * weights[..., None]).sum(axis=1)
    off = np.linalg.norm(here - there, axis=1) * 1e3
    print(f"landmarks: {off.mean():.2f} mm mean, {np.quantile(off, 0.95):.2f} mm at the 95th percentile")
    assert off.mean() < 0.9 and np.quantile(off, 0.95) < 2.5


def test_a_whole_model_goes_before_what_a_checkpoint_holds(home):
    add_flame("flame2020", "emoca", identity=100, expressions=50)
    assert load_head("flame2020").identity.shape[2] == 100 and load_head("flame2020").expression.shape[2] == 50
    add_flame("flame2020")
    add_flame("flame2020", "emoca", identity=100, expressions=50)
    assert load_head("flame2020").identity.shape[2] == 300
    add_flame("flame2020", "female", identity=200)
    assert load_head("flame2020").identity.shape[2] == 200


def test_the_list_of_models_tells_heads_as_they_are_loaded(home):
    add_flame("flame2020", "female")
    add_flame("flame2020")
    add_flame("flame2020", "emoca", identity=100, expressions=50)
    told = next(head for head in models().heads if head.id == "flame2020")
    head = load_head("flame2020")
    assert (told.sha256, told.revision) == (head.sha256, head.revision) == (SHA256, head.revision)


def test_parts_of_another_mesh_are_told(home):
    write_part("head_template", {"uv": np.zeros((1, 2), np.float32), "uv_faces": np.zeros((2, 3), np.int32),
                                 "faces": np.zeros((2, 3), np.int32)}, origin="other.obj", sha256="5" * 64)  # fmt: skip
    with pytest.raises(MienError) as caught:
        load_head("flame2020")
    assert "other.obj" in caught.value.message and "models remove head_template" in caught.value.remedy


def test_the_free_release_stays_free(home):
    """Nothing that may not be used commercially comes to it: its landmarks and lids are the open head's."""
    add_flame("flame2023_open")
    head = load_head("flame2023_open")
    assert (head.commercial_use, head.licence, head.revision) == ("yes", "CC-BY-4.0", "")
    assert set(head.landmarks) == {DETECTED} and len(head.uv) == 1
    assert not np.allclose(head.eyelids, face_flame().eyelids, atol=1e-6)
