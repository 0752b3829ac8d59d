"""Shampoo: AdaGrad for matrices, with a preconditioner for the rows and one for the columns."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nglab.curvature.batch import Batch
from nglab.curvature.factors import Factors
from nglab.curvature.solvers.solver import eigenpairs
from nglab.networks.hyperparameters import each, over_layers
from nglab.networks.layers import Layers
from nglab.networks.scratch import Scratch
from nglab.optimizers.optimizer import Optimizer, Streams, Task
from nglab.optimizers.schedules.rate import Rate
from nglab.settings.fields import Count, Positive, Share, setting


class Work(Scratch):
    """D of this step, and the settings as tensors."""

    def __init__(self, params: Layers, epsilon: float | Tensor, momentum: float | Tensor) -> None:
        self.direction, self.product = params.map(torch.empty_like), params.map(torch.empty_like)
        self.epsilon = each(epsilon, params.per_replica).unsqueeze(-1)
        self.momentum = over_layers(momentum, params)


@dataclass
class ShampooState:
    rate: Rate  # α, `[..., 1, 1]`
    steps: int
    sums: Factors  # Σ GᵀG of the columns, Σ GGᵀ of the rows
    roots: Factors  # R^{-¼}, L^{-¼}
    velocity: Layers  # V
    batch: Batch
    work: Work


@dataclass(frozen=True, kw_only=True)
class Shampoo(Optimizer):
    """W_i ← W_i + αV_i, V ← μV + L^{-¼} G R^{-¼} with L = εI + Σ GGᵀ, R = εI + Σ GᵀG (Gupta et al. 2018, Alg. 1).

    The sums are over all steps so far, this one too; the roots, by eigenvalues, are made anew every `refresh` steps.
    A bias is one more column of W_i.
    """

    graph_steps: ClassVar[int] = 0  # the host looks for errors of `eigh`

    epsilon: Positive = setting("ε, what L and R start from")
    momentum: Share = setting("μ")
    refresh: Count = setting("steps from one making of the roots to the next")

    def init(self, task: Task, params: Layers, streams: Streams) -> ShampooState:
        return ShampooState(
            self.rate(task, params),
            steps=0,
            sums=Factors(params.network, params.per_replica),
            roots=Factors(params.network, params.per_replica),
            velocity=params.map(torch.zeros_like),
            batch=Batch(task.network, task.likelihood, params, self.batch_size, samples=0),
            work=Work(params, self.epsilon, self.momentum),
        )

    def step(
        self, params: Layers, state: ShampooState, x: Tensor, y: Tensor
    ) -> tuple[Layers, ShampooState]:
        work, gradient, rate = state.work, state.batch.gradient, state.rate.advance_()
        state.batch.gradient_(params, x, y)
        state.sums.add_squares_(gradient)
        if state.steps % self.refresh == 0:
            for total, root in zip(state.sums.stacks, state.roots.stacks, strict=True):
                root.copy_(inverse_fourth_root(total, work.epsilon))
        state.steps += 1
        state.roots.multiply_(gradient, work.product, work.direction)  # D = L^{-¼} G R^{-¼}
        for w, v, d in zip(
            params.pieces, state.velocity.pieces, work.direction.pieces, strict=True
        ):
            w.addcmul_(rate, v.mul_(work.momentum).add_(d))
        return params, state


def inverse_fourth_root(a: Tensor, epsilon: Tensor) -> Tensor:
    """(A + εI)^{-¼} of positive semi-definite A `[..., n, n]`, ε `[..., 1]`; not numbers where A has such entries."""
    values, vectors = eigenpairs(a)
    powers = (values.clamp(min=0) + epsilon).pow(-0.25)  # rounding makes small ones negative
    return (vectors * powers.unsqueeze(-2)) @ vectors.mT
