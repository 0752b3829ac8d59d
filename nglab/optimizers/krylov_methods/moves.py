"""Steps as vectors: where they lead, and what the batch's loss is there."""

import math

import torch
from torch import Tensor

from nglab.curvature.batch import Batch
from nglab.curvature.diagonal import mean_squares_
from nglab.errors import InputError
from nglab.networks.layers import Layers, from_vector, to_vector
from nglab.networks.scratch import Scratch


class Trial(Scratch):
    """The network at W + δ, with the passes over its batch there."""

    def __init__(self, params: Layers, batch: Batch) -> None:
        self.batch, self.there = batch, params.map(torch.empty_like)

    def loss(self, params: Layers, step: Tensor, x: Tensor, y: Tensor) -> float:
        """h after a step δ `[P]`; infinite where it is not a number."""
        return finite_or_infinite(self.batch.loss(self._move_(params, step), x, y))

    def gradient(self, params: Layers, step: Tensor, x: Tensor, y: Tensor) -> tuple[float, Tensor]:
        """h after a step, and −∇h `[P]` there."""
        loss = self.batch.gradient_(self._move_(params, step), x, y)
        return finite_or_infinite(loss), to_vector(self.batch.gradient)

    def _move_(self, params: Layers, step: Tensor) -> Layers:
        parts = from_vector(params.network, step)
        for w, part, new in zip(params, parts, self.there, strict=True):
            torch.add(w, part, out=new)
        return self.there


def finite_or_infinite(loss: Tensor) -> float:
    value = float(loss)
    return math.inf if math.isnan(value) else value


def take_(params: Layers, step: Tensor) -> None:
    """W ← W + δ, of δ `[P]`."""
    for w, part in zip(params, from_vector(params.network, step), strict=True):
        w += part


def mean_squares(batch: Batch) -> Tensor:
    """⟨g ∘ g⟩ `[P]` of the gradients g of single examples: the diagonal of the empirical Fisher."""
    squares = batch.gradient.map(torch.empty_like)
    mean_squares_(batch, sampled=False, out=squares)
    return to_vector(squares)


def demand_one(method: str, params: Layers) -> None:
    """InputError for a stack of networks."""
    if params.leading:
        raise InputError(
            f"optimizer={method}: rounding grows along Krylov spaces, so that a network would not train in a stack as "
            "it does alone; a stack cannot be trained"
        )
