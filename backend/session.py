# SPDX-License-Identifier: GPL-3.0-or-later
"""What stays loaded between captures: the landmark model, heads and engines, each made at first use."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from backend.device import available_cores, choose_device, set_threads
from backend.engines.choice import Networks, choose_networks, stamp
from backend.engines.fit.fit import LandmarkFit
from backend.faces.landmarker import FaceFinder
from backend.heads import load_head
from backend.heads.model import EyelidSpace, HeadModel
from backend.progress import Progress, no_progress
from backend.weights.landmarker import landmarker_file
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.options import CaptureOptions

MODELS_AT_ONCE = 4
"""Landmark models that look at crops side by side; each takes one core and about 30 MB."""


class Session:
    """Loaded models of one process. Not safe for use by two threads at once.

    Args:
        device: auto, cpu, cuda, cuda:N or mps.
        threads: CPU threads, for torch and for the landmark models that work side by side; None for all cores but one,
            and for the landmark models all, at most `MODELS_AT_ONCE`.
    """

    def __init__(self, device: str = "auto", threads: int | None = None):
        self.threads = set_threads(threads)
        self._models_at_once = min(available_cores() if threads is None else self.threads, MODELS_AT_ONCE)
        self.device = choose_device(device)
        self._finder: FaceFinder | None = None
        self._heads: dict[str, HeadDescription] = {}
        self._models: dict[tuple[str, EyelidSpace], HeadModel] = {}
        self._fits: dict[str, LandmarkFit] = {}
        self._networks: tuple[object, Networks] | None = None

    def finder(self, progress: Progress = no_progress) -> FaceFinder:
        """The face finder; its model file is fetched at first use."""
        if self._finder is None:
            self._finder = FaceFinder(landmarker_file(progress), threads=self._models_at_once)
        return self._finder


    def head(self, name: str) -> HeadDescription:
        """A head by id, by path or by the sha256 of one that was loaded before."""
        for head in self._heads.values():
            if head.sha256 == name:
                return head
        if name not in self._heads:
            self._heads[name] = load_head(name)
        return self._heads[name]

    def model(self, head: HeadDescription, eyelid_space: EyelidSpace = "rest") -> HeadModel:
        """The skinned model of a head on this session's device."""
        key = head.sha256, eyelid_space
        if key not in self._models:
            self._models[key] = HeadModel(head, self.device, eyelid_space=eyelid_space)
        return self._models[key]

    def landmark_fit(self, head: HeadDescription) -> LandmarkFit:
        """The landmark fit of a head on this session's device."""
        if head.sha256 not in self._fits:
            self._fits[head.sha256] = LandmarkFit(head, self.device)
        return self._fits[head.sha256]

    def networks(self, options: CaptureOptions, progress: Progress = no_progress) -> Networks:
        """The networks that a capture asks for; those of the last capture stay loaded.

        Raises:
            MienError: What `choose_networks` raises.
        """
        head = self.head(options.head)
        key = (options.engine, head.sha256, head.revision, stamp(options))
        if self._networks is None or self._networks[0] != key:
            self._networks = None  # frees the last ones before others are loaded
            self._networks = (key, choose_networks(options, head, self.device, progress))
        return self._networks[1]

    def fan(self) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """FAN on this session's device, as `engines.crops.FanLandmarks`.

        Raises:
            MienError: What `load_fan` raises: SETUP_FAILED where face-alignment is not installed; MISSING_FILE,
                WRONG_HASH or BAD_HEAD for its weights.
        """
        from backend.faces.fan import fan_landmarks, load_fan  # here: it is optional

        load_fan(str(self.device))  # it stays loaded, and what it lacks is told now
        return partial(fan_landmarks, device=self.device)

    def close(self) -> None:
        """Release the landmark model."""
        if self._finder is not None:
            self._finder.close()
            self._finder = None
