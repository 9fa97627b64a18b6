# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
import torch

from blender_addon.contract.errors import MienError
from tests.small_stages import layout
from training.model.layout import joined
from training.stages.deca_coarse import with_shapes_exchanged
from training.stages.exchange import exchange, twice, twice_batch


@pytest.mark.parametrize("pictures", [2, 3, 4])
@pytest.mark.parametrize("shuffled", [False, True])
def test_everyone_gets_what_is_of_the_same_person_and_not_its_own(pictures: int, shuffled: bool) -> None:
    person = torch.tensor([5, 1 << 40, 3]).repeat_interleave(pictures)
    other = exchange(person, shuffled=shuffled)
    assert torch.equal(person[other], person)
    assert sorted(other.tolist()) == list(range(len(person)))
    assert not (other == torch.arange(len(person))).any()


def test_rows_of_a_person_may_lie_anywhere_and_one_that_is_alone_keeps_its_own() -> None:
    other = exchange(torch.tensor([7, 2, 7, 9, 2, 7]), shuffled=False)
    assert other.tolist() == [2, 4, 5, 3, 1, 0]


def test_a_batch_without_rings_cannot_be_exchanged() -> None:
    with pytest.raises(MienError, match="no two pictures"):
        exchange(torch.arange(4), shuffled=True)


def test_only_the_shape_is_exchanged_and_the_first_half_is_as_it_was() -> None:
    code = layout().split(torch.randn(4, layout().coarse))
    other = torch.tensor([1, 0, 3, 2])
    both = with_shapes_exchanged(code, other)
    first, second = (joined(type(code)(*(part[half] for part in both))) for half in (slice(4), slice(4, 8)))
    assert torch.equal(first, joined(code))
    wide = layout().identity
    assert torch.equal(second[:, :wide], code.identity[other])
    assert torch.equal(second[:, wide:], joined(code)[:, wide:])
    assert torch.equal(twice(code).light[4:], code.light)
    assert twice_batch({"image": torch.ones(2, 3)})["image"].shape == (4, 3)
