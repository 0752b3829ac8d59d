"""Networks of one output, linearised on N examples. For an output error of 1 layer i's J has the rows e_ij x_{i−1,j}ᵀ.

So J_i J_iᵀ = (X_i X_iᵀ) ∘ (E_i E_iᵀ), with X_i `[N, n_{i−1}]` the layer's inputs and E_i `[N, n_i]` those errors, and a
step J_iᵀ c = E_iᵀ diag(c) X_i is made without J. Everything is float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from nglab.curvature.deep_linear import pinv
from nglab.networks.layers import Layers
from nglab.networks.linearised import Linearised
from nglab.networks.network import Network


@dataclass(frozen=True)
class Linear:
    """The network on its examples: outputs z `[N]`, and X_i, E_i of every layer."""

    outputs: Tensor
    inputs: list[Tensor]
    errors: list[Tensor]

    @classmethod
    def at(cls, network: Network, params: Sequence[Tensor], x: Tensor) -> "Linear":
        linearised = Linearised.at(network, params, x)
        ones = torch.ones_like(linearised.activations.output)
        errors = [e[0] for e in linearised.errors(ones[None])]
        return cls(
            linearised.activations.output[:, 0].clone(), list(linearised.activations.inputs), errors
        )

    @cached_property
    def kernels(self) -> list[Tensor]:
        """J_i J_iᵀ `[N, N]`."""
        pairs = zip(self.inputs, self.errors, strict=True)
        return [(x @ x.mT) * (e @ e.mT) for x, e in pairs]

    def pull(self, i: int, c: Tensor) -> Tensor:
        """J_iᵀ c `[n_i, n_{i-1}]`."""
        return (self.errors[i].mT * c) @ self.inputs[i]

    def kfac(self, i: int, residual: Tensor) -> Tensor:
        """(EᵀE)⁺ Eᵀ diag(r) X (XᵀX)⁺ = E⁺ diag(r) X⁺ᵀ: K-FAC's step without damping, for sums over the examples.

        It moves the function by ((E E⁺) ∘ (X X⁺)) r.
        """
        return pinv(self.errors[i]) * residual @ pinv(self.inputs[i]).mT


def moved(
    network: Network, params: Sequence[Tensor], steps: Sequence[Tensor], rate: float
) -> Layers:
    """W + η ΔW."""
    return Layers.of(network, [w + rate * d for w, d in zip(params, steps, strict=True)])
