# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes on other heads: the same surface in the same place, said in millimetres; what belongs to the old mesh stays."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from backend.heads.model import HeadModel
from backend.retarget.alignment import align
from backend.retarget.converting import Converted, convert
from backend.retarget.head_rig import neutral
from backend.retarget.pairing import face_weights
from blender_addon.contract.arkit import CHANNELS, JAW_OPEN, arkit_curves
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.projection import project, weak_project
from blender_addon.contract.smoothing import smooth, with_raw
from blender_addon.contract.take import Take
from tests.arkit_takes import arkit_take
from tests.face_flame import embedded
from tests.fake_flame import flame_take
from tests.retargeting import face_head, known_counterparts, open_to_face, opened


def open_take(frames: int = 24, seed: int = 0, **changes: object) -> Take:
    """A take on the open head of faces that people make."""
    rng, names = np.random.default_rng(seed), opened().expression_names
    expression = rng.uniform(0, 0.7, (frames, 49)) * (rng.uniform(size=(frames, 49)) < 0.15)
    jaw = np.zeros((frames, 3))
    jaw[:, 0] = rng.uniform(0, 0.6, frames) * JAW_OPEN
    close = names.index("mouthClose")
    expression[:, close] = np.minimum(expression[:, close], jaw[:, 0] / JAW_OPEN)
    expression[:, names.index("tongueOut")] = 0
    values = {
        "identity": rng.normal(0, 0.7, 120).astype("f4"),
        "expression": expression.astype("f4"),
        "jaw": jaw.astype("f4"),
    }
    return arkit_take(frames, **(values | changes))


@pytest.fixture(scope="module")
def there(face: HeadDescription) -> Converted:
    return convert(open_take(), opened(), face, pairing=known_counterparts)


def landmarks(head: HeadDescription, take: Take, faces: np.ndarray, barycentric: np.ndarray) -> np.ndarray:
    """(T,N,3) posed points of the surface, head space."""
    names = ("expression", "head_rotation", "neck", "jaw", "eyes", "eyelids")
    values = {name: torch.from_numpy(getattr(take, name).astype(np.float32)) for name in names}
    with torch.inference_mode():
        vertices = HeadModel(head)(torch.from_numpy(take.identity[None]), **values).vertices.numpy()
    return np.einsum("tnkd,nk->tnd", vertices[:, head.faces[faces]], barycentric)


def both_landmarks(before: Take, after: Converted, face: HeadDescription) -> tuple[np.ndarray, np.ndarray]:
    marks = opened().landmarks["ibug68"]
    return (
        landmarks(opened(), before, marks.faces, marks.barycentric),
        landmarks(face, after.take, *embedded(marks)),
    )


def test_round_trip(face: HeadDescription, there: Converted) -> None:
    take = open_take()
    back = convert(there.take, face, opened(), pairing=known_counterparts)
    print(f"\nopen to FLAME's layout {there.residual}\nand back {back.residual}")
    assert there.residual.mean < 0.3 and there.residual.p95 < 0.6
    assert back.residual.mean < 0.3 and back.residual.p95 < 0.6
    assert np.abs(back.take.expression - take.expression).mean() < 0.03
    np.testing.assert_allclose(back.take.jaw, take.jaw, atol=0.01)
    np.testing.assert_allclose(back.take.eyelids, take.eyelids, atol=0.06)


def test_the_face_stays_in_the_picture(face: HeadDescription, there: Converted) -> None:
    take = open_take()
    before, after = both_landmarks(take, there, face)
    for frame in range(len(take)):
        seen = project(before[frame], take.translation[frame], take.camera_matrix)
        made = project(after[frame], there.take.translation[frame], there.take.camera_matrix)
        apart = np.linalg.norm(seen - made, axis=1)
        assert apart.mean() < 0.7 and apart.max() < 3.5  # of a face that is 300 pixels wide


def test_so_it_does_in_the_crop(face: HeadDescription, there: Converted) -> None:
    take = open_take()
    before, after = both_landmarks(take, there, face)
    seen = weak_project(before[3], take.crop_camera[3], take.crop_transform[3])
    made = weak_project(after[3], there.take.crop_camera[3], there.take.crop_transform[3])
    assert np.linalg.norm(seen - made, axis=1).mean() < 0.4


