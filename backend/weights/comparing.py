# SPDX-License-Identifier: GPL-3.0-or-later
"""What FLAME's numbers tell about other files: which eyelid one is, and whether a head is the one of a checkpoint."""

from __future__ import annotations

import numpy as np

from backend.weights.found import About
from backend.weights.matching import bad_weights
from backend.weights.parts import Part, PartKind, find

_SAME = 1e-5
"""Metres that the same numbers differ by at most after they were rounded to float32 and kept by other programs."""
_HEADS: tuple[PartKind, ...] = ("flame2020", "flame2023", "flame2023_open")


def side_of(offsets: np.ndarray, about: About) -> tuple[str, str]:
    """Which eyelid it is, left or right of the person, and a sentence on how that is known.

    Args:
        offsets: (V, 3) metres.
        about: Of its file.

    Raises:
        MienError: BAD_WEIGHTS where neither a head nor the name tells it.
    """
    head = next((part for kind in _HEADS if (part := find(kind))), None)
    if head is not None:
        template = head.arrays("v_template")["v_template"]
        moved = np.linalg.norm(offsets, axis=1)
        middle = float((template[:, 0] * moved).sum() / moved.sum())
        side = "left" if middle > 0 else "right"
        return side, f"It is the {side} eyelid, since what it moves lies there on FLAME's face."
    name = about.name.lower()
    for side, marks in (("left", ("l_", "left")), ("right", ("r_", "right"))):
        if name.startswith(marks):
            return side, f"Taken as the {side} eyelid, which its name says; add FLAME first to be sure."
    reason = "is an eyelid for FLAME, but nothing tells which"
    raise bad_weights(about.file, reason, "Add FLAME first, or name it l_eyelid.npy or r_eyelid.npy.")


def unlike_checkpoint(mine: Part, theirs: Part) -> str | None:
    """A sentence where the user's FLAME 2020 is not the head that an EMOCA checkpoint was trained with."""
    ours, other = mine.arrays("v_template", "shapedirs"), theirs.arrays("v_template", "shapedirs")
    apart = float(np.abs(ours["v_template"] - other["v_template"]).max())
    identities, expressions = int(theirs.settings["identities"]), int(theirs.settings["expressions"])
    first = int(mine.settings["identities"])
    shapes, own = other["shapedirs"], ours["shapedirs"]
    pairs = (
        (own[..., :identities], shapes[..., :identities]),
        (own[..., first : first + expressions], shapes[..., identities:]),
    )
    moved = max(float(np.abs(a - b).max()) for a, b in pairs)
    if max(apart, moved) <= _SAME:
        return None
    return (
        f"{mine.origin}, added as FLAME 2020, is not the head inside the EMOCA checkpoint {theirs.origin}: the mean "
        f"face differs by up to {1000 * apart:.1f} mm, a component by up to {1000 * moved:.1f} mm. DECA, EMOCA and "
        "SMIRK need FLAME 2020 (generic_model.pkl); if yours is of another year, remove it and add it with --release."
    )
