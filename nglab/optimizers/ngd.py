"""Online natural gradient descent of Bernacchia, Lengyel & Hennequin (2018), Eqs. 20 and 21."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nglab.curvature.kronecker import SPLITS, second_moment
from nglab.damping import LevenbergMarquardt, as_like
from nglab.likelihoods import Gaussian
from nglab.networks import Activations, Errors, Layers, Network, backward, forward, outer
from nglab.optimizers.base import Streams
from nglab.solvers.cholesky import damped_inverse_


@dataclass
class NGDState:
    """λ, ρ and the count of steps not taken, each `[...]`; the stream of sampled targets; kept buffers."""

    network: Network
    damping: Tensor  # λ_k
    reduction_ratio: Tensor  # ρ_k of the last step
    skipped_steps: Tensor  # steps whose factorisation failed or whose loss was not finite
    generators: list[torch.Generator]
    activations: Activations
    errors: Errors  # set 0: the true targets; sets 1 … K: targets sampled from the model
    trial: Layers


@dataclass(frozen=True)
class NGD:
    """ΔW_i = (α/L) (Λ̃_i + √λ I)⁻¹ ⟨e_i x_{i-1}ᵀ⟩ (Λ_i + √λ I)⁻¹ with adaptive λ (Eqs. 20, 21).

    Λ_i = ⟨x_{i-1} x_{i-1}ᵀ⟩ over the batch; Λ̃_i = ⟨e_i e_iᵀ⟩ over K backward passes of targets sampled from the model.
    The true targets make the gradient only. Everything is computed anew at each step.
    """

    lr: float | Tensor  # α
    batch_size: int  # M
    samples: int  # K
    damping: LevenbergMarquardt  # the rule of λ
    split: str  # how √λ is divided between the factors: a key of SPLITS

    def init(self, network: Network, params: Layers, streams: Streams) -> NGDState:
        per_replica = params[0].new_zeros(params.leading)
        return NGDState(
            network,
            damping=per_replica + as_like(self.damping.initial, per_replica),
            reduction_ratio=per_replica.clone(),
            skipped_steps=per_replica.clone(),
            generators=list(streams("sampled targets")),
            activations=Activations(network, self.batch_size, params[0]),
            errors=Errors(network, self.batch_size, 1 + self.samples, params[0]),
            trial=params.map(torch.empty_like),
        )

    def step(self, params: Layers, state: NGDState, x: Tensor, y: Tensor) -> tuple[Layers, NGDState]:
        network, activations, errors = state.network, state.activations, state.errors

        forward(network, params, x, activations)
        true_error = Gaussian.error(activations.output, y, out=errors.output.select(-3, 0))
        Gaussian.sample_error(errors.output.narrow(-3, 1, self.samples), state.generators)
        loss = Gaussian.loss(true_error)
        backward(network, params, activations, errors)

        alpha = as_like(self.lr, loss)
        direction, decrease, solved = self._direction(params, state)
        for w, d, trial in zip(params.stacks, direction, state.trial.stacks, strict=True):
            torch.add(w, alpha[..., None, None] * d, out=trial)

        forward(network, state.trial, x, activations)
        trial_loss = Gaussian.loss(Gaussian.error(activations.output, y, out=true_error))
        predicted = (alpha - alpha**2 / 2) * decrease  # footnote 1
        taken = solved & trial_loss.isfinite()
        for w, trial in zip(params.stacks, state.trial.stacks, strict=True):
            torch.where(taken[..., None, None], trial, w, out=w)

        state.reduction_ratio = (loss - trial_loss) / predicted  # ρ_k
        state.damping = self.damping.update(
            state.damping,
            state.reduction_ratio,
            failed=~taken,
            informative=predicted.abs() > 4 * torch.finfo(loss.dtype).eps * loss,
        )
        state.skipped_steps += ~taken
        return params, state

    def _direction(self, params: Layers, state: NGDState) -> tuple[list[Tensor], Tensor, Tensor]:
        """d_i = (Λ̃_i + ·)⁻¹ G_i (Λ_i + ·)⁻¹ / L by stack, Σ_i tr(d_iᵀ G_i) `[...]`, and whether all factorised."""
        inputs, errors = state.activations.inputs.batched, state.errors
        gradients = outer(errors.rows(0, 1), inputs, 1 / self.batch_size)  # ⟨e_i x_{i-1}ᵀ⟩
        root = state.damping.sqrt()
        directions, decrease, solved = [], torch.zeros_like(root), torch.ones_like(root, dtype=torch.bool)
        for w, g, x_in, e_sampled in zip(params.stacks, gradients, inputs, errors.rows(1), strict=True):
            factor_in = second_moment(x_in).unflatten(0, w.shape[:-2])  # Λ_i
            factor_out = second_moment(e_sampled).unflatten(0, w.shape[:-2])  # Λ̃_i
            damping_in, damping_out = SPLITS[self.split](root, factor_in, factor_out)
            inverse_in, ok_in = damped_inverse_(factor_in, damping_in)
            inverse_out, ok_out = damped_inverse_(factor_out, damping_out)
            g = g.view_as(w)
            d = (inverse_out @ g @ inverse_in).div_(state.network.depth)
            decrease += (d * g).sum((0, -2, -1))
            solved &= (ok_in & ok_out).all(0)
            directions.append(d)
        return directions, decrease, solved

    def diagnostics(self, state: NGDState) -> dict[str, Tensor]:
        return {
            "damping": state.damping,
            "reduction_ratio": state.reduction_ratio,
            "skipped_steps": state.skipped_steps,
        }
