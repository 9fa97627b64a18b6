# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what the face detector gets wrong of painted heads: writes backend/engines/fit/detection.npz.

    python scripts/measure_detection.py [PEOPLE]

Each person is seen in five views of known pose and expression. What is wrong with the landmarks, in the head's axes, is
split into what goes with the identity (ridge regression), what a person has in all views, and what a view has alone
(principal components). About two seconds a person.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from backend.chain.observing import Span, observe  # noqa: E402
from backend.engines.fit.detection import DETECTION_FILE  # noqa: E402
from backend.engines.fit.evidence import depth_bias  # noqa: E402
from backend.engines.fit.fit import EMBEDDING, IDENTITY_SIZE  # noqa: E402
from backend.faces.topology import IRISES, MIRROR_478  # noqa: E402
from backend.heads.model import HeadModel  # noqa: E402
from backend.media.clip import open_clip  # noqa: E402
from backend.progress import no_progress  # noqa: E402
from backend.session import Session  # noqa: E402
from backend.store.observations import Observations  # noqa: E402
from blender_addon.contract.files import atomic_write  # noqa: E402
from blender_addon.contract.projection import HEAD_TO_CAMERA  # noqa: E402
from blender_addon.contract.take import Take  # noqa: E402
from tests.make_clip import make_clip  # noqa: E402
from tests.motion import five_frames  # noqa: E402

FIRST_SEED = 1000
"""Seeds from here on; tests use smaller ones."""
PEOPLE = 530
RATE = 5.0
SIZE = (640, 360)
DEPTH_TRUST = 0.15
"""How much less depth tells than the image."""
RIDGE = 30.0
IDENTITY_RANK, PERSON_RANK, FRAME_RANK = 16, 12, 10


def errors_of(session: Session, model: HeadModel, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of one person: identity (S,), error in all views (478,3), error of each view beside that (T,478,3), metres."""
    head = model.head
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "five.mp4"
        (truth,) = make_clip(path, head, model, [five_frames(head, seed, RATE)], SIZE, RATE, seed)
        with closing(Observations(Path(folder))) as seen, open_clip(path) as clip:
            everything = Span(0, len(clip.info.times) - 1)
            observe(session.finder(), clip, everything, seen, no_progress, lambda *_: None, 0.0)
            records = np.concatenate(list(seen.batches()))
    rows = records["frame"]
    points = _posed_landmarks(model, truth)[rows] @ HEAD_TO_CAMERA + truth.translation[rows, None].astype(np.float64)
    matrix, depth = truth.camera_matrix, points[..., 2]
    pixels, found = points @ matrix.T, records["landmarks"].astype(np.float64)
    across = (found[..., :2] - pixels[..., :2] / pixels[..., 2:]) * (depth / matrix[0, 0])[..., None]
    ray = points.mean(axis=1) / np.linalg.norm(points.mean(axis=1), axis=1, keepdims=True)
    along = found[..., 2] * (depth.mean(axis=1) / matrix[0, 0])[:, None] - np.einsum("nkd,nd->nk", points, ray)
    apart = np.concatenate([across, (along - along.mean(axis=1, keepdims=True))[..., None]], axis=-1)
    to_camera = HEAD_TO_CAMERA @ Rotation.from_rotvec(truth.head_rotation[rows].astype(np.float64)).as_matrix()
    trust = np.array([1, 1, DEPTH_TRUST**2])
    normal = np.einsum("d,fda,fdb->ab", trust, to_camera, to_camera) + 0.05 * np.eye(3)
    shared = np.einsum("d,fda,fkd->ka", trust, to_camera, apart) @ np.linalg.inv(normal)
    return truth.identity.astype(np.float64), shared, apart @ to_camera - shared


def _posed_landmarks(model: HeadModel, take: Take) -> np.ndarray:
    names = ("expression", "head_rotation", "jaw", "eyes", "eyelids")
    with torch.inference_mode():
        parts = {name: torch.from_numpy(getattr(take, name)) for name in names}
        vertices = model(identity=torch.from_numpy(take.identity[None]), **parts).vertices
        return model.landmarks(vertices, EMBEDDING).double().numpy()


def split(identity: np.ndarray, shared: np.ndarray, own: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of `backend.engines.fit.detection.Detection` from N people: (N,S), (N,478,3) and (M,478,3)."""
    identity = identity[:, :IDENTITY_SIZE]
    bias = depth_bias()
    shared = shared - np.array([0, 0, 1]) * (bias - bias.mean())[:, None]  # is taken out of the depths before
    common = (shared.mean(axis=0) + _mirrored(shared).mean(axis=0)) / 2
    about = (shared - shared.mean(axis=0)).reshape(len(shared), -1)
    slope = np.linalg.solve(identity.T @ identity + RIDGE * np.eye(identity.shape[1]), identity.T @ about)
    u, s, vt = np.linalg.svd(slope, full_matrices=False)
    by_identity, fields = (u * s).T[:IDENTITY_RANK], vt[:IDENTITY_RANK]
    rest = (about - identity @ by_identity.T @ fields).reshape(shared.shape)
    arrays = {
        "person": np.concatenate([common[None], _components(rest, PERSON_RANK)]),
        "frame": _components(own, FRAME_RANK),
        "identity_fields": fields.reshape(-1, *shared.shape[1:]),
    }
    for values in arrays.values():
        values[:, list(IRISES)] = 0
    return {name: values.astype(np.float32) for name, values in {**arrays, "identity": by_identity}.items()}


def _components(fields: np.ndarray, count: int) -> np.ndarray:
    """(count,478,3) principal components of fields and their mirror images, one standard deviation each."""
    both = np.concatenate([fields, _mirrored(fields)]).reshape(2 * len(fields), -1)
    values, vectors = np.linalg.eigh(both.T @ both / len(both))
    largest = vectors[:, ::-1][:, :count] * np.sqrt(values[::-1][:count])
    return largest.T.reshape(count, *fields.shape[1:])


def _mirrored(fields: np.ndarray) -> np.ndarray:
    return fields[:, MIRROR_478] * [-1, 1, 1]


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else PEOPLE
    session = Session("cpu")
    model = HeadModel(session.head("open"))
    people = [errors_of(session, model, FIRST_SEED + number) for number in range(count)]
    identity, shared, own = zip(*people, strict=True)
    arrays = split(np.stack(identity), np.stack(shared), np.concatenate(own))
    atomic_write(DETECTION_FILE, lambda file: np.savez_compressed(file, **arrays))
    session.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
