# SPDX-License-Identifier: GPL-3.0-or-later
"""Which release of FLAME a file is. The releases have the same arrays, so only names and the user can say.

The open release allows more than the others, so it is never assumed: the user names it, or the file or the archive that
it was unpacked from has its name and nothing speaks against it.
"""

from __future__ import annotations

import re

from backend.weights.found import About, Release
from backend.weights.matching import bad_weights

_OPEN = re.compile(r"flame[\s_-]?2023[\s_-]?open", re.IGNORECASE)
_2023 = re.compile(r"flame[\s_-]?2023", re.IGNORECASE)
_2020 = re.compile(r"(generic|female|male)_model", re.IGNORECASE)
_VARIANTS = (("female", "female_model"), ("male", "male_model"), ("no_jaw", "no_jaw"))
_TITLES = {"flame2020": "FLAME 2020", "flame2023": "FLAME 2023", "flame2023_open": "FLAME 2023 Open"}


def release_of(about: About) -> tuple[Release, str, tuple[str, ...]]:
    """The release, the variant (female, male, no_jaw or empty) and sentences on how that was decided.

    Raises:
        MienError: BAD_WEIGHTS where the names contradict each other and the licence depends on it.
    """
    variant = next((name for name, mark in _VARIANTS if mark in about.name.lower()), "")
    named = _named(about)
    if about.release:
        notes = [f"Taken as {_TITLES[about.release]}, as you said."]
        if named and named != about.release:
            notes.append(
                f"Its name is that of {_TITLES[named]}: if it is that, remove it and add it as such; the licence of "
                "the file counts, and coefficients made for one release are wrong on another."
            )
        return about.release, variant, tuple(notes)
    if named == "flame2023_open":
        return named, variant, ("Taken as FLAME 2023 Open (CC BY 4.0), which its name says.",)
    if named:
        return named, variant, (f"Taken as {_TITLES[named]} (non-commercial), which its name says.",)
    note = "Taken as FLAME 2020 (non-commercial), since its name says nothing; --release says which it is."
    return "flame2020", variant, (note,)


def _named(about: About) -> Release | None:
    """What the file's own name says; where that says nothing, what the folder or archive that it lies in says."""
    own: Release | None = None
    if _OPEN.search(about.name):
        own = "flame2023_open"
    elif _2023.search(about.name):
        own = "flame2023"
    elif _2020.search(about.name):
        own = "flame2020"
    around = about.file[: -len(about.name)]
    inside_open = bool(_OPEN.search(around))
    if inside_open and own not in (None, "flame2023_open"):
        remedy = "Say which release it is with --release flame2020, flame2023 or flame2023_open."
        reason = f"is named as {_TITLES[own]} and lies in something named as FLAME 2023 Open"  # type: ignore[index]
        raise bad_weights(about.file, reason, remedy, cause="release")
    if own:
        return own
    if inside_open:
        return "flame2023_open"
    return "flame2023" if _2023.search(around) else None
