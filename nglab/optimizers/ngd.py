"""Online natural gradient descent of Bernacchia, Lengyel & Hennequin (2018), Eqs. 20 and 21."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nglab.curvature.damping.levenberg_marquardt import LevenbergMarquardt, as_like
from nglab.curvature.kronecker import KroneckerFactors
from nglab.networks import products
from nglab.networks.layers import Layers
from nglab.networks.passes import Activations, Errors, add_outer_, backward, forward
from nglab.optimizers.optimizer import Optimizer, Streams, Task
from nglab.optimizers.schedules.rate import Rate

CEILING = 10.0


@dataclass
class NGDState:
    """λ, ρ and the count of steps not taken, each `[...]`; the stream of sampled targets; kept memory."""

    task: Task
    rate: Rate  # α `[..., 1, 1]`
    rule: LevenbergMarquardt  # of λ
    predicted_share: Rate  # α − α²/2, what the quadratic model gives of the slope (footnote 1)
    damping: Tensor  # λ_k
    reduction_ratio: Tensor  # ρ_k of the last step
    skipped_steps: (
        Tensor  # steps not taken: a factorisation failed, or the loss rose above the ceiling
    )
    ceiling: Tensor  # the largest batch loss that a step may leave; not a number before the first
    generators: list[torch.Generator]
    activations: Activations
    errors: Errors  # set 0: the true targets; sets 1 … K: targets sampled from the model
    factors: KroneckerFactors
    gradient: Layers  # G_i = ⟨e_i x_{i-1}ᵀ⟩
    direction: Layers  # L d_i
    trial: Layers  # the parameters after the step, until it is taken


@dataclass(frozen=True, kw_only=True)
class NGD(Optimizer):
    """ΔW_i = (α/L) (Λ̃_i + √λ I)⁻¹ ⟨e_i x_{i-1}ᵀ⟩ (Λ_i + √λ I)⁻¹ with adaptive λ (Eqs. 20, 21).

    Λ_i = ⟨x_{i-1} x_{i-1}ᵀ⟩ over the batch; Λ̃_i = ⟨e_i e_iᵀ⟩ over K backward passes of targets sampled from the model.
    The true targets make the gradient only. Everything is computed anew at each step.

    A step is not taken, and λ rises, where a factor cannot be inverted or where it would throw the batch's loss above
    `CEILING` times that of the first batch. This rule is ours: the default λ₀ never needs it; with a small one it
    brings back runs whose first steps leave the region where any quadratic model holds.
    """

    columns: ClassVar[Mapping[str, str]] = {
        "damping": "λ (Eq. 21)",
        "reduction_ratio": "ρ of the last step: actual ÷ predicted decrease of the batch's loss",
        "skipped_steps": "steps not taken so far",
    }

    samples: int  # K
    damping: LevenbergMarquardt  # the rule of λ
    split: str  # how √λ is divided between the factors: equal or pi

    def init(self, task: Task, params: Layers, streams: Streams) -> NGDState:
        network = task.network
        per_replica = params[0].new_zeros(params.leading)
        alpha = per_replica + as_like(self.lr, per_replica)
        return NGDState(
            task,
            rate=self.schedule.start(alpha, task.steps, lambda alpha: alpha[..., None, None]),
            rule=self.damping.like(per_replica),
            predicted_share=self.schedule.start(
                alpha, task.steps, lambda alpha: alpha - alpha**2 / 2
            ),
            damping=per_replica + as_like(self.damping.initial, per_replica),
            reduction_ratio=per_replica.clone(),
            skipped_steps=per_replica.clone(),
            ceiling=per_replica + torch.nan,
            generators=list(streams("sampled targets")),
            activations=Activations(network, self.batch_size, params[0]),
            errors=Errors(network, self.batch_size, 1 + self.samples, params[0]),
            factors=KroneckerFactors(params),
            gradient=params.map(torch.empty_like),
            direction=params.map(torch.empty_like),
            trial=params.map(torch.empty_like),
        )

    def step(
        self, params: Layers, state: NGDState, x: Tensor, y: Tensor
    ) -> tuple[Layers, NGDState]:
        network, likelihood = state.task.network, state.task.likelihood
        activations, errors = state.activations, state.errors

        forward(network, params, x, activations)
        true_error = likelihood.error(activations.output, y, out=errors.output.select(-3, 0))
        likelihood.sample_error(
            activations.output, state.generators, out=errors.output.narrow(-3, 1, self.samples)
        )
        loss = likelihood.loss(activations.output, y, true_error)
        backward(network, params, activations, errors)

        torch.where(state.ceiling.isnan(), CEILING * loss, state.ceiling, out=state.ceiling)
        rate, predicted_share = state.rate.advance_(), state.predicted_share.advance_()
        decrease, solved = self._directions(state)
        for w, d, trial in zip(
            params.pieces, state.direction.pieces, state.trial.pieces, strict=True
        ):
            torch.addcmul(w, rate, d, value=1 / network.depth, out=trial)

        forward(network, state.trial, x, activations)
        likelihood.error(activations.output, y, out=true_error)
        trial_loss = likelihood.loss(activations.output, y, true_error)
        predicted = predicted_share * decrease
        taken = solved & (trial_loss <= state.ceiling)  # False for a NaN
        for w, trial in zip(params.pieces, state.trial.pieces, strict=True):
            torch.where(taken[..., None, None], trial, w, out=w)

        torch.div(loss - trial_loss, predicted, out=state.reduction_ratio)  # ρ_k
        state.rule.update_(
            state.damping,
            state.reduction_ratio,
            failed=~taken,
            informative=predicted.abs() > 4 * torch.finfo(loss.dtype).eps * loss,
        )
        state.skipped_steps += ~taken
        return params, state

    def _directions(self, state: NGDState) -> tuple[Tensor, Tensor]:
        """Write L d_i = (Λ̃_i + ·)⁻¹ G_i (Λ_i + ·)⁻¹ into `state.direction`, from the passes that `state` holds.

        Returns Σ_i tr(d_iᵀ G_i) and whether every factor could be inverted, both `[...]`.
        """
        inputs, errors, factors = state.activations.inputs.batched, state.errors, state.factors
        for g, e_true, x_in in zip(state.gradient.batched, errors.rows(0, 1), inputs, strict=True):
            add_outer_(g, e_true, x_in, scale=1 / self.batch_size, keep=0)
        factors.average_(inputs, errors.rows(1))
        factors.damp_(state.damping.sqrt(), self.split)
        solved = factors.invert_()
        for g, d, product, inverse_in, inverse_out in zip(
            state.gradient.batched, state.direction.batched, state.trial.batched,
            *factors.batched, strict=True,
        ):  # fmt: skip
            multiply = products.mm if g.dim() == 2 else products.bmm
            multiply(inverse_out, g, out=product)
            multiply(product, inverse_in, out=d)
        decrease = torch.zeros_like(state.damping)
        for g, d, product in zip(
            state.gradient.pieces, state.direction.pieces, state.trial.pieces, strict=True
        ):
            decrease += torch.mul(d, g, out=product).sum((0, -2, -1))
        return decrease.div_(state.task.network.depth), solved

    def diagnostics(self, state: NGDState) -> dict[str, Tensor]:
        return {
            "damping": state.damping,
            "reduction_ratio": state.reduction_ratio,
            "skipped_steps": state.skipped_steps,
        }
