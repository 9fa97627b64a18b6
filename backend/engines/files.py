# SPDX-License-Identifier: GPL-3.0-or-later
"""From the files that users brought to networks that run, and what takes say of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from backend.networks.loading import ReadyNetwork, ready
from backend.progress import Progress, no_progress
from backend.weights.ledger import LEDGER
from backend.weights.parts import Part, PartKind, find, parts
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import CommercialUse

Network = TypeVar("Network", bound=nn.Module)

_EACH: Mapping[PartKind, tuple[str, ...]] = {"eyelids": ("left", "right")}
"""Names of the parts that are used together, of kinds of which there is not just one."""
_STRICTNESS: Mapping[CommercialUse, int] = {"no": 0, "unclear": 1, "yes": 2}


@dataclass(frozen=True)
class Ingredient:
    """A file that went into a take.

    Attributes:
        kind: As the store calls it.
        name: Which one, where there may be several; else empty.
        sha256: Of the file that the user brought.
        licence: Its licence.
        commercial_use: What that says.
    """

    kind: PartKind
    name: str
    sha256: str
    licence: str
    commercial_use: CommercialUse

    @classmethod
    def of(cls, part: Part) -> Ingredient:
        """What there is to say of a part of the store."""
        entry = LEDGER[part.kind]
        return cls(part.kind, part.name, part.sha256, entry.licence, entry.commercial_use)

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.kind} {self.name}".strip()

    def to_json(self) -> dict[str, str]:
        """For the report."""
        return {"kind": self.kind, "name": self.name, "sha256": self.sha256}


def strictest_first(entries: Sequence[tuple[str, CommercialUse]]) -> tuple[tuple[str, ...], CommercialUse]:
    """Licences, each once and the strictest first, and what they say together of commercial use."""
    ordered = sorted(dict(entries).items(), key=lambda entry: _STRICTNESS[entry[1]])
    return tuple(text for text, _ in ordered), ordered[0][1] if ordered else "yes"


def required(kind: PartKind, name: str = "") -> Part:
    """A part of the store that an engine cannot do without.

    Raises:
        MienError: MISSING_FILE, saying what is missing and how one adds it.
    """
    part = find(kind, name)
    if part is not None:
        return part
    title = LEDGER[kind].title
    message = f"{title[:1].upper()}{title[1:]} {'were' if title.endswith('s') else 'was'} not added."
    if name and (others := [part.name for part in parts(kind)]):
        message = f"There are no weights called {name!r} among {title}."
        there = ", ".join(filter(None, others))
        remedy = f"Use {there}, or leave the name out." if there else "Leave the name out."
        raise MienError(ErrorCode.MISSING_FILE, message, remedy, {"kind": kind, "name": name})
    remedy = f"Get {LEDGER[kind].file} from {LEDGER[kind].where}, then run 'mien models add FILE'."
    raise MienError(ErrorCode.MISSING_FILE, message, remedy, {"kind": kind, "name": name})


def ingredients(part: Part, *more: PartKind) -> tuple[Ingredient, ...]:
    """A part, and of other kinds those that are there."""
    others = (find(kind, name) for kind in more for name in _EACH.get(kind, ("",)))
    return tuple(Ingredient.of(item) for item in (part, *others) if item is not None)


def build(part: Part, prefix: str, make: Callable[[], Network]) -> Network:
    """A network with the weights of a part, whose names must be the network's own.

    Raises:
        MienError: BAD_HEAD for a part that does not hold this network; what reading it raises.
    """
    with torch.device("meta"):  # without drawing random weights first
        network = make()
    return filled(network, part, part.tensors(prefix))


def filled(network: Network, part: Part, tensors: Mapping[str, Tensor]) -> Network:
    """A network without weights with those of a part; see `build`."""
    floats = {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    try:
        network.load_state_dict(floats, strict=True, assign=True)
    except RuntimeError as error:
        message = f"{part.path} does not hold the weights that its name says."
        remedy = "Add the original file again with 'mien models add'."
        raise MienError(ErrorCode.BAD_HEAD, message, remedy, {"why": str(error)[:500]}) from error
    return network.eval()


def running(
    part: Part,
    prefix: str,
    make: Callable[[], nn.Module],
    device: torch.device,
    shape: tuple[int, ...],
    output_type: type[tuple] | None = None,
    progress: Progress = no_progress,
) -> ReadyNetwork:
    """`build` and `backend.networks.loading.ready` in one; its arguments."""
    network = build(part, prefix, make)
    return ready(network, _own_hash(part, prefix), device, shape, output_type, progress)


def _own_hash(part: Part, prefix: str) -> str:
    """Tells the networks of one file apart."""
    import hashlib

    return hashlib.sha256(f"{part.sha256} {part.kind} {prefix}".encode()).hexdigest()
