"""The Fisher of a batch, or its empirical Fisher, inverted through the gradients of single examples.

By the formula of Sherman, Morrison and Woodbury, which Bernacchia, Lengyel & Hennequin (2018) name in §7: with the
gradients as rows of U, (UᵀU/N + λI)⁻¹ G asks for a system of as many unknowns as U has rows.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from nglab.curvature.batch import Batch
from nglab.curvature.gradient_rows import combine_, inner_products_, products_with
from nglab.curvature.metric import Metric
from nglab.curvature.solvers.cholesky import damped_
from nglab.networks.layers import Layers
from nglab.networks.passes import Errors, backward
from nglab.networks.scratch import Scratch
from nglab.settings.fields import setting
from nglab.settings.messages import demand

MOST = 10_000
"""Unknowns of the largest system that is taken on: a matrix of so many takes 0.8 GB in float64."""


class SampleSpaceState(Scratch):
    """The rows of U by their errors, and their system: all written anew at each step.

    `sets` are the rows' e_1 … e_L `[..., S, M, n_i]`, and `weights` the w `[..., S·M]` of G = Uᵀw/N, None where G is no
    sum of rows; `own` holds the errors that are not the batch's.
    """

    def __init__(self, params: Layers, batch: Batch, sets: int, exact: bool) -> None:
        network, examples, rows = batch.network, batch.examples, sets * batch.examples
        self.batch = batch
        self.sets: list[Tensor] = []
        self.weights: Tensor | None = None
        self.own = Errors(network, examples, sets, params[0]) if exact else None
        self.kernel, self.factor = (
            params[0].new_empty(*params.leading, rows, rows) for _ in range(2)
        )
        self.info = params[0].new_empty(params.leading, dtype=torch.int32)
        self.damping = params[0].new_empty(params.leading)
        self.combined = Errors(network, examples, 1, params[0])

    @property
    def output_errors(self) -> Tensor:
        return self.sets[-1]


@dataclass(frozen=True)
class SampleSpace(Metric):
    """C = UᵀU/N, all of it, not block by block, and D = (C + λI)⁻¹ G by a system of its S·M rows.

    exact    the Fisher ⟨Jᵀ F_R J⟩, the Gauss–Newton matrix for the natural parameters of an exponential family: a row
             for each example and column of a root of F_R = S Sᵀ. The true error e_L = S w lies in its range, so that
             D = Jᵀ S (Sᵀ J Jᵀ S / M + λI)⁻¹ w / M
    sampled  the Fisher from K targets an example: D = (G − Uᵀ (U Uᵀ + KMλI)⁻¹ U G) / λ
    data     the empirical Fisher of the data's own targets (Martens 2014, §7): D = Uᵀ (U Uᵀ + MλI)⁻¹ 1

    The system costs (S·M)³/3 multiply-adds, what it is made of (S·M)² n_i + M² n_{i-1} a layer.
    """

    targets: Literal["exact", "sampled", "data"] = setting(
        "exact: F_R in closed form; sampled: from K targets; data: the empirical Fisher"
    )

    @property
    def sampled(self) -> bool:
        return self.targets == "sampled"

    @property
    def any_gradient(self) -> bool:
        return self.targets == "sampled"

    @property
    def capturable(self) -> bool:
        return self.targets != "exact"  # the host looks for errors of eigenvalues

    def check(self, key: str, run: Any) -> None:
        size, optimizer = f"{key.rpartition('.')[0]}.batch_size", run.optimizer
        sets = {"exact": run.arch.widths[-1], "sampled": optimizer.samples, "data": 1}[self.targets]
        right = (
            f"at most {MOST // sets}: {key}.targets={self.targets} makes {sets} unknowns an example, "
            f"of {MOST} in all; sampled makes {optimizer.samples} ({size.rpartition('.')[0]}.samples), data 1"
        )
        demand(optimizer.batch_size * sets <= MOST, size, optimizer.batch_size, right)

    def init(self, params: Layers, batch: Batch) -> SampleSpaceState:
        sets = {"exact": batch.network.widths[-1], "sampled": batch.samples, "data": 1}
        return SampleSpaceState(params, batch, sets[self.targets], self.targets == "exact")

    def update_(self, state: SampleSpaceState, batch: Batch) -> None:
        if state.own is not None:
            roots, weights = batch.likelihood.fisher_root(
                batch.activations.output, batch.errors.output.select(-3, 0)
            )
            state.own.output.copy_(roots)
            backward(batch.network, batch.params, batch.activations, state.own)
            state.sets, state.weights = state.own.sets, weights.flatten(-2)
        elif self.sampled:
            state.sets = [e[..., 1:, :, :] for e in batch.errors.sets]
        else:
            state.sets, state.weights = batch.errors.sets, torch.ones_like(state.kernel[..., 0])
        inner_products_(state.kernel, state.factor, state.sets, batch.activations.inputs)

    def invert_(self, state: SampleSpaceState, damping: Tensor) -> Tensor:
        """U Uᵀ + NλI = R Rᵀ, with N the number of examples, K of them each where K targets are sampled."""
        count = state.batch.examples * (state.batch.samples if self.sampled else 1)
        state.damping.copy_(damping)
        damped_(state.kernel, count * damping)
        torch.linalg.cholesky_ex(state.kernel, out=(state.factor.mT, state.info))
        return state.info == 0

    def multiply_(self, state: SampleSpaceState, gradient: Layers, out: Layers) -> None:
        batch, errors = state.batch, state.output_errors
        if state.weights is not None:  # D = Uᵀ (U Uᵀ + NλI)⁻¹ w
            combine_(batch, errors, solve(state, state.weights), state.combined, out, keep=0)
            return
        along = solve(state, products_with(batch, errors, gradient))  # (U Uᵀ + NλI)⁻¹ U G
        for g, d in zip(gradient.pieces, out.pieces, strict=True):
            torch.div(g, state.damping[..., None, None], out=d)
        along /= -state.damping.unsqueeze(-1)
        combine_(batch, errors, along, state.combined, out, keep=1)


def solve(state: SampleSpaceState, right: Tensor) -> Tensor:
    """(R Rᵀ)⁻¹ right, `[..., S·M]`."""
    return torch.cholesky_solve(right.unsqueeze(-1), state.factor.mT).squeeze(-1)
