"""Errors that go back through the pseudo-inverses of the weights, not their transposes (Eq. 16), as a metric."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nglab.curvature.batch import Batch
from nglab.curvature.factors import Factors
from nglab.curvature.metric import Metric
from nglab.curvature.solvers.cholesky import damped_
from nglab.curvature.solvers.solver import Solver
from nglab.networks.layers import Layers
from nglab.networks.passes import Errors, add_outer_, backward
from nglab.networks.scratch import Scratch
from nglab.settings.fields import setting


class Work(Scratch):
    """Λ_i, then its inverse; (W_i⁺)ᵀ; ê_i; ⟨ê_i x_{i-1}ᵀ⟩."""

    def __init__(self, params: Layers, batch: Batch) -> None:
        self.batch = batch
        self.inputs = Factors(params.network, params.per_replica, sides=1)
        self.transposed_inverses = params.map(torch.empty_like)
        self.errors = Errors(batch.network, batch.examples, 1, params[0])
        self.moved = params.map(torch.empty_like)


@dataclass(frozen=True)
class PseudoInverseErrors(Metric):
    """D_i = ⟨ê_i x_{i-1}ᵀ⟩ (Λ_i + √λ I)⁻¹ with ê_L = e_L and ê_i = φ'_i ∘ [W_{i+1}⁺ ê_{i+1}], Eq. 8 with W⁺ for Wᵀ.

    W⁺ is (WᵀW + √λ I)⁻¹Wᵀ, without the bias column. In a square linear network with invertible weights and λ = 0, where
    x_{i-1} = W_{i-1} ⋯ W_1 x_0, D_i is (W_L ⋯ W_{i+1})⁻¹ ⟨(y − x_L) x_0ᵀ⟩ Σ⁻¹ (W_{i-1} ⋯ W_1)⁻¹: Eq. 16, the natural
    gradient. Elsewhere it is not: the pseudo-inverse of a product is not the product of the pseudo-inverses, φ' is
    multiplied by where an inverse would divide, and D need not be a descent direction where λ is small. e_L is that of
    a Gaussian with Σ̃ = I; other densities enter by their e_L alone.
    """

    @property
    def sampled(self) -> bool:
        return False

    solver: Solver = setting("what inverts Λ_i + √λ I")

    @property
    def capturable(self) -> bool:
        return self.solver.capturable

    def init(self, params: Layers, batch: Batch) -> Work:
        return Work(params, batch)

    def update_(self, state: Work, batch: Batch) -> None:
        state.inputs.measure_(batch.activations.inputs.batched, [])

    def invert_(self, state: Work, damping: Tensor) -> Tensor:
        root = damping.sqrt()
        solved = transposed_inverses_(state.batch.params, root, state.transposed_inverses)
        for a in state.inputs.stacks:
            info = torch.empty(a.shape[:-2], dtype=torch.int32, device=a.device)
            self.solver.invert_(a, root.expand(a.shape[:-2]), info)
            solved &= (info == 0).all(0)
        self._move_(state)
        return solved

    def _move_(self, work: Work) -> None:
        """⟨ê_i x_{i-1}ᵀ⟩."""
        batch, errors = work.batch, work.errors
        errors.output.copy_(batch.errors.output[..., :1, :, :])
        backward(batch.network, work.transposed_inverses, batch.activations, errors)
        for out, e, x in zip(
            work.moved.batched, errors.rows(0), batch.activations.inputs.batched, strict=True
        ):
            add_outer_(out, e, x, scale=1 / batch.examples, keep=0)

    def multiply_(self, state: Work, gradient: Layers, out: Layers) -> None:
        (on_inputs, _) = state.inputs.batched
        for moved, a, d in zip(state.moved.batched, on_inputs, out.batched, strict=True):
            self.solver.from_right(moved, a, out=d)


def transposed_inverses_(params: Layers, ridge: Tensor, out: Layers) -> Tensor:
    """out ← (W⁺)ᵀ = (WWᵀ + rI)⁻¹W = W(WᵀW + rI)⁻¹ beside the bias, r `[...]`; whether they are there, bool `[...]`.

    That of the first layer, which no error passes, is made with those of its shape only.
    """
    solved = torch.ones_like(ridge, dtype=torch.bool)
    for group, w, inverse in zip(params.network.groups, params.stacks, out.stacks, strict=True):
        if group == [0]:
            continue
        columns = params.network.inputs[group[0]]
        w, inverse = w[..., :columns], inverse[..., :columns]
        if w.shape[-2] > columns:  # the smaller of the two systems
            w, inverse = w.mT, inverse.mT
        factor, info = torch.linalg.cholesky_ex(damped_(w @ w.mT, ridge))
        inverse.copy_(torch.cholesky_solve(w, factor))
        solved &= (info == 0).all(0)
    return solved
