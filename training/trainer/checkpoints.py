# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints on the disk: whole or absent, and read without running anything in them."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import atomic_write, file_error

_NEEDED = {"state_dict", "loops", "optimizer_states"}
_DAMAGED = (pickle.UnpicklingError, EOFError, RuntimeError, KeyError, ValueError, AttributeError, TypeError)
"""What torch raises of files that are none of its own, depending on where they break."""


class WholeCheckpoints(TorchCheckpointIO):
    """Writes beside the checkpoint that it replaces.

    Lightning's own goes to the disk of temporary files first and is copied from there, so that a kill could leave half
    of a state in the place of the one before.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        """Write a state.

        Raises:
            MienError: NO_SPACE, NOT_PERMITTED, MISSING_FILE.
        """
        content = io.BytesIO()  # torch makes errors of its own out of those of the disk
        torch.save(checkpoint, content)
        atomic_write(path, lambda file: file.write(content.getbuffer()))

    def load_checkpoint(
        self, path: str | Path, map_location: object = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read a state that a run goes on from.

        Raises:
            MienError: NOT_PERMITTED, MISSING_FILE; BAD_WEIGHTS for what is damaged, no state, or would run something.
        """
        try:
            state = torch.load(path, map_location=map_location or "cpu", weights_only=True)
        except OSError as error:
            raise file_error(path, error, "read") from error
        except _DAMAGED as error:
            raise _no_state(path) from error
        if not isinstance(state, dict) or not state.keys() >= _NEEDED:
            raise _no_state(path)
        return state


def _no_state(path: str | Path) -> MienError:
    remedy = "Remove it; the run begins anew then."
    return MienError(ErrorCode.BAD_WEIGHTS, f"{path} is damaged, or no state of a run.", remedy, {"path": str(path)})
