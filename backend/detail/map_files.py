# SPDX-License-Identifier: GPL-3.0-or-later
"""The displacement maps of a take as files: a folder beside it, which is whole or absent.

The maps are made in a hidden folder that is named after what they are made of; a run that was ended in any way goes on
in there. When all are done the folder gets its name, and the take that names them is for the caller to save after that.
"""

from __future__ import annotations

import glob
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from backend.detail.exr import SUFFIX, write_map
from backend.detail.wrinkles import Wrinkles, digest, latents
from backend.progress import Progress
from blender_addon.contract.files import file_error, make_folder
from blender_addon.contract.take import Take


def write_maps(wrinkles: Wrinkles, take: Take, step: int, folder: Path, progress: Progress) -> Take:
    """Make the maps of every `step`-th frame of a take.

    Args:
        wrinkles: From `load_wrinkles`.
        take: A take with detail codes.
        step: 1 for all frames.
        folder: Of the maps; it gets `0001.exr` for the first frame and so on. One that was there is replaced.
        progress: Told of each map; asked whether to go on.

    Returns:
        The take, naming its maps; frames without a map of their own have the one before.

    Raises:
        MienError: BAD_TAKE for a take without codes; NO_SPACE, NOT_PERMITTED, MISSING_FILE; CANCELLED, after which the
            next run goes on where this one stopped.
    """
    own = own_frames(take, step)
    rows = latents(take, own)
    work = folder.with_name(f".{folder.name}-{digest(wrinkles, rows)}")
    make_folder(work)
    names = [f"{frame + 1:04d}{SUFFIX}" for frame in own.tolist()]
    missing = np.array([number for number, name in enumerate(names) if not (work / name).is_file()], int)
    for done, (number, made) in enumerate(zip(missing.tolist(), wrinkles.maps(rows[missing]), strict=True)):
        progress.check_cancelled()
        progress("displacement", (len(own) - len(missing) + done) / len(own), "Making displacement maps")
        write_map(work / names[number], made)
    _publish(work, folder)
    progress("displacement", 1.0, "Made displacement maps")
    at = np.searchsorted(own, np.arange(len(take)), side="right") - 1
    return replace(take, meta=replace(take.meta, displacement=tuple(f"{folder.name}/{names[i]}" for i in at)))


def own_frames(take: Take, step: int) -> np.ndarray:
    """(N,) frames with maps of their own: every `step`-th of each shot, since wrinkles do not stay across a cut."""
    segment = take.extra.get("segment", np.zeros(len(take), np.int32))
    starts = np.flatnonzero(np.diff(segment, prepend=segment[0] - 1))
    within = np.arange(len(take)) - starts[np.searchsorted(starts, np.arange(len(take)), side="right") - 1]
    return np.flatnonzero(within % step == 0)


def _publish(work: Path, folder: Path) -> None:
    """Give the finished folder its name, in place of an older one, and clear up after runs that made other maps."""
    try:
        if folder.exists():
            os.replace(folder, work.with_name(f"{work.name}.old"))
        os.replace(work, folder)
    except OSError as error:
        raise file_error(folder, error) from error
    for left in folder.parent.glob(f".{glob.escape(folder.name)}-*"):
        shutil.rmtree(left, ignore_errors=True)
