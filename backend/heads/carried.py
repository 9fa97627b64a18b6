# SPDX-License-Identifier: GPL-3.0-or-later
"""What a FLAME file lacks, carried over from the open head: the detector's landmarks, eyelids, and a face's colours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription, Landmarks

from .correspondence import Correspondence, correspondence
from .surface import nearest_on_surface

DETECTED = "mediapipe478"
_EYES = slice(3, 5)


def with_carried(head: HeadDescription) -> HeadDescription:
    """The head with 478 landmarks, eyelid shapes where it has none, and colours, all from the open head.

    The first time a head is registered, which takes some seconds; afterwards it is read from the data folder. A head
    that looks like none (see `correspondence`) stays as it is: it can take on a network's parameters, not landmarks.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED where what was found cannot be kept.
    """
    from backend.heads import load_head

    source = load_head("open")
    if DETECTED in head.landmarks:
        return head
    try:
        here = correspondence(source, head)
        there = correspondence(head, source)
    except MienError as error:
        if error.code is not ErrorCode.BAD_HEAD:
            raise
        return head
    eyelids = head.eyelids
    if not eyelids.shape[2]:
        eyelids = here.carried(source, source.eyelids).astype(np.float32)
        eyelids[head.skinning[:, _EYES].sum(axis=1) > 0.5] = 0
    landmarks = {**head.landmarks, DETECTED: _landmarks(source, head, there)}
    albedo = here.carried(source, source.albedo.astype(np.float64)).round().clip(0, 255).astype(np.uint8)
    return replace(head, eyelids=eyelids, landmarks=landmarks, albedo=albedo)


def _landmarks(source: HeadDescription, head: HeadDescription, there: Correspondence) -> Landmarks:
    """The source's landmarks on the head: where the corners of their triangles lie, put onto the surface."""
    marks = source.landmarks[DETECTED]
    corners = source.faces[marks.faces]
    template = head.template.astype(np.float64)
    on_head = there.carried(head, template)
    points = (on_head[corners] * marks.barycentric[..., None]).sum(axis=1)
    eye = head.skinning[:, _EYES].sum(axis=1) > 0.5
    of_eye = eye[head.faces].all(axis=1)
    in_eye = source.skinning[:, _EYES].sum(axis=1)[corners].mean(axis=1) > 0.5
    faces, weights = np.zeros(len(points), np.int32), np.zeros((len(points), 3), np.float32)
    for chosen, allowed in ((in_eye, of_eye), (~in_eye, ~of_eye)):
        allowed = allowed if allowed.any() else np.ones_like(allowed)
        faces[chosen], weights[chosen] = nearest_on_surface(points[chosen], template, head.faces, allowed)
    return Landmarks(faces, weights)
