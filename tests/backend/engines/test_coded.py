# SPDX-License-Identifier: GPL-3.0-or-later
"""Known codes of a head in FLAME's layout: where it stands before the camera comes back from what an engine sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from backend.chain.assembling import assemble
from backend.chain.coding import CodePlacer, coded_confidence
from backend.chain.observing import Span
from backend.chain.solving import Solved
from backend.engines.choice import Networks
from backend.engines.coded import CodedFaces, eyeball_radii
from backend.engines.interface import Codes
from backend.engines.on_flame import check_head
from backend.faces.topology import BLENDSHAPE_NAMES, IBUG68_FROM_478
from backend.heads.model import HeadModel
from backend.media.footage import ClipInfo
from backend.reprojection.outcome import IRIS_CENTRES
from backend.solve.camera import Focal
from backend.solve.identity import robust_mean
from backend.solve.shot import Shot
from backend.solve.zero_phase import smoothed
from backend.store.observations import FRAME
from blender_addon.contract.errors import MienError
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.projection import camera_matrix, project, weak_project
from tests.seeded_parts import flame_head

SIZE = (1280, 720)
FOCAL = 60000.0
"""Pixels: so long a lens that perspective is weak. What is left falls with the focal length: 0.6 pixels at 20000."""
TRANSFORM = np.array([[0.5, 0, -200.0], [0, 0.5, -80.0], [0, 0, 1]])
"""A crop about the middle of the picture, (624, 384)."""


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    return flame_head(tmp_path_factory.mktemp("flame"))


@pytest.fixture(scope="module")
def networks(head) -> Networks:
    return Networks(engine=SimpleNamespace(head=head, sees_lids=False), faces=CodedFaces(head))


def some_codes(count: int = 4, seed: int = 0) -> Codes:
    rng = np.random.default_rng(seed)

    def noise(scale: float, width: int) -> np.ndarray:
        return (scale * rng.standard_normal((count, width))).astype(np.float32)

    identity = np.repeat(noise(1.0, 100)[:1], count, axis=0)
    camera = np.array([8.0, 0.0, 0.02], np.float32) + noise(0.01, 3)
    jaw = np.abs(noise(0.1, 3)) * np.array([1, 0.3, 0.3], np.float32)
    return Codes(
        identity, noise(0.7, 50), noise(0.2, 3), jaw, np.zeros((count, 2), np.float32), camera, noise(1.0, 128)
    )


def posed(head, codes: Codes, rotation: np.ndarray) -> tuple[np.ndarray, HeadModel]:
    model = HeadModel(head)
    values = {"identity": codes.identity, "expression": codes.expression, "jaw": codes.jaw, "head_rotation": rotation}
    with torch.inference_mode():
        tensors = {name: torch.from_numpy(np.asarray(value, np.float32)) for name, value in values.items()}
        vertices = model(**tensors).vertices
        return model.landmarks(vertices, "ibug68").numpy(), model


def seen_by_detector(head, codes: Codes, transforms: np.ndarray) -> np.ndarray:
    """(B,478,3) with the head's own landmarks where the detector has them, and eyes at rest."""
    own = CodedFaces(head).landmarks(codes, transforms)
    landmarks = np.zeros((len(codes), 478, 3))
    landmarks[:, list(IBUG68_FROM_478)] = own[:, :68]
    landmarks[:, IRIS_CENTRES] = own[:, 68:]
    return landmarks


def placed(head, networks, codes: Codes, transforms: np.ndarray):
    identity = np.zeros(300)
    identity[:100] = codes.identity[0]
    shot = Shot(identity, (Focal(FOCAL, "given"),), SIZE, ())
    landmarks = seen_by_detector(head, codes, transforms)
    return CodePlacer(networks, shot).place(codes, transforms, landmarks, np.zeros((len(codes), 52)))


def test_pose_and_landmarks_come_back(head, networks):
    codes = some_codes()
    transforms = np.repeat(TRANSFORM[None], len(codes), axis=0)
    solution = placed(head, networks, codes, transforms)
    assert np.array_equal(solution.params.expression[:, :50], codes.expression.astype(np.float64))
    assert np.array_equal(solution.params.jaw, codes.jaw.astype(np.float64))
    turned = Rotation.from_rotvec(solution.params.head_rotation) * Rotation.from_rotvec(codes.head_rotation).inv()
    assert np.degrees(turned.magnitude()).max() < 0.1
    depth = FOCAL / (codes.camera[:, 0] * 112 / TRANSFORM[0, 0])
    assert np.abs(solution.translation[:, 2] / depth - 1).max() < 0.02
    matrix = camera_matrix(FOCAL, *SIZE)
    mine, _ = posed(head, codes, solution.params.head_rotation)
    theirs, _ = posed(head, codes, codes.head_rotation)
    for row in range(len(codes)):
        pixels = project(mine[row], solution.translation[row], matrix)
        published = weak_project(theirs[row], codes.camera[row], transforms[row])
        assert np.abs(pixels - published).max() < 0.3
    assert np.degrees(np.abs(solution.params.eyes)).max() < 3
    assert solution.landmark_error.max() < 1e-9


