"""The network linearised at its parameters, written out: J v forward, Jᵀ u backward, and the Hessian's product.

J is the Jacobian of the output x_L with respect to the parameters. k directions are carried at once, on an axis after
the replicas: v is a list of V_i `[..., k, n_i, n_{i-1} (+ 1)]`, one a layer, and u and J v are `[..., k, M, n_L]`.
Nothing is averaged here: J v has a row for each example, Jᵀ u sums over them.

Cost in matrix products of the size of a layer's forward one (a gradient takes 3: forward 1, backward 2):
J v 2, Jᵀ u 2, the Hessian's product 6. The forward pass at θ is made once and kept.

The parameter vector θ is the layers' weights one after the other, each flattened row by row.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from nglab.networks.layers import Layers
from nglab.networks.network import Network
from nglab.networks.passes import Activations, Errors, backward, forward


def to_vector(layers: list[Tensor] | Layers) -> Tensor:
    """Layers `[..., n_i, m_i]` → `[..., P]`."""
    return torch.cat([w.flatten(-2) for w in layers], -1)


def from_vector(network: Network, theta: Tensor) -> list[Tensor]:
    """`[..., P]` → layers `[..., n_i, m_i]` (views)."""
    parts = theta.split([rows * columns for rows, columns in network.shapes], -1)
    return [part.unflatten(-1, shape) for part, shape in zip(parts, network.shapes, strict=True)]


class Linearised:
    """The network near `params`, on the examples that `activations` holds."""

    def __init__(self, network: Network, params: Layers, activations: Activations) -> None:
        self.network, self.params, self.activations = network, params, activations
        self.examples = activations.output.shape[-2]

    @classmethod
    def at(cls, network: Network, params: Layers, x: Tensor) -> "Linearised":
        """On the examples x `[..., M, n_0]`."""
        return cls(network, params, forward(network, params, x))

    @property
    def output(self) -> Tensor:
        """z = x_L with an axis for the directions, `[..., 1, M, n_L]`."""
        return self.activations.output.unsqueeze(-3)

    def forward(self, v: list[Tensor]) -> Tensor:
        """J v: `[..., k, M, n_L]`."""
        for moved, _ in self.tangents(v):
            output = moved
        return output

    def tangents(self, v: list[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Rx_i and Rz_i, the derivatives of x_i and z_i along v, `[..., k, M, n_i]`, for i = 1 … L.

        Rz_i = V_i x_{i-1} + W_i Rx_{i-1} and Rx_i = φ'_i ∘ Rz_i, with Rx_0 = 0.
        """
        rx: Tensor | None = None
        for i, v_i in enumerate(v):
            rz = self.activations.inputs[i].unsqueeze(-3) @ v_i.mT
            if rx is not None:
                rz += rx @ self.params.without_bias[i].unsqueeze(-3).mT
            rx = rz if i == len(v) - 1 else self._chain(rz.clone(), i + 1)
            yield rx, rz

    def backward(self, u: Tensor) -> list[Tensor]:
        """Jᵀ u: a list of `[..., k, n_i, m_i]`, summed over the examples."""
        errors = self.errors(u)
        return [
            e.mT @ x.unsqueeze(-3) for e, x in zip(errors, self.activations.inputs, strict=True)
        ]

    def errors(self, u: Tensor) -> list[Tensor]:
        """e_1 … e_L `[..., k, M, n_i]` that the output errors u leave (Eq. 8 of Bernacchia et al. 2018)."""
        errors = Errors(self.network, self.examples, u.shape[-3], self.params[0])
        errors.output.copy_(u)
        return backward(self.network, self.params, self.activations, errors).sets

    def hessian(
        self, v: list[Tensor], e: list[Tensor], output_curvature: Callable[[Tensor], Tensor]
    ) -> list[Tensor]:
        """The derivative of −Jᵀe along v: the product with the Hessian of Σ L, summed over examples.

        `e` are the errors of e_L = −∂L/∂x_L (k = 1), and `output_curvature` maps Rx_L to H_L Rx_L.
        From e_i = φ'_i ∘ W_{i+1}ᵀ e_{i+1} follows
        Re_i = φ'_i ∘ (W_{i+1}ᵀ Re_{i+1} + V_{i+1}ᵀ e_{i+1}) + (φ''/φ')_i ∘ Rz_i ∘ e_i.
        """
        tangents = list(self.tangents(v))
        re = -output_curvature(tangents[-1][0])
        products = []
        for i in range(len(v) - 1, -1, -1):
            product = re.mT @ self.activations.inputs[i].unsqueeze(-3)
            if i > 0:
                rx, rz = tangents[i - 1]
                n = self.network.widths[i]
                product[..., :n] += e[i].mT @ rx
                re = re @ self.params.without_bias[i].unsqueeze(-3) + e[i] @ v[i][..., :n]
                bend = self.network.phi.bend(self.activations.x[i]).unsqueeze(-3)
                re = self._chain(re, i).addcmul_(bend * e[i - 1], rz)
            products.append(product.neg_())
        return products[::-1]

    def _chain(self, e: Tensor, i: int) -> Tensor:
        """φ'_i ∘ e, in place."""
        return self.network.phi.chain_(e, self.activations.x[i].unsqueeze(-3))
