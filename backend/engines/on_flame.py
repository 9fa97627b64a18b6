# SPDX-License-Identifier: GPL-3.0-or-later
"""The heads on which the codes of the published networks mean what they were trained to."""

from __future__ import annotations

from backend.networks.codes import EXPRESSION
from backend.weights.parts import find
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription

HEAD = "flame2020"
LANDMARKS = "ibug68"
"""The embedding through which the solve places these heads."""
COMPONENTS = 300
"""Identity components of FLAME 2020."""


def check_head(head: HeadDescription, engine: str, identities: int) -> None:
    """Refuse heads with other components: coefficients of one head mean nothing on another.

    Args:
        head: The head.
        engine: The engine's title.
        identities: Identity components that it tells; the head out of an EMOCA checkpoint has fewer than FLAME 2020.

    Raises:
        MienError: WRONG_HEAD; MISSING_FILE where the landmarks that belong to FLAME, or the head, were not added.
    """
    if head.id != HEAD or head.expression.shape[2] < EXPRESSION:
        message = f"{engine}'s coefficients belong to FLAME 2020, and the head {head.id} has other components."
        remedy = "Leave the head out, or choose flame2020; 'mien convert' brings the take to another head afterwards."
        raise MienError(ErrorCode.WRONG_HEAD, message, remedy, {"cause": "engine"})
    if head.identity.shape[2] < identities:
        message = f"{engine} needs the whole FLAME 2020; this one, out of an EMOCA checkpoint, has fewer identities."
        remedy = "Add the whole one with 'mien models add FILE'; of several, 'mien models use NAME' chooses."
        raise MienError(ErrorCode.WRONG_HEAD, message, remedy, {"cause": "engine"})
    if LANDMARKS not in head.landmarks:
        message = f"{engine} needs FLAME's landmark embedding, which is not there."
        remedy = "'mien models' says where one gets landmark_embedding.npy; add it with 'mien models add FILE'."
        if find("landmark_embedding") is not None:  # it comes to heads of the store alone
            message = f"{engine} needs FLAME's landmark embedding, which does not come to a head from a file."
            remedy = "Add the FLAME file with 'mien models add FILE', and leave --head out."
        raise MienError(ErrorCode.MISSING_FILE, message, remedy, {"kind": "landmark_embedding"})