@pytest.mark.parametrize("sees_lids", [False, True])
def test_the_gaze_passes_through_a_blink(head, networks, sees_lids):
    """Whether an engine tells the lids or only the detector does."""
    count, shut = 12, slice(5, 8)
    codes = Codes(*(np.repeat(value[:1], count, axis=0) for value in vars(some_codes()).values()))
    transforms = np.repeat(TRANSFORM[None], count, axis=0)
    landmarks, scores = seen_by_detector(head, codes, transforms), np.zeros((count, 52))
    landmarks[:, IRIS_CENTRES, 0] += 3.0
    scores[shut, [[BLENDSHAPE_NAMES.index(name)] for name in ("eyeBlinkLeft", "eyeBlinkRight")]] = 0.9
    if sees_lids:
        lids = codes.eyelids.copy()
        lids[shut] = 0.9
        networks, codes = (
            replace(networks, engine=SimpleNamespace(head=head, sees_lids=True)),
            replace(codes, eyelids=lids),
        )
    identity = np.zeros(300)
    identity[:100] = codes.identity[0]
    shot = Shot(identity, (Focal(FOCAL, "given"),), SIZE, ())
    solution = CodePlacer(networks, shot).place(codes, transforms, landmarks, scores)
    frames, ones = np.arange(count), np.ones(count)
    solved = Solved(
        shot, shot.focal, frames, ones, ones, solution.params, solution.translation, solution.landmark_error, ones,
        frames[:1], closure=solution.closure,
    )  # fmt: skip
    info = ClipInfo(Path("clip.mp4"), *SIZE, frames + 1, frames / 25, 25.0, (), False, None, None, ())
    looked_at = np.zeros(count, FRAME)
    looked_at["index"] = frames
    made = assemble(
        CaptureOptions("clip.mp4", smoothing=0.0), head, info, Span(0, count - 1), looked_at, SimpleNamespace(number=1),
        solved,
    )  # fmt: skip
    assert np.abs(solution.params.eyes[0]).max() > 0.05 and not solution.params.eyes[shut].any()
    np.testing.assert_allclose(made.take.eyes, np.repeat(made.take.eyes[:1], count, axis=0), atol=2e-3)


def narrow(head):
    """As it comes out of EMOCA's checkpoints."""
    return replace(
        head, identity=head.identity[..., :100], expression=head.expression[..., :50],
        expression_names=head.expression_names[:50],
    )  # fmt: skip


def test_the_head_out_of_a_checkpoint_is_enough_for_deca(head):
    small, codes = narrow(head), some_codes()
    check_head(small, "DECA", 100)
    with pytest.raises(MienError, match="SMIRK needs the whole FLAME 2020"):
        check_head(small, "SMIRK", 300)
    transforms = np.repeat(TRANSFORM[None], len(codes), axis=0)
    np.testing.assert_allclose(
        CodedFaces(small).landmarks(codes, transforms), CodedFaces(head).landmarks(codes, transforms), atol=1e-3
    )


def test_frames_do_not_depend_on_each_other(head, networks):
    codes = some_codes()
    transforms = np.repeat(TRANSFORM[None], len(codes), axis=0)
    together, alone = placed(head, networks, codes, transforms), placed(head, networks, codes[1:2], transforms[1:2])
    assert np.array_equal(together.translation[1], alone.translation[0])


def test_a_mirrored_crop_mirrors_the_pose(head, networks):
    codes = some_codes(1)
    plain = Codes(codes.identity * 0, codes.expression * 0, codes.head_rotation, codes.jaw * [[1, 0, 0]],
                  codes.eyelids, codes.camera, codes.detail)  # fmt: skip
    mirrored = Codes(plain.identity, plain.expression, codes.head_rotation * np.float32([1, -1, -1]), plain.jaw,
                     codes.eyelids, codes.camera * np.float32([1, -1, 1]), codes.detail)  # fmt: skip
    middle = np.array([[[0.5, 0, 112 - 320.0], [0, 0.5, 112 - 180.0], [0, 0, 1]]])
    one, other = placed(head, networks, plain, middle), placed(head, networks, mirrored, middle)
    assert np.abs(one.params.head_rotation * [1, -1, -1] - other.params.head_rotation).max() < 0.02
    assert np.abs(one.translation * [-1, 1, 1] - other.translation).max() < 0.02


def test_irises_lie_in_front_of_the_eyes(head):
    joints = head.joint_regressor @ head.template
    radii = eyeball_radii(head)
    assert np.all((radii > 0.008) & (radii < 0.02)) and abs(radii[0] - radii[1]) < 1e-3
    basis = CodedFaces(head).basis
    rest = basis.mean[68:].numpy() - joints[3:5]
    assert np.allclose(rest, np.stack([[0, 0, radius] for radius in radii]), atol=1e-5)


def test_confidence_falls_with_disagreement_and_without_a_head():
    codes = some_codes(3)
    codes.camera[2, 0] = -1.0
    sure = coded_confidence(codes, np.array([0.9, 0.9, 0.9]), np.array([0.05, 5.0, 0.05]))
    assert sure[0] > 0.85 and sure[1] == pytest.approx(0.45) and sure[2] == 0


def test_an_identity_leaves_strangers_aside():
    rng = np.random.default_rng(0)
    true = rng.standard_normal(100)
    values = true + 0.1 * rng.standard_normal((50, 100))
    values[:8] += 5
    mean = robust_mean(values, np.ones(50))
    assert np.linalg.norm(mean - true) < 0.25 * np.linalg.norm(values.mean(axis=0) - true)
    assert np.allclose(robust_mean(np.tile(true, (3, 1)), np.zeros(3)), true)


def test_smoothing_delays_nothing_and_stays_in_its_shot():
    time = np.arange(60) / 30
    segment = (np.arange(60) >= 30).astype(int)
    values = np.stack([np.where(segment == 0, 1.0, 5.0), np.sin(2 * np.pi * time)], axis=1)
    result = smoothed(time, values, segment, 0.05)
    assert np.array_equal(result[:, 0], values[:, 0])
    turned = smoothed(time, values[::-1], segment[::-1] * -1, 0.05)[::-1]
    assert np.allclose(turned, result)
    assert np.array_equal(smoothed(time, values, segment, 0.0), values)
