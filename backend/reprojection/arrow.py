# SPDX-License-Identifier: GPL-3.0-or-later
"""Linear systems of many faces that share some unknowns, solved through the Schur complement of the shared ones.

With the shared unknowns last the matrix has the form of an arrow: a block a face, a border, and a corner (Triggs,
McLauchlan, Hartley, Fitzgibbon 2000, section 6.1). Without shared unknowns it is a batch of independent systems.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

PASSES = 2
"""How often the unknowns on their bounds are told from the free ones, a step."""


@dataclass(frozen=True)
class Unknowns:
    """Values for each unknown: those of a face (B,L) and those that all faces share (S,)."""

    own: torch.Tensor
    shared: torch.Tensor


@dataclass(frozen=True)
class Arrow:
    """A symmetric, positive definite matrix over `Unknowns`."""

    own: torch.Tensor
    """(B,L,L) of each face's own unknowns"""
    border: torch.Tensor
    """(B,L,S) between them and the shared ones"""
    corner: torch.Tensor
    """(S,S) of the shared ones"""

    @staticmethod
    def of_strangers(own: torch.Tensor) -> Arrow:
        """(B,L,L) systems that share nothing."""
        return Arrow(own, own.new_zeros(*own.shape[:2], 0), own.new_zeros(0, 0))

    def times(self, vector: Unknowns) -> Unknowns:
        own = (self.own @ vector.own[..., None])[..., 0] + self.border @ vector.shared
        return Unknowns(own, self.corner @ vector.shared + torch.einsum("bls,bl->s", self.border, vector.own))

    def damped(self, damping: torch.Tensor) -> Arrow:
        """With the diagonal raised by a part of itself; `damping` (B,) where nothing is shared, else (1,)."""
        own, corner = self.own.clone(), self.corner.clone()
        for block, part in ((own, damping[:, None]), (corner, damping[:1])):
            diagonal = block.diagonal(dim1=-2, dim2=-1)
            diagonal += part * diagonal + 1e-9
        return Arrow(own, self.border, corner)

    def holding(self, held: torch.Tensor) -> Arrow:
        """With the rows and columns of the own unknowns (B,L) that `held` marks replaced by the unit matrix's."""
        free = (~held).to(self.own)
        own = self.own * free[:, :, None] * free[:, None, :] + torch.diag_embed(1 - free)
        return Arrow(own, self.border * free[:, :, None], self.corner)

    def solve(self, right: Unknowns) -> Unknowns:
        """The solution for a right-hand side, in double precision; not a number where the matrix is not definite.

        MPS has no double precision, so it is done on the CPU there; the systems are small.
        """
        factor, failed = torch.linalg.cholesky_ex(_double(self.own))
        border, own = _double(self.border), _double(right.own)[..., None]
        solved = torch.cholesky_solve(torch.cat([own, border], dim=-1), factor)
        mine, through = solved[..., 0], solved[..., 1:]
        shared = _double(right.shared)
        if len(self.corner):
            shared = shared - torch.einsum("bls,bl->s", border, mine)
            schur, wrong = torch.linalg.cholesky_ex(self._schur(through))
            shared = torch.cholesky_solve(shared[:, None], schur)[:, 0]
            shared = torch.where(wrong + failed.sum() == 0, shared, torch.nan)
            mine = mine - through @ shared
        mine = torch.where(failed[:, None] == 0, mine, torch.nan)
        return Unknowns(mine.to(right.own), shared.to(right.shared))

    def shared_covariance(self) -> torch.Tensor:
        """(S,S) in double precision: the block of the inverse that belongs to the shared unknowns."""
        factor, _ = torch.linalg.cholesky_ex(_double(self.own))
        schur = self._schur(torch.cholesky_solve(_double(self.border), factor))
        return torch.cholesky_inverse(torch.linalg.cholesky_ex(schur)[0])

    def _schur(self, through: torch.Tensor) -> torch.Tensor:
        border = _double(self.border)
        return _double(self.corner) - border.flatten(0, 1).mT @ through.flatten(0, 1)


def bounded_step(matrix: Arrow, gradient: Unknowns, low: torch.Tensor, high: torch.Tensor) -> Unknowns:
    """The step that minimises g s + s H s / 2 while each face's first unknowns stay between low <= 0 and high >= 0.

    An unknown that rests on a bound and is pushed outwards is held there; one that the step would carry across a bound
    is held on it while the rest is solved for again. `PASSES` rounds of this come close to the minimum.

    Args:
        low, high: (B,K) bounds of the first K of each face's own unknowns.
    """
    bounded = low.shape[1]
    outwards = ((low >= 0) & (gradient.own[:, :bounded] > 0)) | ((high <= 0) & (gradient.own[:, :bounded] < 0))
    held = torch.cat([outwards, outwards.new_zeros(len(low), gradient.own.shape[1] - bounded)], dim=1)
    step = Unknowns(torch.zeros_like(gradient.own), torch.zeros_like(gradient.shared))
    for _ in range(PASSES):
        change = matrix.times(step)
        remaining = Unknowns((gradient.own + change.own) * ~held, gradient.shared + change.shared)
        solved = matrix.holding(held).solve(remaining)
        target = step.own - solved.own
        own = target.clone()
        own[:, :bounded] = torch.maximum(torch.minimum(target[:, :bounded], high), low)
        step = Unknowns(own, step.shared - solved.shared)
        held |= own != target
    return step


def _double(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to("cpu" if tensor.device.type == "mps" else tensor.device).double()
