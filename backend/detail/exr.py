# SPDX-License-Identifier: GPL-3.0-or-later
"""Displacement maps as OpenEXR: half floats, one channel Y, which Blender (4.2 to 5.2) reads as the same grey in all
of its channels, without loss below the half's own rounding: under 1e-6 m within 2 mm, under 4e-6 m at the most (1 cm).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import OpenEXR

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import atomic_write, file_error

SUFFIX = ".exr"
_CHANNEL = "Y"


def write_map(path: Path, displacement: np.ndarray) -> None:
    """Write a map (S, S) in metres, row 0 on top (v = 1), whole or not at all; the same map gives the same bytes.

    ZIP is without loss; DWAA, which is smaller by half, is wrong by up to a third of a millimetre.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED or MISSING_FILE.
    """
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    pixels = np.ascontiguousarray(displacement, np.float16)
    # The library takes names only, and prints what goes wrong instead of telling: it writes beside, we copy.
    with tempfile.TemporaryDirectory(prefix="mien-exr-") as folder:
        made = Path(folder) / f"map{SUFFIX}"
        try:
            with OpenEXR.File(header, {_CHANNEL: pixels}) as file:
                file.write(str(made))
            data = made.read_bytes()
        except OSError as error:
            raise file_error(path, error) from error
        except RuntimeError as error:
            message = f"{path} cannot be written: {error}."
            raise MienError(ErrorCode.NO_SPACE, message, "Free some space on the disk of temporary files.") from error
    atomic_write(path, lambda file: file.write(data), durable=False)


def read_map(path: Path) -> np.ndarray:
    """A map (S, S) float32, metres.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED; BAD_TAKE for what is no displacement map.
    """
    try:
        path.open("rb").close()
        with OpenEXR.File(str(path)) as file:
            return np.array(file.channels()[_CHANNEL].pixels, np.float32)
    except OSError as error:
        raise file_error(path, error, "read") from error
    except (RuntimeError, KeyError, ValueError) as error:
        message = f"{path} is damaged or no displacement map."
        raise MienError(ErrorCode.BAD_TAKE, message, "Capture the source again.", {"path": str(path)}) from error
