# SPDX-License-Identifier: GPL-3.0-or-later
"""ARKit's weights from vertices: what was put in comes back, on the open head and on a face in FLAME's layout."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from backend.retarget import arkit, rig
from backend.retarget.arkit import ArkitSolver, arkit_solver, with_arkit
from backend.retarget.pairing import SameMesh
from backend.retarget.rig import AT_ONCE, Rig
from backend.solve.looking import FULL_TURN
from blender_addon.contract.arkit import BLINKS, CHANNELS, JAW_OPEN, arkit_curves
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.smoothing import smooth, with_raw
from blender_addon.contract.take import Take
from tests.arkit_takes import arkit_take
from tests.face_flame import face_flame
from tests.fake_flame import flame_take
from tests.retargeting import open_to_face, opened

LOOKS = {"Up": (0, -1), "Down": (0, 1), "Out": (1, 1), "In": (1, -1)}
UNITS = (*opened().expression_names, *BLINKS)


@pytest.fixture(scope="module")
def solver(face: HeadDescription) -> ArkitSolver:
    return arkit_solver(face, open_to_face())


@pytest.fixture(scope="module")
def open_solver() -> ArkitSolver:
    head = opened()
    return arkit_solver(head, SameMesh(np.zeros(len(head.template))))


def arrays_of(weights: np.ndarray) -> dict[str, np.ndarray]:
    """Units (T,51), jaw (T,3) and eyes (T,6) that weights (T,52) say."""
    units = np.stack([weights[:, CHANNELS.index(name)] for name in UNITS], axis=1)
    jaw, eyes = np.zeros((len(weights), 3)), np.zeros((len(weights), 6))
    jaw[:, 0] = weights[:, CHANNELS.index("jawOpen")] * JAW_OPEN
    for first, side, outwards in ((0, "Left", 1), (3, "Right", -1)):
        for way, (axis, sign) in LOOKS.items():
            turn = sign * (outwards if axis else 1) * FULL_TURN
            eyes[:, first + axis] += weights[:, CHANNELS.index(f"eyeLook{way}{side}")] * turn
    return {"units": units, "jaw": jaw, "eyes": eyes}


def on_face(head: HeadDescription, weights: np.ndarray, **changes: object) -> Take:
    """A take on the face in FLAME's layout that shows weights (T,52)."""
    made, arrays, rng = face_flame(), arrays_of(weights), np.random.default_rng(0)
    values = {
        "identity": made.identity_of_open @ rng.normal(0, 0.7, made.identity_of_open.shape[1]),
        "expression": arrays["units"] @ made.expression_of_open.T,
        "jaw": arrays["jaw"],
        "eyes": arrays["eyes"],
    }
    values = {name: array.astype(np.float32) for name, array in values.items()}
    return flame_take(head, len(weights), **({"valid": np.ones(len(weights), bool)} | values | changes))


def on_open(weights: np.ndarray) -> Take:
    """The same on the open head."""
    arrays = {name: array.astype(np.float32) for name, array in arrays_of(weights).items()}
    extra = {"expression": arrays["units"][:, :-2], "eyelids": arrays["units"][:, -2:]}
    return arkit_take(len(weights), jaw=arrays["jaw"], eyes=arrays["eyes"], **extra)


def alone() -> np.ndarray:
    """(52,52) each channel alone at 0.8; lips that close need an open jaw."""
    weights = 0.8 * np.eye(52)
    weights[CHANNELS.index("mouthClose"), CHANNELS.index("jawOpen")] = 0.8
    return weights


