# SPDX-License-Identifier: GPL-3.0-or-later
"""What a capture gives, and what photos and clips say about themselves in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version

import numpy as np
import torch

from backend.clock import Clock
from backend.device import device_label
from backend.engines.files import Ingredient, strictest_first
from backend.faces.face import Face
from backend.heads.model import EyelidSpace
from backend.media.images import Photo
from backend.rendering.overlay import OverlayFace, overlay_picture
from backend.session import Session
from backend.solve.camera import Focal
from blender_addon.contract.head import CommercialUse, HeadDescription
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.take import WEIGHTS, Take, TakeMeta
from blender_addon.contract.version import VERSION

LANDMARKER_LICENCE = "Apache-2.0 (MediaPipe face landmarker)"
TOLERATED_ERROR = 0.06
"""Landmark error at which the confidence in a fit has fallen to nothing."""


@dataclass(frozen=True)
class CaptureResult:
    """What a capture gives.

    Attributes:
        takes: One for each captured face or person.
        report: JSON-able.
        picture: The photo, or the frame of the clip that shows the first take best; None where there is no take.
        frame: Which frame of the takes the picture shows.
        contact_sheet: (H,W,3) uint8, the people of a clip with their numbers; None for photos and for one person.
        eyelid_space: How eyelids are added to what is drawn.
    """

    takes: tuple[Take, ...]
    report: dict[str, object]
    picture: Photo | None
    frame: int = 0
    contact_sheet: np.ndarray | None = None
    eyelid_space: EyelidSpace = "rest"

    @property
    def of_clip(self) -> bool:
        """Whether a clip was captured, not a photo."""
        return "clip" in self.report


def draw_overlay(session: Session, result: CaptureResult) -> np.ndarray:
    """(H,W,3) uint8: the fitted meshes over the picture, and each head from the front and the side."""
    faces = []
    for take in result.takes:
        if not take.valid[result.frame]:
            continue  # that person is not in the frame which shows the first one best
        head = session.head(take.meta.head_sha256)
        frame = slice(result.frame, result.frame + 1)
        vertices = posed_vertices(session, head, take, frame, result.eyelid_space)[0]
        faces.append(OverlayFace(head, vertices, take.translation[result.frame], take.camera_matrix))
    return overlay_picture(result.picture.pixels, faces)


def posed_vertices(
    session: Session,
    head: HeadDescription,
    take: Take,
    frames: slice = slice(None),
    eyelid_space: EyelidSpace = "rest",
) -> np.ndarray:
    """(T,V,3) vertices of some or all frames of a take in head space, metres.

    Raises:
        MienError: WRONG_HEAD where the take belongs to another head.
    """
    take.require_head(head)
    names = ("expression", "head_rotation", "neck", "jaw", "eyes", "eyelids")
    posed = {name: getattr(take, name)[frames] for name in names}
    identity = np.repeat(take.identity[None], len(posed["jaw"]), axis=0)
    return model_vertices(session, head, eyelid_space, identity=identity, **posed)


def model_vertices(
    session: Session, head: HeadDescription, eyelid_space: EyelidSpace = "rest", **parameters: np.ndarray
) -> np.ndarray:
    """(B,V,3) vertices of a head with parameters (B,...) by the names that `HeadModel` gives them."""
    tensors = {
        name: torch.as_tensor(np.asarray(value), dtype=torch.float32, device=session.device)
        for name, value in parameters.items()
    }
    with torch.inference_mode():
        return session.model(head, eyelid_space)(**tensors).vertices.cpu().numpy()


def confidence(presence: float | np.ndarray, landmark_error: float | np.ndarray) -> np.ndarray:
    """In 0..1: the detector's own confidence (`Face.presence`), lowered as the fit leaves the landmarks."""
    return presence * np.clip(1 - (np.asarray(landmark_error) / TOLERATED_ERROR) ** 2, 0, 1)


def take_meta(options: CaptureOptions, head: HeadDescription, person: int, **more: object) -> TakeMeta:
    """What a take is about; `credited` adds the networks."""
    return TakeMeta(
        head_id=head.id,
        head_sha256=head.sha256,
        engine=options.engine,
        versions={"mien": VERSION, "torch": torch.__version__, "mediapipe": version("mediapipe")},
        source=options.source,
        person=person,
        licences=licences(head)[0],
        commercial_use=licences(head)[1],
        channels=head.expression_names,
        **more,  # type: ignore[arg-type]  # checked on construction
    )


def credited(take: Take, head: HeadDescription, ingredients: Sequence[Ingredient]) -> Take:
    """A take that says which files of users went into it beside its head, the name of the engine's weights,
    and under which licences."""
    texts, use = licences(head, ingredients)
    versions = {**take.meta.versions, **{item.title: item.sha256 for item in ingredients}}
    if weights := next((item.name for item in ingredients if item.kind == take.meta.engine), ""):
        versions[WEIGHTS] = weights
    return replace(take, meta=replace(take.meta, versions=versions, licences=texts, commercial_use=use))


def licences(head: HeadDescription, ingredients: Sequence[Ingredient] = ()) -> tuple[tuple[str, ...], CommercialUse]:
    """Licences of what went into a take, the strictest first, and what they say together."""
    own = [(f"{item.licence} ({item.title})", item.commercial_use) for item in ingredients]
    of_head = f"{head.licence} (head {head.id})"
    return strictest_first([*own, (LANDMARKER_LICENCE, "yes"), (of_head, head.commercial_use)])


def report_basis(
    session: Session,
    options: CaptureOptions,
    head: HeadDescription,
    size: tuple[int, int],
    clock: Clock,
    ingredients: Sequence[Ingredient] = (),
) -> dict[str, object]:
    """What the reports of photos and clips have in common."""
    texts, use = licences(head, ingredients)
    return {
        "mien": VERSION,
        "source": options.source,
        "image_size": list(size),
        "engine": options.engine,
        "head": {"id": head.id, "sha256": head.sha256},
        "device": device_label(session.device),
        "seconds": clock.seconds,
        "licences": list(texts),
        "commercial_use": use,
        "networks": [item.to_json() for item in ingredients],
    }


def camera_report(focal: Focal, width: int, height: int) -> dict[str, object]:
    """The camera as the report tells it."""
    return {
        "focal_mm": round(focal.millimetres(width, height), 2),
        "focal_px": round(focal.pixels, 2),
        "origin": focal.origin,
    }


def rounded(values: np.ndarray, digits: int) -> list[float]:
    """Numbers for a report."""
    return [round(float(value), digits) for value in values]


def face_confidence(face: Face, landmark_error: float) -> float:
    """`confidence` of one face."""
    return float(confidence(face.presence, landmark_error))
