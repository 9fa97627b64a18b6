# SPDX-License-Identifier: GPL-3.0-or-later
"""The built-in profile of the faces that Rigify generates, of both kinds; its amounts are in the JSON file beside."""

from __future__ import annotations

from collections.abc import Container
from functools import lru_cache
from pathlib import Path

from .profile import Profile
from .profile_file import load_profile

_FILE = Path(__file__).with_name("rigify.json")
_SIGNS = ("jaw_master", "lid.T.L.002", "lid.B.L.002", "brow.T.L.002", "lip.T")


def is_rigify(bones: Container[str]) -> bool:
    """Whether an armature with these bones has a face that Rigify made."""
    return all(name in bones for name in _SIGNS)


@lru_cache(maxsize=1)
def rigify_profile() -> Profile:
    """The profile; it drives nothing but Rigify's controls."""
    return load_profile(_FILE)
