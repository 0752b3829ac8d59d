"""Muon: momentum that is made nearly orthogonal, matrix by matrix."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nglab.curvature.batch import Batch
from nglab.networks import products
from nglab.networks.hyperparameters import over_layers
from nglab.networks.layers import Layers
from nglab.networks.scratch import Scratch
from nglab.optimizers.optimizer import Optimizer, Streams, Task
from nglab.optimizers.schedules.rate import Rate
from nglab.settings.fields import Count, Share, setting

COEFFICIENTS = 3.4445, -4.7750, 2.0315
"""a, b, c of s ← a s + b s³ + c s⁵, which sends singular values from (0, 1] to about 0.7 … 1.2 in five steps."""

LEAST_NORM = 1e-7
"""Added to the norm of a matrix before it is divided by it."""


class Work(Scratch):
    """X and its successor, XXᵀ or XᵀX, whichever is smaller, and b A + c A²."""

    def __init__(self, params: Layers, momentum: float | Tensor) -> None:
        self.momentum = over_layers(momentum, params)
        self.x, self.next = params.map(torch.empty_like), params.map(torch.empty_like)
        sizes = [(*x.shape[:-2], min(x.shape[-2:])) for x in self.x.batched]
        self.squares = [params[0].new_empty(*s, s[-1]) for s in sizes]
        self.polynomials = [torch.empty_like(a) for a in self.squares]


@dataclass
class MuonState:
    rate: Rate  # α, `[..., 1, 1]`
    momentum: Layers  # V
    batch: Batch
    work: Work


@dataclass(frozen=True, kw_only=True)
class Muon(Optimizer):
    """V ← μV + (1 − μ)G, W_i ← W_i + α √max(1, n_i / m_i) orth((1 − μ)G + μV) (Jordan et al. 2024).

    m_i are the columns of W_i, the bias's among them. orth(X) = U f(S) Vᵀ for X = U S Vᵀ by `newton_schulz` steps
    X ← aX + (bA + cA²)X with A = XXᵀ from X / ‖X‖_F on: singular values near 1, never quite.
    """

    momentum: Share = setting("μ", paper="0.95")
    newton_schulz: Count = setting("steps of the orthogonalisation", paper="5")

    def init(self, task: Task, params: Layers, streams: Streams) -> MuonState:
        return MuonState(
            self.rate(task, params),
            momentum=params.map(torch.zeros_like),
            batch=Batch(task.network, task.likelihood, params, self.batch_size, samples=0),
            work=Work(params, self.momentum),
        )

    def step(
        self, params: Layers, state: MuonState, x: Tensor, y: Tensor
    ) -> tuple[Layers, MuonState]:
        work, mu = state.work, state.work.momentum
        state.batch.gradient_(params, x, y)
        for v, g, ahead in zip(
            state.momentum.pieces, state.batch.gradient.pieces, work.x.pieces, strict=True
        ):
            v.lerp_(g, 1 - mu)
            torch.lerp(g, v, mu, out=ahead)  # Nesterov's
        direction, rate = self._orthogonal(work), state.rate.advance_()
        for w, d in zip(params.stacks, direction.stacks, strict=True):
            w.addcmul_(rate, d, value=math.sqrt(max(1, w.shape[-2] / w.shape[-1])))
        return params, state

    def _orthogonal(self, work: Work) -> Layers:
        for x in work.x.stacks:
            x /= torch.linalg.matrix_norm(x, keepdim=True) + LEAST_NORM
        now, new = work.x, work.next
        for _ in range(self.newton_schulz):
            for each in zip(now.batched, work.squares, work.polynomials, new.batched, strict=True):
                newton_schulz_(*each)
            now, new = new, now
        return now


def newton_schulz_(x: Tensor, square: Tensor, polynomial: Tensor, out: Tensor) -> None:
    """out ← aX + (bA + cA²)X with A = XXᵀ; of a tall X aX + X(bA + cA²) with A = XᵀX, the same."""
    a, b, c = COEFFICIENTS
    flat = x.dim() == 2
    multiply: Callable[..., Tensor] = products.mm if flat else products.bmm
    add: Callable[..., Tensor] = products.addmm if flat else products.baddbmm
    tall = x.shape[-2] > x.shape[-1]
    multiply(*((x.mT, x) if tall else (x, x.mT)), out=square)
    add(square, square, square, beta=b, alpha=c, out=polynomial)
    add(x, *((x, polynomial) if tall else (polynomial, x)), beta=a, out=out)
