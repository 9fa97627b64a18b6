# SPDX-License-Identifier: GPL-3.0-or-later
"""What lightning does that a command of ours does not: give advice, and run itself several times."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.pytorch.plugins.environments import SLURMEnvironment
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from blender_addon.contract.errors import ErrorCode, MienError


@contextmanager
def quiet() -> Iterator[None]:
    """Its advice about loaders and devices is held back."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def first_process() -> bool:
    """Whether this is the process of a run that writes files and talks; on several devices there are others."""
    return rank_zero_only.rank == 0


def keep_safe_path() -> None:
    """Let the processes that it begins find modules where this one does, not in the user's folder: it forgets -P."""
    if sys.flags.safe_path:
        os.environ["PYTHONSAFEPATH"] = "1"


@contextmanager
def possible(*also: type[Exception]) -> Iterator[None]:
    """What lightning cannot do with a run's settings, and errors of other kinds, are told as mistakes in them."""
    try:
        yield
    except (MisconfigurationException, *also) as error:
        reason = " ".join(str(error).split()).rstrip(".!")
        remedy = "Correct the settings of the trainer; accelerator, devices and strategy are best left at 'auto'."
        raise MienError(ErrorCode.USAGE, f"This run is not possible here: {reason}.", remedy) from error


def queues() -> list[SLURMEnvironment]:
    """Its plug-in of the queue that this process runs in, if any, without its own way to stop and go on.

    That keeps states beside the ones of the run and prefers them for ever after, however old they are.
    """
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []
