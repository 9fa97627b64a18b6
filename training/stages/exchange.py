# SPDX-License-Identifier: GPL-3.0-or-later
"""Rings: pictures of one person should be told apart by what changes alone (DECA, Feng et al. 2021, section 4)."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor

from blender_addon.contract.errors import ErrorCode, MienError
from training.stages.stage import Batch

Parts = TypeVar("Parts", bound=tuple)


def exchange(person: Tensor, *, shuffled: bool) -> Tensor:
    """For each picture another one of the same person.

    A ring is turned by one place, so each picture is taken once and none is its own. The published code draws any
    permutation, which for two pictures leaves every other ring as it is.

    Args:
        person: (N,) who is in each picture, as items have it; the rows of a person may lie anywhere.
        shuffled: whether the rings are in random order; else in that of the batch.

    Returns:
        (N,) int64 rows; its own for a picture that is alone.

    Raises:
        MienError: USAGE where every picture is alone.
    """
    device = person.device
    order = torch.randperm(len(person), device=device) if shuffled else torch.arange(len(person), device=device)
    order = order[person[order].argsort(stable=True)]
    people = person[order]
    last = torch.cat((people[1:] != people[:-1], people.new_ones(1, dtype=torch.bool)))
    following = torch.where(last, order[torch.searchsorted(people, people)], order.roll(-1))
    if torch.equal(following, order):
        message = "Codes are exchanged between pictures of one person, and no two pictures of the batch show the same."
        remedy = "Set pictures_a_ring of data.train and data.validation to 2 or more, or switch the exchange off."
        raise MienError(ErrorCode.USAGE, message, remedy)
    return torch.empty_like(order).index_copy(0, order, following)


def twice(parts: Parts) -> Parts:
    """A named tuple of tensors (B, ...) with its rows twice, (2 * B, ...)."""
    return type(parts)(*(torch.cat((part, part)) for part in parts))


def twice_batch(batch: Batch) -> Batch:
    """The pictures of a batch twice, one behind the other."""
    return {name: torch.cat((values, values)) for name, values in batch.items()}
