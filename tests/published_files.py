# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user downloads for an engine, in the official layouts, with networks that answer as to faces and a head that
looks like one: the answers and the head are those of `tests.seeded_parts` and `tests.face_flame`.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from torch import Tensor

from tests.official_files import write_deca, write_deca_data, write_emoca, write_smirk, zipped
from tests.official_heads import write_eyelids, write_flame_zip, write_landmark_embedding, write_mediapipe_embedding
from tests.seeded_parts import face_encoder, smirk_encoder

PublishedEngine = Literal["deca", "emoca", "smirk"]
EMOCA_MODEL = "EMOCA_v2_lr_mse_20"


def write_downloads(folder: Path, engine: PublishedEngine) -> list[Path]:
    """The files of an engine and of the head that it needs, as `mien models add` is given them.

    Args:
        folder: An empty folder.
        engine: Which one.

    Returns:
        DECA's folder of data; EMOCA's archive, with the head inside the checkpoint, and FLAME's archive; SMIRK's
        weights, FLAME's archive and the files beside it.
    """
    if engine == "deca":
        data = write_deca_data(folder / "data", "face", model=False)
        write_deca(data / "deca_model.tar", encoder=_encoder)
        return [data]
    flame = write_flame_zip(folder, "flame2020", "face")
    if engine == "emoca":
        write_emoca(folder, EMOCA_MODEL, mediapipe=True, head="face", encoder=_encoder, others=(9.44489288,))
        archive = zipped(folder / EMOCA_MODEL)
        shutil.rmtree(folder / EMOCA_MODEL)
        return [archive, flame]
    weights = write_smirk(folder / "SMIRK_em1.pt", encoder=smirk_encoder().state_dict())
    marks = write_landmark_embedding(folder / "landmark_embedding.npy", "face")
    media = write_mediapipe_embedding(folder / "mediapipe_landmark_embedding.npz", "face")
    return [weights, flame, marks, media, *write_eyelids(folder)]


def _encoder(outputs: int) -> dict[str, Tensor]:
    return face_encoder(outputs).state_dict()