def moved_head(head: HeadDescription, turn: np.ndarray, shift: np.ndarray) -> HeadDescription:
    """The same head in a space that is turned and shifted: its origin and joints are elsewhere, its faces look up."""
    turned = {
        name: np.einsum("ij,vj...->vi...", turn, getattr(head, name)).astype("f4")
        for name in ("identity", "expression", "eyelids")
    }
    template = (head.template @ turn.T + shift).astype("f4")
    still = np.zeros_like(head.pose_correctives)
    return replace(head, sha256="c" * 64, template=template, pose_correctives=still, **turned)


def test_heads_that_lie_otherwise(face: HeadDescription) -> None:
    """Another origin and another uprightness change the numbers and not the picture, neck and eyes included."""
    plain = replace(face, pose_correctives=np.zeros_like(face.pose_correctives))
    turn, shift = Rotation.from_rotvec([0.2, 0.05, -0.03]).as_matrix(), np.array([0.01, 0.05, -0.04])
    other, rng = moved_head(face, turn, shift), np.random.default_rng(0)
    take = flame_take(plain, 6, expression=rng.normal(0, 0.5, (6, 100)).astype("f4"))
    take = replace(take, identity=np.concatenate([rng.normal(0, 0.7, 120), np.zeros(180)]).astype("f4"))
    made = convert(take, plain, other, pairing=lambda source, target, progress: open_to_face())
    faces, barycentric = embedded(opened().landmarks["ibug68"])
    before, after = landmarks(plain, take, faces, barycentric), landmarks(other, made.take, faces, barycentric)
    for frame in range(len(take)):
        seen = project(before[frame], take.translation[frame], take.camera_matrix)
        now = project(after[frame], made.take.translation[frame], take.camera_matrix)
        assert np.abs(seen - now).max() < 1.5
    assert made.residual.mean < 0.2
    assert np.abs(made.take.head_rotation - take.head_rotation).max() > 0.1
    gaze = Rotation.from_rotvec(take.eyes[:, :3]).as_matrix()
    np.testing.assert_allclose(
        turn @ gaze @ turn.T, Rotation.from_rotvec(made.take.eyes[:, :3]).as_matrix(), atol=0.01
    )


def test_alignment_finds_person_and_place(face: HeadDescription) -> None:
    rng = np.random.default_rng(0)
    identity = np.concatenate([rng.normal(0, 1, 120), np.zeros(180)])
    turn, shift = Rotation.from_rotvec([0.3, -0.1, 0.05]).as_matrix(), np.array([0.02, -0.03, 0.05])
    wanted = neutral(face, identity) @ turn.T + shift
    weights = face_weights(face, open_to_face())
    found = align(face, wanted, weights)
    apart = np.linalg.norm(found.onto(wanted) - neutral(face, found.identity), axis=1)[weights > 0]
    assert apart.mean() < 0.0003 and apart.max() < 0.003
    assert Rotation.from_matrix(found.turn @ turn.T).magnitude() < 0.02


def test_releases_share_their_mesh(tmp_path, face: HeadDescription) -> None:
    """By vertices, without registration; wrinkles come along."""
    other = face_head(tmp_path, "flame2023.pkl", seed=1)
    assert (other.id, face.id) == ("flame2023", "flame2020")
    rng = np.random.default_rng(0)
    take = flame_take(face, 5, expression=rng.normal(0, 0.5, (5, 100)).astype("f4"))
    take = replace(take, identity=np.concatenate([rng.normal(0, 0.7, 120), np.zeros(180)]).astype("f4"))
    code = rng.normal(size=(5, 128)).astype("f4")
    take = replace(take, extra={**take.extra, "detail_code": code, "arkit": np.full((5, 52), 0.25, "f4")})
    take = replace(take, meta=replace(take.meta, displacement=("a.exr",) * 5))

    def only_from_open(source: HeadDescription, target: HeadDescription, progress: object) -> object:
        assert source.id == "open"
        return open_to_face()

    made = convert(take, face, other, pairing=only_from_open)
    print(f"\nFLAME's layout to another of the same mesh {made.residual}")
    assert made.residual.mean < 0.3
    np.testing.assert_array_equal(made.take.extra["detail_code"], code)
    np.testing.assert_array_equal(made.take.extra["arkit"], take.extra["arkit"])
    assert made.take.meta.displacement == take.meta.displacement
    assert not made.notes


