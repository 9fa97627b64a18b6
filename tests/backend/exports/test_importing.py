# SPDX-License-Identifier: GPL-3.0-or-later
"""Other programs' files to takes, against the vertices that each program's own formula puts before its camera."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from backend.exports.flame_motion import Shot
from backend.exports.formats import export_take
from backend.exports.importing import Imported, ImportOptions, import_take
from backend.exports.kinds import kind_of
from backend.heads.lbs import rodrigues
from backend.heads.model import HeadModel
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import PARENTS, HeadDescription
from blender_addon.contract.projection import project, weak_project
from blender_addon.contract.take import Take
from tests.arkit_takes import arkit_take
from tests.backend.weights.hostile import HOSTILE
from tests.fake_flame import flame_take, write_flame
from tests.fake_takes import same_arrays

T = 5
PIXEL = 0.02
"""float32 at 1280 pixels, doubled through a few products."""


def flame_vertices(
    head: HeadDescription, shape: np.ndarray, expression: np.ndarray, rotations: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(V, 3) vertices and (5, 3) resting joints as FLAME makes them of one frame, written out apart from our model.

    Args:
        head: The head.
        shape: (<=S,).
        expression: (<=E,).
        rotations: (5, 3, 3) of root, neck, jaw, left eye, right eye.
    """
    d = np.float64
    shaped = head.template.astype(d) + head.identity[..., : len(shape)] @ shape.astype(d)
    shaped = shaped + head.expression[..., : len(expression)] @ expression.astype(d)
    joints = head.joint_regressor.astype(d) @ shaped
    feature = (rotations[1:] - np.eye(3)).reshape(-1)
    posed = shaped + (feature @ head.pose_correctives.astype(d)).reshape(-1, 3)
    world = []
    for joint, parent in enumerate(PARENTS):
        local = np.eye(4)
        local[:3, :3] = rotations[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        world.append(world[parent] @ local if parent >= 0 else local)
    moved = np.stack([matrix[:3, :3] @ posed.T + (matrix[:3, 3] - matrix[:3, :3] @ joint)[:, None]
                      for matrix, joint in zip(world, joints, strict=True)])  # fmt: skip
    return np.einsum("vj,jcv->vc", head.skinning.astype(d), moved), joints


def matrices(*parts: np.ndarray) -> np.ndarray:
    """(5, 3, 3) of axis-angles: root, neck, jaw, eyes (6,)."""
    return rodrigues(torch.from_numpy(np.concatenate(parts).reshape(5, 3))).numpy()


def pixels(take: Take, head: HeadDescription, frame: int) -> np.ndarray:
    """(V, 2) where the take's own head falls in its own camera."""
    model = HeadModel(head).double()

    def one(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values.astype(np.float64))[None]

    posed = model(
        one(take.identity),
        one(take.expression[frame]),
        one(take.head_rotation[frame]),
        one(take.neck[frame]),
        one(take.jaw[frame]),
        one(take.eyes[frame]),
    ).vertices[0]
    return project(posed.numpy(), take.translation[frame].astype(np.float64), take.camera_matrix)


def noise(scale: float, *shape: int, seed: int = 0) -> np.ndarray:
    return (scale * np.random.default_rng([seed, *shape]).standard_normal(shape)).astype(np.float32)


def bring(path: Path, flame_file: Path, **more: object) -> Imported:
    return import_take(path, ImportOptions(head=str(flame_file), **more))


def track(seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays as VHAP names them."""
    return {
        "rotation": noise(0.4, T, 3, seed=seed),
        "translation": noise(0.05, T, 3, seed=seed + 1),
        "neck_pose": noise(0.1, T, 3, seed=seed + 2),
        "jaw_pose": noise(0.2, T, 3, seed=seed + 3),
        "eyes_pose": noise(0.2, T, 6, seed=seed),
        "shape": noise(1, 300, seed=seed),
        "expr": noise(1, T, 100, seed=seed),
    }


def in_vhaps_world(head: HeadDescription, arrays: dict[str, np.ndarray], frame: int) -> np.ndarray:
    pose = matrices(*(arrays[name][frame] for name in ("rotation", "neck_pose", "jaw_pose", "eyes_pose")))
    return flame_vertices(head, arrays["shape"], arrays["expr"][frame], pose)[0] + arrays["translation"][frame]


def test_vhap(flame: HeadDescription, flame_file: Path, tmp_path: Path) -> None:
    arrays, (width, height), focal = track(), (802, 550), 1.7
    path = tmp_path / "tracked_flame_params_30.npz"
    ids = {"timestep_id": np.array(["0", "1", "2", "3", "4"]), "n_processed_frames": np.array(T)}
    np.savez(path, **arrays, **ids, focal_length=np.float32([focal]), image_size=np.array([height, width]))
    imported = bring(path, flame_file, fps=25.0)
    assert imported.kind == "vhap"
    assert imported.take.meta.head_sha256 == flame.sha256
    np.testing.assert_array_equal(imported.take.time, np.arange(T) / 25)
    for frame in range(T):
        x, y, z = (in_vhaps_world(flame, arrays, frame) - (0, 0, 1)).T  # OpenGL: the camera looks along -z
        expected = np.stack((width / 2 + focal * width * x / -z, height / 2 - focal * width * y / -z), axis=1)
        np.testing.assert_allclose(pixels(imported.take, flame, frame), expected, atol=PIXEL)


def test_vhap_without_a_size_or_a_focal_length(flame_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "tracked.npz"
    np.savez(path, **track(), static_offset=np.ones((1, 5143, 3), np.float32))
    with pytest.raises(MienError, match="how large the picture is.*--size"):
        bring(path, flame_file)
    imported = bring(path, flame_file, shot=Shot((640, 480), 72.0))
    assert imported.take.camera_matrix[0, 0] == 1280
    assert any("static_offset" in note for note in imported.notes)
    assert any("24 frames a second" in note for note in imported.notes)


def test_gaussian_avatars_from_another_camera(flame: HeadDescription, flame_file: Path, tmp_path: Path) -> None:
    arrays, folder = track(1), tmp_path / "UNION"
    (folder / "flame_param").mkdir(parents=True)
    world = np.eye(4)
    world[:3, :3] = Rotation.from_euler("YX", [25, -10], degrees=True).as_matrix()
    world[:3, 3] = world[:3, :3] @ (0.02, 0.01, 1.1)
    other = np.eye(4)
    frames = []
    for index in reversed(range(T)):
        single = {n: a if n == "shape" else a[index : index + 1] for n, a in arrays.items()}
        np.savez(folder / "flame_param" / f"{index:05d}.npz", **single, static_offset=np.zeros((1, 5143, 3)))
        for camera, matrix in ((8, world), (3, other)):
            lens = {"w": 550, "h": 802, "cx": 270.5, "cy": 405.0, "fl_x": 1400.0, "fl_y": 1410.0}
            where = {"transform_matrix": matrix.tolist(), "flame_param_path": f"flame_param/{index:05d}.npz"}
            frames.append({"timestep_index": index, "camera_index": camera, **lens, **where})
    (folder / "transforms.json").write_text(json.dumps({"frames": frames}))
    imported = bring(folder, flame_file)
    assert imported.kind == "gaussian-avatars"
    with pytest.raises(MienError, match="says itself"):
        bring(folder, flame_file, shot=Shot((5, 5)))
    for frame in range(T):
        points = in_vhaps_world(flame, arrays, frame) - world[:3, 3]
        x, y, z = (points @ world[:3, :3]).T
        expected = np.stack((270.5 + 1400 * x / -z, 405 - 1410 * y / -z), axis=1)
        np.testing.assert_allclose(pixels(imported.take, flame, frame), expected, atol=PIXEL)


def test_what_the_user_says_goes_before_what_the_file_says(flame_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "tracked.npz"
    np.savez(path, **track(), focal_length=np.float32([2]), image_size=np.array([480, 640]))
    assert bring(path, flame_file).take.camera_matrix[0, 0] == 1280
    take = bring(path, flame_file, shot=Shot((320, 240), 36.0)).take
    assert (take.camera_matrix[0, 0], tuple(take.image_size)) == (320, (320, 240))


def test_gaussian_avatars_parameters_alone(flame_file: Path, tmp_path: Path) -> None:
    arrays = track(2)
    for index in range(T):
        single = {n: a if n == "shape" else a[index : index + 1] for n, a in arrays.items()}
        np.savez(tmp_path / f"{index}.npz", **single)
    folder = bring(tmp_path, flame_file, shot=Shot((512, 512)))
    one = bring(tmp_path / "3.npz", flame_file, shot=Shot((512, 512)))
    assert (folder.kind, one.kind, len(folder.take), len(one.take)) == ("gaussian-avatars",) * 2 + (T, 1)
    np.testing.assert_allclose(folder.take.jaw, arrays["jaw_pose"], atol=1e-6)
    np.testing.assert_allclose(one.take.jaw, arrays["jaw_pose"][3:4], atol=1e-6)
    assert one.take.meta.rate == 0


def test_a_path_out_of_the_folder_is_refused(flame_file: Path, tmp_path: Path) -> None:
    for name in ("../secret.npz", "/etc/passwd"):
        frame = {"timestep_index": 0, "camera_index": 0, "flame_param_path": name}
        (tmp_path / "transforms.json").write_text(json.dumps({"frames": [frame]}))
        with pytest.raises(MienError, match="outside its folder"):
            bring(tmp_path, flame_file)


def six(rotation: np.ndarray) -> np.ndarray:
    """(1, 6): the first two rows of a rotation."""
    return Rotation.from_rotvec(rotation).as_matrix()[:2].reshape(1, 6).astype(np.float32)


def tracker_frames(folder: Path) -> list[dict[str, object]]:
    """Frames as metrical-tracker saves them, of which 9 comes before 10 only by number."""
    frames, shape = [], noise(1, 1, 300)
    for index in range(T):
        eyes = [noise(0.2, 3, seed=10 + index), noise(0.2, 3, seed=20 + index)]
        jaw = np.abs(noise(0.2, 3, seed=index))
        frames.append(
            {
                "flame": {
                    "exp": noise(1, 1, 100, seed=index),
                    "shape": shape,
                    "tex": noise(1, 1, 140),
                    "sh": noise(1, 1, 9, 3),
                    "eyes": np.concatenate([six(eye) for eye in eyes], axis=1),
                    "eyelids": np.float32([[0.1 * index, 0.5]]),
                    "jaw": six(jaw),
                },
                "camera": {"R": np.eye(3)[None], "t": np.zeros((1, 3)), "fl": np.ones((1, 1)), "pp": np.zeros((1, 2))},
                "opencv": {
                    "R": (Rotation.from_rotvec(noise(0.3, 3, seed=index)) * Rotation.from_euler("x", 180, True))
                    .as_matrix()[None]
                    .astype(np.float32),
                    "t": (noise(0.03, 1, 3, seed=index) + [0, 0, 0.8]).astype(np.float32),
                    "K": np.array([[[2600.0, 0, 250], [0, 2610, 260], [0, 0, 1]]], np.float32),
                },
                "img_size": np.array([512, 512]),
                "frame_id": f"{index:05d}",
                "global_step": 100 * index,
                "jaw": jaw,
                "eyes_turns": np.concatenate(eyes),
            }
        )
        saved = {name: value for name, value in frames[-1].items() if name not in ("jaw", "eyes_turns")}
        torch.save(saved, folder / f"{index + 8}.frame")
    return frames


def test_metrical_tracker(flame: HeadDescription, flame_file: Path, tmp_path: Path) -> None:
    frames = tracker_frames(tmp_path)
    imported = bring(tmp_path, flame_file, fps=30.0)
    take = imported.take
    assert imported.kind == kind_of(tmp_path / "8.frame") == "metrical-tracker"
    np.testing.assert_array_equal(take.extra["frame"], np.arange(8, 8 + T))
    np.testing.assert_allclose(take.eyelids, [[0.1 * index, 0.5] for index in range(T)], atol=1e-6)
    assert any("eyelids" in note for note in imported.notes)
    for index, frame in enumerate(frames):
        pose = matrices(np.zeros(3), np.zeros(3), frame["jaw"], frame["eyes_turns"])
        codes = frame["flame"]
        world, _ = flame_vertices(flame, codes["shape"][0], codes["exp"][0], pose)
        camera = world @ frame["opencv"]["R"][0].T.astype(float) + frame["opencv"]["t"]
        expected = camera @ frame["opencv"]["K"][0].T
        np.testing.assert_allclose(pixels(take, flame, index), expected[:, :2] / expected[:, 2:], atol=4 * PIXEL)
    assert len(bring(tmp_path / "10.frame", flame_file).take) == 1


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_frame_runs_nothing(name: str, flame_file: Path, tmp_path: Path) -> None:
    frame = {"flame": {"exp": HOSTILE[name](str(tmp_path / "trace"))}, "opencv": {}}
    torch.save(frame, tmp_path / "00001.frame")
    for path in (tmp_path, tmp_path / "00001.frame"):
        with pytest.raises(MienError, match="was not opened") as caught:
            bring(path, flame_file)
        assert caught.value.code is ErrorCode.BAD_IMPORT
    assert os.listdir(tmp_path) == ["00001.frame"]


FORGED: dict[str, tuple[str, str, object, str]] = {
    "a jaw that is no rotation": ("flame", "jaw", np.zeros((1, 6)), "'jaw' that is no rotation"),
    "an eye that is no rotation": ("flame", "eyes", np.ones((1, 12)), "'eyes' that is no rotation"),
    "a mirrored camera": ("opencv", "R", np.diag([1.0, 1, -1])[None], "not a plain turn"),
    "no focal length": ("opencv", "K", np.zeros((1, 3, 3)), "without a focal length"),
    "behind the camera": ("opencv", "t", np.float32([[0, 0, -9]]), "behind its camera"),
    "not finite": ("flame", "exp", np.full((1, 100), np.inf), "not finite"),
    "too large": ("opencv", "t", np.array([[1e300, 0, 1]]), "cannot become a take"),
    "a text": ("flame", "exp", "x", "not finite numbers"),
    "nothing": ("flame", "shape", None, "has no 'shape'"),
}


@pytest.mark.parametrize("name", FORGED)
def test_frames_that_make_no_sense(name: str, flame_file: Path, tmp_path: Path) -> None:
    frame, (table, key, value, said) = tracker_frames(tmp_path)[0], FORGED[name]
    frame[table][key] = value  # type: ignore[index]
    torch.save(frame, tmp_path / "forged.pt")
    with pytest.raises(MienError, match=said) as caught:
        bring(tmp_path / "forged.pt", flame_file)
    assert caught.value.code is ErrorCode.BAD_IMPORT


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_damaged_frames_give_one_kind_of_error(flame_file: Path, tmp_path_factory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    tracker_frames(folder)
    path = folder / f"{data.draw(st.integers(8, 12))}.frame"
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else raw)
    try:
        bring(folder, flame_file)
    except MienError as error:
        assert error.code in (ErrorCode.BAD_IMPORT, ErrorCode.TOO_LARGE)


def smirk(frames: int = T) -> dict[str, np.ndarray]:
    return {
        "pose_params": noise(0.3, frames, 3),
        "cam": noise(0.05, frames, 3) + np.float32([8, 0, 0]),
        "shape_params": np.tile(noise(1, 300), (frames, 1)),
        "expression_params": noise(1, frames, 50),
        "eyelid_params": np.abs(noise(0.3, frames, 2)),
        "jaw_params": np.abs(noise(0.1, frames, 3)),
    }


def emoca(frames: int = T) -> dict[str, np.ndarray]:
    return {
        "shape": np.tile(noise(1, 100), (frames, 1)),
        "exp": noise(1, frames, 50),
        "pose": noise(0.2, frames, 6),
        "cam": noise(0.05, frames, 3) + np.float32([9, 0, 0]),
        "tex": noise(1, frames, 50),
        "light": noise(1, frames, 9, 3),
        "detail": noise(1, frames, 128),
    }


def pack(codes: dict[str, np.ndarray], how: str, folder: Path) -> Path:
    """Codes in one of the ways that people keep them."""
    path = folder / f"codes.{how}"
    if how == "npz":
        np.savez(path, **codes)
    elif how == "npy":
        np.save(path, codes, allow_pickle=True)
    elif how == "pkl":
        path.write_bytes(pickle.dumps(codes))
    elif how == "pt":
        torch.save({name: torch.from_numpy(values) for name, values in codes.items()}, path)
    elif how == "list":
        path.write_bytes(pickle.dumps([{n: v[index] for n, v in codes.items()} for index in range(T)]))
    else:
        path.mkdir()
        for index in range(T):
            single = {name: values[index : index + 1] for name, values in codes.items()}
            torch.save(single, path / f"frame{index + 8}.pt")
    return path


PACKED = ("npz", "npy", "pkl", "pt", "list", "folder")


@pytest.mark.parametrize("how", PACKED)
def test_smirk(how: str, flame: HeadDescription, flame_file: Path, tmp_path: Path) -> None:
    codes = smirk()
    imported = bring(pack(codes, how, tmp_path), flame_file, fps=25.0)
    assert imported.kind == "smirk"
    np.testing.assert_allclose(imported.take.eyelids, codes["eyelid_params"], atol=1e-6)
    pose = [(codes["pose_params"][t], codes["jaw_params"][t]) for t in range(T)]
    check_crop(imported.take, flame, codes["shape_params"][0], codes["expression_params"], pose, codes["cam"])


@pytest.mark.parametrize("how", PACKED)
def test_emoca(how: str, flame: HeadDescription, flame_file: Path, tmp_path: Path) -> None:
    codes = emoca()
    imported = bring(pack(codes, how, tmp_path), flame_file, fps=25.0)
    assert imported.kind == "emoca"
    pose = [(codes["pose"][t, :3], codes["pose"][t, 3:]) for t in range(T)]
    check_crop(imported.take, flame, codes["shape"][0], codes["exp"], pose, codes["cam"])


def check_crop(take: Take, head: HeadDescription, shape, expression, pose, cam) -> None:
    """The take's weak perspective is the network's; its perspective differs from it by what depth does far away."""
    assert tuple(take.image_size) == (224, 224)
    for t in range(T):
        turns = matrices(pose[t][0], np.zeros(3), pose[t][1], np.zeros(6))
        vertices, _ = flame_vertices(head, shape, expression[t], turns)
        x, y = cam[t, 0] * (vertices[:, 0] + cam[t, 1]), -cam[t, 0] * (vertices[:, 1] + cam[t, 2])
        expected = 112 * (np.stack((x, y), axis=1) + 1)
        weak = weak_project(vertices, take.crop_camera[t], take.crop_transform[t])
        np.testing.assert_allclose(weak, expected, atol=1e-3)
        depth = 2000 / 36 * 224 / (112 * cam[t, 0])
        allowed = np.abs(expected - 112).max() * np.abs(vertices[:, 2]).max() / (depth - 1) + PIXEL
        np.testing.assert_allclose(pixels(take, head, t), expected, atol=allowed)
        assert allowed < 4


def test_a_folder_for_each_picture(flame_file: Path, tmp_path: Path) -> None:
    """EMOCA's own results: a folder for each picture, an array in each file, no camera."""
    codes = emoca()
    for index in range(T):
        folder = tmp_path / f"{index + 8:d}_00"
        folder.mkdir()
        for name in ("shape", "exp", "pose", "detail"):
            np.save(folder / f"{name}.npy", codes[name][index])
    imported = bring(tmp_path, flame_file)
    assert imported.kind == "emoca"
    np.testing.assert_allclose(imported.take.jaw, codes["pose"][:, 3:], atol=1e-6)
    assert any("no camera" in note for note in imported.notes)


def test_a_shape_that_varies_is_told(flame_file: Path, tmp_path: Path) -> None:
    codes = smirk() | {"shape_params": noise(1, T, 300)}
    imported = bring(pack(codes, "npz", tmp_path), flame_file)
    np.testing.assert_allclose(imported.take.identity, codes["shape_params"].mean(axis=0), atol=1e-6)
    assert any("shape varies" in note for note in imported.notes)


def test_coefficients_that_the_head_lacks(flame_file: Path, tmp_path: Path) -> None:
    small = write_flame(tmp_path / "small.npz", identity=50)
    codes = smirk()
    path = pack(codes, "npz", tmp_path)
    with pytest.raises(MienError, match="300 identity coefficients, and the head has 50") as caught:
        bring(path, small)
    assert caught.value.code is ErrorCode.BAD_IMPORT
    codes["shape_params"][:, 50:] = 0
    take = bring(pack(codes, "npz", tmp_path), small).take
    np.testing.assert_array_equal(take.identity, codes["shape_params"][0, :50])
    wide = bring(path, flame_file).take
    assert wide.expression.shape == (T, 100)
    assert not wide.expression[:, 50:].any()


def test_flame_needs_a_head(tmp_path: Path) -> None:
    path = pack(smirk(), "npz", tmp_path)
    with pytest.raises(MienError, match="--head FILE") as caught:
        import_take(path, ImportOptions())
    assert caught.value.code is ErrorCode.USAGE


def test_the_licence_of_a_head_that_allows_less_decides(flame_file: Path, tmp_path: Path) -> None:
    take = bring(pack(smirk(), "npz", tmp_path), flame_file).take
    assert take.meta.commercial_use == "no"
    assert take.meta.licences[0].startswith("FLAME 2020")
    assert take.meta.engine == "smirk"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"jaw_params": noise(1, T, 4)}, "where 3 numbers"),
        ({"jaw_params": noise(1, T - 1, 3)}, "4 frames of 'jaw_params' where 5"),
        ({"jaw_params": np.full((T, 3), np.nan)}, "not finite"),
        ({"jaw_params": np.array(["a"])}, "not finite numbers"),
        ({"cam": np.zeros((T, 3))}, "not above zero"),
    ],
    ids=["width", "frames", "nan", "text", "scale"],
)
def test_codes_that_contradict_themselves(content: dict, said: str, flame_file: Path, tmp_path: Path) -> None:
    path = pack(smirk() | content, "pkl", tmp_path)
    with pytest.raises(MienError, match=said) as caught:
        bring(path, flame_file)
    assert caught.value.code is ErrorCode.BAD_IMPORT


