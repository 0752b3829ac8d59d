"""The Kronecker-factored Fisher as a metric: block diagonal, F_ii = Λ_i ⊗ Λ̃_i (Eq. 20)."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from nglab.curvature.batch import Batch
from nglab.curvature.factors import Factors
from nglab.curvature.metric import Metric, is_zero, weight_of_batch
from nglab.curvature.solvers.solver import Solver
from nglab.networks.hyperparameters import each
from nglab.networks.layers import Layers
from nglab.networks.scratch import Scratch
from nglab.settings.fields import Count, Share, setting
from nglab.settings.messages import demand


class Work(Scratch):
    """The memory of the factors, `inverses` as the solver leaves them. Inverted in place where nobody asks later."""

    def __init__(self, params: Layers, average: float | Tensor, refresh: int, sides: int) -> None:
        self.averaged = not is_zero(average)
        self.average = each(average, params.per_replica)
        self.inverses = Factors(params.network, params.per_replica, sides)
        in_place = refresh == 1 and not self.averaged
        self.means = (
            self.inverses if in_place else Factors(params.network, params.per_replica, sides)
        )
        self.measured = (
            Factors(params.network, params.per_replica, sides) if self.averaged else self.means
        )
        stacks = self.inverses.stacks
        self.dampings = [a.new_empty(a.shape[:-2]) for a in stacks]
        # one memory for what is asked of all factorisations at once, and the views of each stack's
        counts = [len(a) for a in stacks]
        self.info = params[0].new_zeros(sum(counts), *params.leading, dtype=torch.int32)
        self.info_of = self.info.split(counts)
        self.product = [by_columns(w) for w in params.batched]


PI_WITHIN = 1e-4, 1e4
"""The least and the greatest π, lest all of λ fall on one factor."""


@dataclass
class KroneckerState:
    """`batches` are those that the averages have taken in.

    `kept`: of the work's factors those that the next step reads, the averages and inverses of earlier steps.
    """

    steps: int  # k, taken or not
    batches: int
    solved: Tensor  # whether every factor could be inverted `[...]`
    again: bool  # whether some network waits for inverses since the last making of them
    kept: list[Factors]
    work: Work

    @property
    def factors(self) -> Factors:
        """Λ_i and Λ̃_i (averages of them); after `invert_`, where they are inverted in place, their inverses."""
        return self.work.means


@dataclass(frozen=True)
class Kronecker(Metric):
    """(C + λI)⁻¹ G is (Λ̃_i + √λ I)⁻¹ G_i (Λ_i + √λ I)⁻¹ layer by layer (Eq. 20), or with √λ split by π.

    Λ_i = ⟨x_{i-1} x_{i-1}ᵀ⟩ over the batch, Λ̃_i = ⟨e_i e_iᵀ⟩ over its K targets an example sampled from the model; or
    running averages of both, with keep = min(1 − 1/k, average) at step k (Martens & Grosse 2015, §5 and §6.3).
    On the side of the inputs alone C_ii = Λ_i ⊗ I, and (C + λI)⁻¹ G is G_i (Λ_i + λI)⁻¹: no targets are sampled.

    With a `refresh` of T the inverses are made at the steps 1, T + 1, 2T + 1 …, and of averages, which change fast
    while they are few, at most one step in ten later than the last (ours). Averages may take in fewer batches too, one
    in `measure` in the same way: of the others no targets are sampled. A network whose factors could not be inverted
    has them made anew at each step until they can.
    """

    average: Share = setting("what running averages of the factors keep; 0: this batch", paper="0")
    refresh: Count = setting("the inverses are made anew every this many steps", paper="1")
    measure: Count = setting("averages take in the batch of every so many steps", paper="1")
    split: Literal["equal", "pi"] = setting(
        "√λ on each factor, or split by π² = mean of Λ's diagonal / mean of Λ̃'s", paper="equal"
    )
    sides: Literal["both", "inputs"] = setting(
        "Λ_i and Λ̃_i, or Λ_i alone with all of λ: SGD on whitened inputs", paper="both"
    )
    solver: Solver = setting("what inverts the factors")

    @property
    def any_gradient(self) -> bool:
        return True

    @property
    def sampled(self) -> bool:
        return self.sides == "both"

    @property
    def capturable(self) -> bool:
        return is_zero(self.average) and self.refresh == 1 and self.solver.capturable

    def check(self, key: str, run: Any) -> None:
        right = f"equal where {key}.sides=inputs: nothing is split"
        demand(self.sides == "both" or self.split == "equal", f"{key}.split", self.split, right)

    def init(self, params: Layers, batch: Batch) -> KroneckerState:
        work = Work(params, self.average, self.refresh, sides=2 if self.sampled else 1)
        kept = [work.means] if work.averaged else []
        if self.refresh > 1:
            kept.append(work.inverses)
        solved = params[0].new_zeros(params.leading, dtype=torch.bool)
        return KroneckerState(0, 0, solved, False, kept, work)

    def takes(self, state: KroneckerState) -> bool:
        """Averages every `measure` steps; without them, where inverses are to be made."""
        if state.work.averaged:
            return state.steps % at_first(self.measure, state.steps) == 0
        return state.steps % self.refresh == 0 or state.again

    def update_(self, state: KroneckerState, batch: Batch) -> None:
        takes, work = self.takes(state), state.work
        state.steps += 1
        if not takes:
            return
        errors = batch.error_rows() if self.sampled else []
        work.measured.measure_(batch.input_rows(), errors, batch.examples)
        if work.averaged:
            state.batches += 1
            work.means.average_(work.measured, weight_of_batch(work.average, state.batches))

    def invert_(self, state: KroneckerState, damping: Tensor) -> Tensor:
        """Between two refreshes the inverses stay as they are, but for the networks that have none."""
        if self._refreshes(state):
            self._make_inverses_(state.work, damping)
            torch.all(state.work.info == 0, 0, out=state.solved)
        elif state.again:
            self._make_missing_inverses_(state, damping)
        else:
            return state.solved
        if self.refresh > 1:
            state.again = not state.solved.all()
        return state.solved

    def _make_missing_inverses_(self, state: KroneckerState, damping: Tensor) -> None:
        has = state.solved[..., None, None]
        before = [a.clone() for a in state.work.inverses.stacks]
        self._make_inverses_(state.work, damping)
        for a, old in zip(state.work.inverses.stacks, before, strict=True):
            torch.where(has, old, a, out=a)
        state.solved |= (state.work.info == 0).all(0)

    def _make_inverses_(self, work: Work, damping: Tensor) -> None:
        if work.means is not work.inverses:
            work.inverses.copy_(work.means)
        self._share_(work, damping)
        for a, share, info in zip(work.inverses.stacks, work.dampings, work.info_of, strict=True):
            self.solver.invert_(a, share, info)

    def multiply_(self, state: KroneckerState, gradient: Layers, out: Layers) -> None:
        on_inputs, on_errors = state.work.inverses.batched
        products = state.work.product if on_errors else out.batched
        for g, a, product in zip(gradient.batched, on_inputs, products, strict=True):
            self.solver.from_right(g, a, out=product)  # G_i (Λ_i + √λ I)⁻¹
        for product, a, d in zip(products, on_errors, out.batched, strict=False):
            self.solver.from_left(a, product, out=d)  # (Λ̃_i + √λ I)⁻¹ times that

    def _refreshes(self, state: KroneckerState) -> bool:
        before = state.steps - 1
        interval = at_first(self.refresh, before) if state.work.averaged else self.refresh
        return before % interval == 0

    def _share_(self, work: Work, damping: Tensor) -> None:
        """What of λ `[...]` falls on each factor: √λ, or π√λ on Λ and √λ/π on Λ̃; all of it on Λ alone."""
        if self.split == "equal":
            each_side = damping.sqrt() if self.sides == "both" else damping
            for share in work.dampings:
                share.copy_(each_side)
            return
        root = damping.sqrt()
        for inputs, errors, on_inputs, on_errors in zip(
            work.inverses.inputs, work.inverses.errors,
            *work.inverses.by_side(work.dampings), strict=True,
        ):  # fmt: skip
            pi = pi_of(inputs, errors)
            torch.mul(root, pi, out=on_inputs)
            torch.div(root, pi, out=on_errors)


def at_first(interval: int, steps: int) -> int:
    """Of averages of few batches, which change fast, a shorter interval: at most one step in ten longer (ours)."""
    return min(interval, 1 + steps // 10)


def by_columns(like: Tensor) -> Tensor:
    """Memory for a matrix, or a batch of them, with the columns one after the other."""
    return torch.empty_like(like.mT, memory_format=torch.contiguous_format).mT


def pi_of(inputs: Tensor, errors: Tensor) -> Tensor:
    """π of the asymmetric damping, π² = (tr Λ / dim Λ) / (tr Λ̃ / dim Λ̃): `[layers, ..., n, n]` → `[layers, ...]`.

    Of Martens & Grosse (2015), §6.3, which the conclusions of Bernacchia et al. (2018) ask for. Ours: π is 1 where a
    trace is 0, as behind a dead layer, and never beyond `PI_WITHIN`.
    """
    on_inputs, on_errors = (a.diagonal(dim1=-2, dim2=-1).mean(-1) for a in (inputs, errors))
    alive = (on_inputs > 0) & (on_errors > 0)
    return torch.where(alive, on_inputs / on_errors, 1).sqrt().clamp(*PI_WITHIN)