def test_wrinkles_of_another_mesh_are_left_out_and_said(face: HeadDescription) -> None:
    take = open_take(3)
    take = replace(take, extra={**take.extra, "detail_code": np.ones((3, 8), "f4")})
    made = convert(take, opened(), face, pairing=known_counterparts)
    assert "detail_code" not in made.take.extra
    assert "Wrinkles" in made.notes[0]


def test_what_a_take_says_of_itself(face: HeadDescription, there: Converted) -> None:
    take = open_take()
    meta = there.take.meta
    assert (meta.head_id, meta.head_sha256, meta.channels) == (face.id, face.sha256, face.expression_names)
    assert meta.commercial_use == "no" and meta.licences[0] == f"{face.licence} (head flame2020)"
    assert set(take.meta.licences) < set(meta.licences)
    assert opened().sha256 in meta.versions["convert"] and meta.engine == "fit"
    for name in ("time", "valid", "confidence", "camera_matrix", "image_size"):
        np.testing.assert_array_equal(getattr(there.take, name), getattr(take, name))
    np.testing.assert_array_equal(there.take.extra["segment"], take.extra["segment"])
    back = convert(there.take, face, opened(), pairing=known_counterparts)
    assert back.take.meta.commercial_use == "no"  # what was learnt of a restricted head stays restricted
    assert "arkit" not in back.take.extra


def test_arkit_comes_along_exactly(there: Converted) -> None:
    expected = np.clip(arkit_curves(open_take()).weights, 0, 1)
    np.testing.assert_allclose(arkit_curves(there.take).weights, expected, atol=1e-6)


def test_twins_are_converted_and_smoothed_anew(face: HeadDescription) -> None:
    take = smooth(with_raw(open_take(30)), 0.4)
    made = convert(take, opened(), face, pairing=known_counterparts).take
    assert made.meta.smoothing == 0.4
    again = smooth(smooth(made, 0.0), 0.4)
    np.testing.assert_array_equal(again.expression, made.expression)
    np.testing.assert_array_equal(again.extra["arkit"], made.extra["arkit"])
    np.testing.assert_allclose(made.extra["raw_arkit"], np.clip(raw_arkit(take), 0, 1), atol=1e-6)


def raw_arkit(take: Take) -> np.ndarray:
    return arkit_curves(smooth(take, 0.0)).weights


def test_a_head_without_eyelids_keeps_the_numbers(face: HeadDescription) -> None:
    bare = replace(face, eyelids=np.zeros((len(face.template), 3, 0), np.float32))
    take = open_take(4)
    made = convert(take, opened(), bare, pairing=known_counterparts)
    np.testing.assert_array_equal(made.take.eyelids, take.eyelids)
    assert any("eyelid" in note for note in made.notes)


def test_open_takes_stay_within_arkits_bounds(face: HeadDescription) -> None:
    rng = np.random.default_rng(0)
    wild = flame_take(face, 8, expression=rng.normal(0, 2, (8, 100)).astype("f4"))
    made = convert(wild, face, opened(), pairing=known_counterparts).take
    assert made.expression.min() >= 0 and made.expression.max() <= 1
    assert not made.jaw[:, 1:].any() and made.jaw.min() >= 0
    curves = arkit_curves(made)
    assert (curves.weight("mouthClose") <= curves.weight("jawOpen") + 1e-6).all()
    assert not curves.weights[:, CHANNELS.index("tongueOut")].any()


def test_nothing_to_convert(face: HeadDescription) -> None:
    with pytest.raises(MienError, match="nothing to convert") as caught:
        convert(flame_take(face, 2), face, face)
    assert caught.value.code is ErrorCode.USAGE


def test_another_head_than_the_takes(face: HeadDescription) -> None:
    with pytest.raises(MienError) as caught:
        convert(open_take(2), face, opened())
    assert caught.value.code is ErrorCode.WRONG_HEAD


def test_a_thousand_frames_take_seconds(face: HeadDescription) -> None:
    take = open_take(1000)
    begin = time.perf_counter()
    made = convert(take, opened(), face, pairing=known_counterparts)
    middle = time.perf_counter()
    convert(made.take, face, opened(), pairing=known_counterparts)
    there, back = middle - begin, time.perf_counter() - middle
    print(f"\n1000 frames to FLAME's layout {there:.1f} s, and back {back:.1f} s")
    assert max(there, back) < 120  # about 10 on a core that is free