def speech(frames: int, seed: int = 0) -> np.ndarray:
    """(T,52) random faces of a few channels each."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0, 0.8, (frames, 52)) * (rng.uniform(size=(frames, 52)) < 0.15)
    close, jaw = CHANNELS.index("mouthClose"), CHANNELS.index("jawOpen")
    weights[:, jaw] = np.maximum(rng.uniform(-0.2, 0.7, frames), 0)  # shut now and then, which is rest
    weights[:, close] = np.minimum(weights[:, close], weights[:, jaw])
    weights[:, CHANNELS.index("tongueOut")] = 0
    for side in ("Left", "Right"):
        weights[:, [CHANNELS.index(f"eyeLook{way}{side}") for way in ("Down", "In")]] = 0  # nobody looks both ways
    return weights


@pytest.mark.parametrize("which", ["face", "open"])
def test_each_channel_alone_comes_back(which: str, face: HeadDescription, solver, open_solver) -> None:
    """The table is printed. The gaze comes back as it is told by the eyes; the tongue is not seen."""
    truth = alone()
    found = solver.weights_of(on_face(face, truth)) if which == "face" else open_solver.weights_of(on_open(truth))
    wrong, good = np.abs(found - truth), []
    print(f"\n{which:22s} found  cross-talk")
    for index, name in enumerate(CHANNELS):
        others = np.delete(wrong[index], index)
        worst = np.delete(np.array(CHANNELS), index)[others.argmax()]
        good.append(wrong[index, index] < 0.1 and others.max() < 0.1)
        print(f"{name:22s} {found[index, index]:.3f}  {others.max():.3f} {worst}{'' if good[-1] else '  <- not'}")
    print(f"{sum(good)} of 52")
    assert sum(good) >= 45
    assert sum(good) == 51 and not good[CHANNELS.index("tongueOut")]


def test_faces_of_several_channels(face: HeadDescription, solver: ArkitSolver) -> None:
    truth = speech(200)
    found = solver.weights_of(on_face(face, truth))
    wrong = np.abs(found - truth)
    assert wrong.mean() < 0.02
    assert np.quantile(wrong, 0.95) < 0.12
    assert wrong[:, CHANNELS.index("jawOpen")].max() < 0.05


def test_vertices_that_are_not_quite_there(face: HeadDescription, solver: ArkitSolver) -> None:
    rng = np.random.default_rng(1)
    shaken = on_face(face, alone())
    noisy = replace(shaken, expression=shaken.expression + rng.normal(0, 0.1, shaken.expression.shape).astype("f4"))
    found = solver.weights_of(noisy)
    assert np.abs(np.diag(found - alone()))[: CHANNELS.index("tongueOut")].mean() < 0.1


def test_pose_and_gaze_leave_the_face_alone(face: HeadDescription, solver: ArkitSolver) -> None:
    rng = np.random.default_rng(2)
    take = on_face(face, speech(30))
    posed = replace(
        take,
        head_rotation=rng.normal(0, 0.5, (30, 3)).astype("f4"),
        neck=rng.normal(0, 0.2, (30, 3)).astype("f4"),
        translation=take.translation + np.float32(0.3),
    )
    np.testing.assert_array_equal(solver.weights_of(posed), solver.weights_of(take))


def test_each_frame_by_itself(face: HeadDescription, solver: ArkitSolver) -> None:
    take = on_face(face, speech(12))
    order = np.random.default_rng(0).permutation(12)
    found = solver.weights_of(take)
    moved = replace(take, **{name: getattr(take, name)[order] for name in ("expression", "jaw", "eyes", "eyelids")})
    np.testing.assert_allclose(solver.weights_of(moved), found[order], atol=2e-3)


def test_bounds_and_couplings(face: HeadDescription, solver: ArkitSolver) -> None:
    rng = np.random.default_rng(3)
    wild = on_face(face, speech(40), expression=rng.normal(0, 2, (40, 100)).astype("f4"))
    wild = replace(wild, jaw=rng.normal(0, 0.3, (40, 3)).astype("f4"))
    found = solver.weights_of(wild)
    assert found.min() >= 0 and found.max() <= 1
    column = {name: found[:, index] for index, name in enumerate(CHANNELS)}
    assert (column["mouthClose"] <= column["jawOpen"] + 1e-6).all()
    assert not column["tongueOut"].any()


def test_lips_of_a_shut_jaw_do_not_close(face: HeadDescription, solver: ArkitSolver) -> None:
    truth = np.zeros((1, 52))
    truth[0, CHANNELS.index("mouthPressLeft")] = 0.8
    found = solver.weights_of(on_face(face, truth))
    assert found[0, CHANNELS.index("mouthClose")] < 0.02


def test_jaw_to_the_side_is_jaw_left_or_right(face: HeadDescription, solver: ArkitSolver) -> None:
    jaw = np.zeros((2, 3), np.float32)
    jaw[:, 1] = 0.12, -0.12
    found = solver.weights_of(on_face(face, np.zeros((2, 52)), jaw=jaw))
    left, right = CHANNELS.index("jawLeft"), CHANNELS.index("jawRight")
    assert found[0, left] > 0.3 and found[0, right] < 0.02
    assert found[1, right] > 0.3 and found[1, left] < 0.02


def test_a_mouth_that_opens_without_the_jaw_is_open(face: HeadDescription, solver: ArkitSolver) -> None:
    """Networks open mouths by expression too: what vertices show counts, not the joint alone."""
    rig = solver._own_rig(np.zeros(300))
    take = on_face(face, np.zeros((1, 52)))
    jaw = np.zeros((1, 3))
    jaw[0, 0] = 0.4 * JAW_OPEN
    wanted = (rig.posed(np.zeros((1, 102)), jaw) - rig.rest)[0].reshape(-1)
    basis = face.expression[solver.weights > 0].reshape(len(wanted), -1).astype(float)
    expression = np.linalg.lstsq(basis.T @ basis + 1e-10 * np.eye(100), basis.T @ wanted, rcond=None)[0]
    found = solver.weights_of(replace(take, expression=expression[None].astype("f4")))
    assert found[0, CHANNELS.index("jawOpen")] > 0.15


def test_the_resting_face_counts_as_nothing(face: HeadDescription, solver: ArkitSolver) -> None:
    """Raised brows throughout are how this person looks; a smile throughout is a smile."""
    truth = np.zeros((60, 52))
    smile, brow, wide = (CHANNELS.index(name) for name in ("mouthSmileLeft", "browInnerUp", "eyeWideLeft"))
    truth[:, smile], truth[:, brow] = 0.4, 0.3
    truth[30:, wide] = 0.6
    found = solver.weights_of(on_face(face, truth))
    assert found[:, brow].max() < 0.05
    np.testing.assert_allclose(found[:, smile], 0.4, atol=0.05)
    np.testing.assert_allclose(found[30:, wide], 0.6, atol=0.05)


def test_what_no_unit_tells_is_rest(face: HeadDescription, solver: ArkitSolver) -> None:
    """A network's resting face with a jaw that is shut too far and lips that lie lower."""
    truth = speech(80)
    take = on_face(face, truth)
    offset = np.zeros(100, np.float32)
    offset[:51] = -0.05 * face_flame().expression_of_open[:51].sum(axis=1)
    found = solver.weights_of(replace(take, expression=take.expression + offset))
    assert np.abs(found - truth).mean() < 0.03


