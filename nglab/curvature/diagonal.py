"""The diagonal of the Fisher, or of the empirical Fisher, as a metric."""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Gt, Le
from torch import Tensor

from nglab.curvature.batch import Batch
from nglab.curvature.metric import Metric, is_zero, weight_of_batch
from nglab.networks.hyperparameters import each
from nglab.networks.layers import Layers
from nglab.networks.passes import add_outer_
from nglab.networks.scratch import Scratch
from nglab.settings.fields import Share, setting


class Work(Scratch):
    """(diag F + λ)^power of this step, diag F of its batch, and the settings as tensors `[...]`."""

    def __init__(self, params: Layers, average: float | Tensor, power: float | Tensor) -> None:
        per_replica = params.per_replica
        self.average, self.power = each(average, per_replica), each(power, per_replica)
        self.damped, self.now = params.map(torch.empty_like), params.map(torch.empty_like)


@dataclass
class DiagonalState:
    """diag F, averaged over the steps."""

    steps: int  # k, taken or not
    mean: Layers
    work: Work


@dataclass(frozen=True)
class Diagonal(Metric):
    """C is diag F, the mean square of every entry of e_i x_{i-1}ᵀ: D = G / (diag F + λ)^power.

    diag F_i = (E∘E)ᵀ(X∘X) / M with the errors E of targets sampled from the model, their mean over K; or with those of
    the true targets, which make the diagonal of the empirical Fisher (Martens 2014, §7). A running average
    has keep = min(1 − 1/k, average) at step k.
    """

    average: Share = setting("what the running average of diag F keeps; 0: this batch")
    power: Annotated[float, Gt(0), Le(1)] = setting("1: the natural gradient; 0.5: as Adam's")
    targets: Literal["sampled", "data"] = setting(
        "whose errors make diag F: sampled from the model, or data: the empirical Fisher's"
    )

    @property
    def any_gradient(self) -> bool:
        return True

    @property
    def sampled(self) -> bool:
        return self.targets == "sampled"

    @property
    def capturable(self) -> bool:
        return is_zero(self.average)

    def init(self, params: Layers, batch: Batch) -> DiagonalState:
        return DiagonalState(
            0, params.map(torch.zeros_like), Work(params, self.average, self.power)
        )

    def update_(self, state: DiagonalState, batch: Batch) -> None:
        state.steps += 1
        weight = weight_of_batch(state.work.average, state.steps)[..., None, None]
        mean_squares_(batch, self.sampled, state.work.now)
        for mean, now in zip(state.mean.pieces, state.work.now.pieces, strict=True):
            mean.lerp_(now, weight)

    def invert_(self, state: DiagonalState, damping: Tensor) -> Tensor:
        shift, power = damping[..., None, None], state.work.power[..., None, None]
        for mean, damped in zip(state.mean.pieces, state.work.damped.pieces, strict=True):
            torch.add(mean, shift, out=damped).pow_(power)
        return torch.ones_like(damping, dtype=torch.bool)

    def multiply_(self, state: DiagonalState, gradient: Layers, out: Layers) -> None:
        for g, damped, d in zip(gradient.pieces, state.work.damped.pieces, out.pieces, strict=True):
            torch.div(g, damped, out=d)


def mean_squares_(batch: Batch, sampled: bool, out: Layers) -> None:
    """out ← ⟨g ∘ g⟩ of the gradients g of single examples, (E∘E)ᵀ(X∘X) / M a layer, after `Batch.gradient_`.

    With the errors E of the K sampled targets, their mean: diag F; with those of the data's own the empirical Fisher's.
    """
    errors = batch.errors.rows(1) if sampled else batch.errors.rows(0, 1)
    for e, x, now in zip(errors, batch.activations.inputs.batched, out.batched, strict=True):
        squares = e.square().unflatten(-2, (-1, batch.examples)).mean(-3)
        add_outer_(now, squares, x.square(), scale=1 / batch.examples, keep=0)
