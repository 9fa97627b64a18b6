# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic faces as a torch dataset, made when they are asked for."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from backend.detail.dense import has_uvs
from backend.heads import load_head
from backend.heads.model import HeadModel
from blender_addon.contract.arkit import has_arkit
from blender_addon.contract.head import HeadDescription
from training.synthetic.albedo import skin_albedo
from training.synthetic.own_channels import own_channels
from training.synthetic.picture import take_picture
from training.synthetic.scene import Moment, Person, draw_moment, draw_person

_KEPT_PEOPLE = 16


class SyntheticFaces(Dataset[dict[str, Tensor]]):
    """`people` random people with `pictures` pictures each; item i is picture i % pictures of person i // pictures.

    An item depends on seed and index alone: not on the order, on workers, or on how many people there are. Use other
    seeds, or `first_person`, for people who are not in the training set.

    Items: `image` (3, 224, 224) float32 RGB in [0, 1]; `mask` (1, 224, 224); `landmarks` (68, 3) and `mediapipe`
    (478, 3), crop NDC x, y and visibility; `identity` (S,), `expression` (E,), `head_rotation` (3,), `jaw` (3,),
    `eyes` (6,), `eyelids` (2,), `crop_camera` (3,), `light` (9, 3); `albedo` (50,), the nearest code of `skin_albedo`,
    not on heads without UVs; `label` int64 of `EMOTIONS`, `valence`, `arousal`; `person` int64.

    The head's own parameters are the truth. On heads with other channels than ARKit's, such as the user's FLAME, these
    are the coefficients nearest to the emotion's units (`own_channels`), which close the lids as well.

    Args:
        people: how many.
        pictures: of each.
        seed: of all chances.
        first_person: number of the first one.
        head: the open head by default. Others are registered with it the first time, which takes some seconds.

    Raises:
        ValueError: the head lacks landmarks.
        MienError: BAD_HEAD for a head that looks like no face; what the registration raises.
    """

    def __init__(
        self, people: int, pictures: int, seed: int = 0, *, first_person: int = 0, head: HeadDescription | None = None
    ) -> None:
        self.head = load_head() if head is None else head
        if missing := {"ibug68", "mediapipe478"} - set(self.head.landmarks):
            raise ValueError(f"the head {self.head.id} has no landmarks {min(missing)}")
        self.people, self.pictures, self.seed, self.first_person = people, pictures, seed, first_person
        self.model = HeadModel(self.head)
        self._channels = None if has_arkit(self.head.expression_names) else own_channels(self.head)
        self._person = lru_cache(_KEPT_PEOPLE)(self._draw_person)
        self._albedo = lru_cache(_KEPT_PEOPLE)(self._albedo_of)

    def __len__(self) -> int:
        return self.people * self.pictures

    def person(self, index: int) -> int:
        """Number of the person of an item."""
        return self.first_person + index // self.pictures

    def by_person(self) -> list[np.ndarray]:
        """For each person the indices (N,) of its pictures."""
        return list(np.arange(len(self)).reshape(self.people, self.pictures))

    def labels(self) -> np.ndarray:
        """(N,) int64 the class of each item, without making pictures."""
        return np.array([self._moment(index)[0].emotion.label for index in range(len(self))], np.int64)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        person = self._person(self.person(index))
        moment, random = self._moment(index)
        picture = take_picture(self.model, person, moment, random)
        item = {
            "image": torch.from_numpy(picture.pixels.copy()).movedim(-1, 0).float() / 255,
            "mask": torch.from_numpy(picture.mask)[None],
            "landmarks": torch.from_numpy(picture.landmarks68),
            "mediapipe": torch.from_numpy(picture.landmarks478),
            "identity": torch.from_numpy(person.identity),
            "crop_camera": torch.from_numpy(picture.crop_camera),
            "label": torch.tensor(moment.emotion.label),
            "valence": torch.tensor(moment.emotion.valence),
            "arousal": torch.tensor(moment.emotion.arousal),
            "person": torch.tensor(person.number),
        }
        if has_uvs(self.head):
            item["albedo"] = self._albedo(person.number)
        moving = ("expression", "head_rotation", "jaw", "eyes", "eyelids", "light")
        return item | {name: torch.from_numpy(getattr(moment, name)) for name in moving}

    def __getstate__(self) -> dict[str, object]:
        """What workers are started from: the head as plain arrays, without the people kept in memory."""
        kept = ("people", "pictures", "seed", "first_person")
        return {name: getattr(self, name) for name in kept} | {"head": self.head.to_arrays()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        meta, arrays = state.pop("head")
        self.__init__(**state, head=HeadDescription.from_arrays(meta, arrays))

    def _moment(self, index: int) -> tuple[Moment, np.random.Generator]:
        """The moment of an item, and the chances that are left for its picture."""
        random = np.random.default_rng((self.seed, self.person(index), index % self.pictures))
        if self._channels is None:
            return draw_moment(self.head, random), random
        return self._channels.of(draw_moment(load_head(), random)), random

    def _draw_person(self, number: int) -> Person:
        return draw_person(self.head, self.seed, number)

    def _albedo_of(self, number: int) -> Tensor:
        return skin_albedo(self.head).codes_of_look(self._person(number).look)
