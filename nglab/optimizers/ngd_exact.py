"""Natural-gradient descent with the exact expressions for deep linear networks (nglab/linear.py), damped."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nglab.curvature.damping.levenberg_marquardt import LevenbergMarquardt, as_like
from nglab.curvature.deep_linear import FORMS, Whitened, second_moment_root, whiten
from nglab.errors import InputError
from nglab.networks.layers import Layers
from nglab.networks.network import Network
from nglab.networks.passes import Activations, forward
from nglab.optimizers.optimizer import Optimizer, Streams, Task
from nglab.optimizers.schedules.rate import Rate


@dataclass
class NGDExactState:
    """λ, ρ and the count of steps not taken; kept memory; K and K⁺ of a known Σ = K Kᵀ."""

    task: Task
    rate: Rate  # α
    damping: Tensor  # λ_k
    reduction_ratio: Tensor  # ρ_k of the last step
    skipped_steps: Tensor  # steps that were not finite
    activations: Activations
    error: Tensor  # e_L `[M, n_L]`
    root: tuple[Tensor, Tensor] | None


@dataclass(frozen=True, kw_only=True)
class NGDExact(Optimizer):
    """W_i ← W_i + α δ_i with δ from `form`, damped by an adaptive λ (Eq. 21).

    eq16      Eq. 16, its pseudo-inverses damped by √λ: Eq. 20 with Λ̃_i known from the weights, not sampled
    shells    the natural gradient of every deep linear network, its pseudo-inverses damped by √λ
    tikhonov  (F + λI)⁻¹ ∇h

    Σ is the batch's ⟨x xᵀ⟩, or the data's own. Linear networks without bias, one at a time.
    """

    columns: ClassVar[Mapping[str, str]] = {
        "damping": "λ (Eq. 21)",
        "reduction_ratio": "ρ of the last step: actual ÷ predicted decrease of the batch's loss",
        "skipped_steps": "steps not taken so far: they were not finite",
    }

    statistics: str  # Σ of the batch, or "population": the data's own, where they know it
    form: str  # a key of FORMS
    cutoff: float  # singular values below cutoff × the norm count as zero: what a layer cannot move, Σ's null space
    damping: LevenbergMarquardt  # the rule of λ
    graph_steps: ClassVar[int] = 0  # its decompositions have the host look for errors
    stackable: ClassVar[bool] = False  # ranks differ between networks

    def init(self, task: Task, params: Layers, streams: Streams) -> NGDExactState:
        network = task.network
        """Raises InputError where the network is not linear, has a bias, or is a stack."""
        demand_linear(network, params)
        zero = params[0].new_zeros(())
        moment = task.input_moment if self.statistics == "population" else None
        return NGDExactState(
            task,
            rate=self.schedule.start(zero + self.lr, task.steps),
            damping=zero + as_like(self.damping.initial, zero),
            reduction_ratio=zero.clone(),
            skipped_steps=zero.clone(),
            activations=Activations(network, self.batch_size, params[0]),
            error=zero.new_empty(self.batch_size, network.widths[-1]),
            root=None if moment is None else self._root(moment.to(params[0])),
        )

    def step(
        self, params: Layers, state: NGDExactState, x: Tensor, y: Tensor
    ) -> tuple[Layers, NGDExactState]:
        loss = self._loss(params, state, x, y)
        whitened = self._whiten(params, state, x)
        direction = self._direction(whitened, state.damping)

        alpha = state.rate.advance_()
        trial = params.map(torch.clone)
        for w, delta in zip(trial, direction, strict=True):
            w.addcmul_(delta, alpha)
        trial_loss = self._loss(trial, state, x, y)
        taken = trial_loss.isfinite()
        for w, new in zip(params.stacks, trial.stacks, strict=True):
            torch.where(taken, new, w, out=w)

        # footnote 1: Σ_i tr(δ_iᵀ ⟨e_i x_{i-1}ᵀ⟩) = ⟨R̂, Ĵδ⟩
        slope = (whitened.residual * whitened.push(direction)).sum()
        predicted = (alpha - alpha**2 / 2) * slope
        state.reduction_ratio = (loss - trial_loss) / predicted  # ρ_k
        self.damping.update_(
            state.damping,
            state.reduction_ratio,
            failed=~taken,
            informative=predicted.abs() > 4 * torch.finfo(loss.dtype).eps * loss,
        )
        state.skipped_steps += ~taken
        return params, state

    def _loss(self, params: Layers, state: NGDExactState, x: Tensor, y: Tensor) -> Tensor:
        """h of the batch; e_L stays in `state.error`."""
        output = forward(state.task.network, params, x, state.activations).output
        error = state.task.likelihood.error(output, y, out=state.error)
        return state.task.likelihood.loss(output, y, error)

    def _whiten(self, params: Layers, state: NGDExactState, x: Tensor) -> Whitened:
        """The network with the residual ⟨e_L xᵀ⟩ Σ⁺ of this batch; Σ̃ = I."""
        root, root_pinv = state.root or self._root(x.mT @ x / self.batch_size)
        cross = state.error.mT @ x / self.batch_size
        return whiten(list(params), cross @ root_pinv.mT @ root_pinv, root)

    def _direction(self, whitened: Whitened, damping: Tensor) -> list[Tensor]:
        """δ of `form`; not a number where its decompositions fail, as they do on weights that have overflowed."""
        try:
            return FORMS[self.form](whitened, self.cutoff, damping)
        except torch.linalg.LinAlgError:
            return [torch.full_like(g, torch.nan) for g in whitened.descent]

    def _root(self, moment: Tensor) -> tuple[Tensor, Tensor]:
        return second_moment_root(moment, self.cutoff**2)

    def diagnostics(self, state: NGDExactState) -> dict[str, Tensor]:
        return {
            "damping": state.damping,
            "reduction_ratio": state.reduction_ratio,
            "skipped_steps": state.skipped_steps,
        }


def demand_linear(network: Network, params: Layers) -> None:
    if not network.is_matrix:
        bias = " with bias" if network.bias else ""
        raise InputError(
            f"optimizer=ngd_exact: the network is {network.activation}{bias}; the exact expressions are for linear "
            "networks: arch.activation=identity and arch.bias=false, or optimizer=ngd"
        )
    if params.leading:
        raise InputError(
            "optimizer=ngd_exact: ranks differ between networks, so a stack cannot be trained"
        )