def test_a_given_frame_is_the_resting_face(face: HeadDescription, solver: ArkitSolver) -> None:
    truth = np.zeros((3, 52))
    smile, jaw = CHANNELS.index("mouthSmileLeft"), CHANNELS.index("jawOpen")
    truth[:, smile], truth[:, jaw] = [0.2, 0.2, 0.7], [0.1, 0.1, 0.5]
    found = solver.weights_of(on_face(face, truth), neutral=1)
    assert found[:2].max() < 0.02
    np.testing.assert_allclose(found[2, [smile, jaw]], (0.5, 0.4), atol=0.06)


def test_blinks_of_a_head_without_eyelids(face: HeadDescription) -> None:
    bare = replace(face, eyelids=np.zeros((len(face.template), 3, 0), np.float32))
    lids = np.float32([[0.8, 0.0], [0.3, 0.9]])
    found = arkit_solver(bare, open_to_face()).weights_of(on_face(bare, np.zeros((2, 52)), eyelids=lids))
    np.testing.assert_allclose(found[:, [CHANNELS.index(name) for name in BLINKS]], lids, atol=0.02)


def test_weights_of_a_take_follow_its_smoothing(face: HeadDescription, solver: ArkitSolver) -> None:
    rng = np.random.default_rng(4)
    still = np.zeros((60, 52))
    still[:, CHANNELS.index("mouthSmileLeft")] = 0.4
    take = on_face(face, still)
    shaken = replace(take, expression=take.expression + rng.normal(0, 0.02, take.expression.shape).astype("f4"))
    made = with_arkit(smooth(with_raw(shaken), 0.5), face, solver=solver)
    raw, soft = made.extra["raw_arkit"], made.extra["arkit"]
    assert np.diff(soft, axis=0).std() < 0.5 * np.diff(raw, axis=0).std()
    np.testing.assert_array_equal(smooth(made, 0.0).extra["arkit"], raw)
    np.testing.assert_array_equal(smooth(smooth(made, 0.0), 0.5).extra["arkit"], soft)
    np.testing.assert_allclose(arkit_curves(made).weights, soft)


def test_without_twins_there_is_one_array(face: HeadDescription, solver: ArkitSolver) -> None:
    made = with_arkit(on_face(face, speech(3)), face, solver=solver)
    assert set(made.extra) == {"frame", "arkit"} and made.extra["arkit"].shape == (3, 52)


def test_a_take_of_arkit_channels_is_left_alone() -> None:
    take = arkit_take()
    assert with_arkit(take, opened()) is take


def test_what_is_no_face_is_refused(flame_like: HeadDescription) -> None:
    with pytest.raises(MienError) as caught:
        arkit_solver(flame_like)
    assert caught.value.code is ErrorCode.BAD_HEAD


def test_long_takes_are_solved_in_parts(face: HeadDescription, monkeypatch: pytest.MonkeyPatch) -> None:
    solver, take, posed, counts = arkit_solver(face, open_to_face()), on_face(face, speech(AT_ONCE + 44)), Rig.posed, []

    def counted(self: Rig, values: np.ndarray, jaw: np.ndarray) -> np.ndarray:
        counts.append(len(values))
        return posed(self, values, jaw)

    monkeypatch.setattr(Rig, "posed", counted)
    in_parts = [solver.weights_of(take), solver.weights_of(take, neutral=AT_ONCE + 3)]
    assert max(counts) <= AT_ONCE
    for module in (arkit, rig):
        monkeypatch.setattr(module, "AT_ONCE", 10 * AT_ONCE)
    at_once = [solver.weights_of(take), solver.weights_of(take, neutral=AT_ONCE + 3)]
    assert max(counts) == len(take)
    np.testing.assert_allclose(in_parts, at_once, atol=1e-5)


def test_a_thousand_frames_take_seconds(face: HeadDescription, solver: ArkitSolver) -> None:
    take, begin = on_face(face, speech(1000)), time.perf_counter()
    solver.weights_of(take)
    seconds = time.perf_counter() - begin
    print(f"\nARKit's weights of 1000 frames: {seconds:.1f} s")
    assert seconds < 60  # about 5 on a core that is free
