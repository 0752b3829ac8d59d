"""The Kronecker-factored Fisher as a metric: block diagonal, F_ii = Λ_i ⊗ Λ̃_i (Eq. 20)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from nglab.curvature.batch import Batch
from nglab.curvature.factors import Factors
from nglab.curvature.metric import Metric, is_zero, weight_of_batch
from nglab.curvature.solvers.solver import Solver
from nglab.networks import products
from nglab.networks.hyperparameters import each
from nglab.networks.layers import Layers
from nglab.networks.scratch import Scratch
from nglab.settings.fields import Count, Share, setting


class Work(Scratch):
    """The memory of the factors. Where nothing is averaged `means` and `inverses` are one: inverted in place."""

    def __init__(self, params: Layers, average: float | Tensor) -> None:
        self.averaged = not is_zero(average)
        self.average = each(average, params[0].new_zeros(params.leading))
        self.inverses, self.spare = Factors(params), Factors(params)
        self.means = Factors(params) if self.averaged else self.inverses
        stacks = self.inverses.stacks
        self.dampings = [a.new_empty(a.shape[:-2]) for a in stacks]
        # one memory for what is asked of all factorisations at once, and the views of each stack's
        counts = [len(a) for a in stacks]
        self.info = params[0].new_zeros(sum(counts), *params.leading, dtype=torch.int32)
        self.info_of = self.info.split(counts)
        self.product = params.map(torch.empty_like)


@dataclass
class KroneckerState:
    """`kept`: of the work's factors those that the next step reads, the averages and inverses of earlier steps."""

    steps: int  # k, taken or not
    solved: Tensor  # whether every factor could be inverted `[...]`
    kept: list[Factors]
    work: Work

    @property
    def factors(self) -> Factors:
        """Λ_i and Λ̃_i (averages of them); after `invert_`, where nothing is averaged, their inverses."""
        return self.work.means


@dataclass(frozen=True)
class Kronecker(Metric):
    """(C + λI)⁻¹ G is (Λ̃_i + √λ I)⁻¹ G_i (Λ_i + √λ I)⁻¹ layer by layer (Eq. 20), or with √λ split by π.

    Λ_i = ⟨x_{i-1} x_{i-1}ᵀ⟩ over the batch, Λ̃_i = ⟨e_i e_iᵀ⟩ over its K targets an example sampled from the model; or
    running averages of both, with keep = min(1 − 1/k, average) at step k (Martens & Grosse 2015, §5 and §6.3).
    """

    average: Share = setting("what running averages of the factors keep; 0: this batch", paper="0")
    refresh: Count = setting("the inverses are made anew every this many steps", paper="1")
    split: Literal["equal", "pi"] = setting(
        "√λ on each factor, or split by π² = mean of Λ's diagonal / mean of Λ̃'s", paper="equal"
    )
    solver: Solver = setting("what inverts the factors")

    @property
    def capturable(self) -> bool:
        return is_zero(self.average) and self.refresh == 1 and self.solver.capturable

    def init(self, params: Layers, batch: Batch) -> KroneckerState:
        work = Work(params, self.average)
        kept = [work.means] if work.averaged else []
        if self.refresh > 1:
            kept.append(work.inverses)
        solved = params[0].new_zeros(params.leading, dtype=torch.bool)
        return KroneckerState(0, solved, kept, work)

    def update_(self, state: KroneckerState, batch: Batch) -> None:
        state.steps += 1
        work, rows = state.work, (batch.activations.inputs.batched, batch.errors.rows(1))
        if work.averaged:
            work.spare.measure_(*rows)
            work.means.average_(work.spare, weight_of_batch(work.average, state.steps))
        elif self._due(state):
            work.inverses.measure_(*rows)

    def invert_(self, state: KroneckerState, damping: Tensor) -> Tensor:
        """Between two refreshes the inverses, and whether they could be made, stay as they are."""
        work = state.work
        if not self._due(state):
            return state.solved
        if work.averaged:
            work.inverses.copy_(work.means)
        self._share_(work, damping.sqrt())
        for a, share, spare, info in zip(
            work.inverses.stacks, work.dampings, work.spare.stacks, work.info_of, strict=True
        ):
            self.solver.invert_(a, share, spare, info)
        return torch.all(work.info == 0, 0, out=state.solved)

    def multiply_(self, state: KroneckerState, gradient: Layers, out: Layers) -> None:
        for g, d, product, inverse_in, inverse_out in zip(
            gradient.batched, out.batched, state.work.product.batched,
            *state.work.inverses.batched, strict=True,
        ):  # fmt: skip
            multiply = products.mm if g.dim() == 2 else products.bmm
            multiply(inverse_out, g, out=product)
            multiply(product, inverse_in, out=d)

    def _due(self, state: KroneckerState) -> bool:
        return (state.steps - 1) % self.refresh == 0

    def _share_(self, work: Work, root: Tensor) -> None:
        """What of √λ `[...]` falls on each factor: √λ, or π√λ on Λ and √λ/π on Λ̃."""
        if self.split == "equal":
            for share in work.dampings:
                share.copy_(root)
            return
        for inputs, errors, on_inputs, on_errors in zip(
            work.inverses.inputs, work.inverses.errors,
            *work.inverses.by_side(work.dampings), strict=True,
        ):  # fmt: skip
            pi = pi_of(inputs, errors)
            torch.mul(root, pi, out=on_inputs)
            torch.div(root, pi, out=on_errors)


def pi_of(inputs: Tensor, errors: Tensor) -> Tensor:
    """π of the asymmetric damping, π² = (tr Λ / dim Λ) / (tr Λ̃ / dim Λ̃): `[layers, ..., n, n]` → `[layers, ...]`.

    Of Martens & Grosse (2015), §6.3, which the conclusions of Bernacchia et al. (2018) ask for.
    """
    on_inputs, on_errors = (a.diagonal(dim1=-2, dim2=-1).mean(-1) for a in (inputs, errors))
    return (on_inputs / on_errors).sqrt()
