"""The running covariance of the batches' gradients, of low rank, as a metric: TONGA's."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from nglab.curvature.batch import Batch
from nglab.curvature.metric import Metric
from nglab.curvature.solvers.cholesky import damped_
from nglab.curvature.solvers.solver import eigenpairs
from nglab.networks.hyperparameters import each
from nglab.networks.layers import Layers
from nglab.networks.scratch import Scratch
from nglab.settings.fields import Count, Share, setting


class Work(Scratch):
    """γ `[...]`, and the Cholesky factors of this step's systems."""

    def __init__(self, decay: Tensor) -> None:
        self.decay = decay
        self.factors: list[Tensor] = []


@dataclass
class LowRankState:
    """X of each block by its columns less their scales: C = X Xᵀ with column j of X `scales[j]` times `columns[j]`.

    `columns[g]` is `[..., layers, blocks, k + b, numbers of a block]` for each group of layers, `grams[g]` holds the
    inner products of the columns, and `scales` is `[..., k + b]`. The first `filled` of them are in use.
    """

    steps: int  # t, taken or not
    filled: int
    scales: Tensor
    columns: list[Tensor]
    grams: list[Tensor]
    work: Work


@dataclass(frozen=True)
class LowRank(Metric):
    """C_t = Σ γ^{t−τ} g_τ g_τᵀ / Σ γ^{t−τ} block by block, g_τ the gradient of step τ's batch.

    With C = X Xᵀ and the last gradient g = X y in its range, D = X (XᵀX + λI)⁻¹ y. X holds at most k + b columns: where
    it is full, the k leading eigenvectors of C, each times the root of its eigenvalue, take the place of all (Le Roux,
    Manzagol & Bengio 2008).
    """

    decay: Share = setting("γ: what the running covariance keeps at a step")
    rank: Count = setting("k: eigenvectors that are kept")
    every: Count = setting("b: steps from one eigendecomposition to the next")
    blocks: Literal["unit", "layer"] = setting(
        "of C: the weights into a unit, or those of a layer", paper="unit"
    )

    @property
    def sampled(self) -> bool:
        return False

    @property
    def capturable(self) -> bool:
        return False  # columns come one at a time

    def init(self, params: Layers, batch: Batch) -> LowRankState:
        per_replica = params.per_replica
        most = self.rank + self.every
        shapes = [self.by_block(stack).shape for stack in params.stacks]
        columns = [per_replica.new_zeros(*shape[:-1], most, shape[-1]) for shape in shapes]
        grams = [per_replica.new_zeros(*shape[:-1], most, most) for shape in shapes]
        scales = per_replica.new_zeros(*params.leading, most)
        return LowRankState(0, 0, scales, columns, grams, Work(each(self.decay, per_replica)))

    def update_(self, state: LowRankState, batch: Batch) -> None:
        if state.filled == self.rank + self.every:
            self._keep_leading_(state)
        decay, j = state.work.decay, state.filled
        state.filled, state.steps = j + 1, state.steps + 1
        weight = (1 - decay) / (1 - decay**state.steps)  # C_t = (1 − w) C_{t−1} + w g gᵀ
        state.scales *= (1 - weight).clamp(min=0).sqrt().unsqueeze(-1)
        state.scales[..., j] = weight.sqrt()
        for columns, gram, stack in zip(
            state.columns, state.grams, batch.gradient.stacks, strict=True
        ):
            g = self.by_block(stack)
            columns[..., j, :] = g
            along = (columns[..., : j + 1, :] @ g.unsqueeze(-1)).squeeze(-1)
            gram[..., j, : j + 1], gram[..., : j + 1, j] = along, along

    def invert_(self, state: LowRankState, damping: Tensor) -> Tensor:
        state.work.factors = []
        solved = torch.ones_like(damping, dtype=torch.bool)
        for gram in state.grams:
            damped = damped_(scaled(gram, state), damping[..., None, None])
            factor, info = torch.linalg.cholesky_ex(damped)
            state.work.factors.append(factor)
            solved &= (info == 0).flatten(-2).all(-1)
        return solved

    def multiply_(self, state: LowRankState, gradient: Layers, out: Layers) -> None:
        scales = state.scales[..., None, None, : state.filled]
        y = torch.zeros_like(scales)
        y[..., -1] = 1 / scales[..., -1]
        for columns, factor, stack in zip(
            state.columns, state.work.factors, out.stacks, strict=True
        ):
            right = y.expand(factor.shape[:-1]).unsqueeze(-1)
            a = torch.cholesky_solve(right, factor).squeeze(-1) * scales
            d = a.unsqueeze(-2) @ columns[..., : state.filled, :]
            self.by_block(stack).copy_(d.squeeze(-2))

    def by_block(self, stack: Tensor) -> Tensor:
        """Weights `[layers, ..., n, m]` as `[..., layers, blocks, numbers]` (a view)."""
        by_unit = stack.movedim(0, -3)
        return by_unit if self.blocks == "unit" else by_unit.flatten(-2).unsqueeze(-2)

    def _keep_leading_(self, state: LowRankState) -> None:
        """With XᵀX = V Δ Vᵀ, C's leading eigenvectors times the roots of their eigenvalues are the last k of X V."""
        k, scales = self.rank, state.scales[..., None, None, :]
        for columns, gram in zip(state.columns, state.grams, strict=True):
            values, vectors = eigenpairs(scaled(gram, state))
            leading = vectors[..., -k:].mT * scales.unsqueeze(-2)
            columns[..., :k, :] = leading @ columns
            gram[..., :k, :k] = torch.diag_embed(values[..., -k:].clamp(min=0))
        state.scales[..., :k], state.filled = 1.0, k


def scaled(gram: Tensor, state: LowRankState) -> Tensor:
    """XᵀX of the columns in use."""
    scales = state.scales[..., None, None, : state.filled]
    used = gram[..., : state.filled, : state.filled]
    return used * scales.unsqueeze(-1) * scales.unsqueeze(-2)