@pytest.mark.parametrize("content", [b"", b"hello, world", b"PK\x03\x04", b"\x80\x02}.", b"\x93NUMPY", b"\x00" * 40])
def test_files_of_no_known_kind(content: bytes, flame_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(content)
    with pytest.raises(MienError) as caught:
        bring(path, flame_file)
    assert caught.value.code is ErrorCode.BAD_IMPORT
    assert "file.bin" in caught.value.message


def test_an_empty_folder_and_nothing(flame_file: Path, tmp_path: Path) -> None:
    for path, code in ((tmp_path, ErrorCode.BAD_IMPORT), (tmp_path / "none", ErrorCode.MISSING_FILE)):
        with pytest.raises(MienError) as caught:
            bring(path, flame_file)
        assert caught.value.code is code


def test_a_folder_of_takes(flame: HeadDescription, flame_file: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        flame_take(flame).save(tmp_path / f"{name}.take.npz")
    with pytest.raises(MienError, match="is a folder of takes") as caught:
        bring(tmp_path, flame_file)
    assert caught.value.code is ErrorCode.BAD_IMPORT


def test_our_own_take_whatever_its_name(flame: HeadDescription, flame_file: Path, tmp_path: Path) -> None:
    take = flame_take(flame)
    take.save(tmp_path / "vhap.npz")
    imported = bring(tmp_path / "vhap.npz", flame_file)
    assert imported.kind == "npz"
    assert same_arrays(imported.take, take)
    arkit_take(2).save(tmp_path / "open.npz")
    with pytest.raises(MienError) as caught:
        bring(tmp_path / "open.npz", flame_file)
    assert caught.value.code is ErrorCode.WRONG_HEAD


@pytest.mark.parametrize("name", ["vhap", "gaussian-avatars"])
def test_what_mien_wrote_for_flame_comes_back(
    name: str, flame: HeadDescription, flame_file: Path, tmp_path: Path
) -> None:
    take = flame_take(flame, 20)
    back = bring(export_take(take, name, tmp_path, "shot")[0], flame_file).take
    for array in ("time", "valid", "identity", "expression", "jaw", "eyes", "image_size"):
        np.testing.assert_array_equal(getattr(back, array), getattr(take, array), err_msg=array)
    np.testing.assert_allclose(back.translation, take.translation, atol=1e-6)
    np.testing.assert_allclose(back.camera_matrix, take.camera_matrix, rtol=1e-6)
    assert back.meta.rate == take.meta.rate
