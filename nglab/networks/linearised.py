"""The network linearised at its parameters, written out: J v forward, Jᵀ u backward, and the Hessian's product.

J is the Jacobian of the output x_L with respect to the parameters. k directions are carried at once, on an axis after
the replicas: v is a list of V_i `[..., k, n_i, n_{i-1} (+ 1)]`, one a layer, and u and J v are `[..., k, M, n_L]`.
Nothing is averaged here: J v has a row for each example, Jᵀ u sums over them.

Cost in matrix products of the size of a layer's forward one (a gradient takes 3: forward 1, backward 2):
J v 2, Jᵀ u 2, the Hessian's product 6. The forward pass at θ is made once and kept.

A direction is given by layer, 1 to L: a list of tensors, or `Layers`.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from nglab.networks.given import given_inputs, given_params
from nglab.networks.layers import Layers, layer_values
from nglab.networks.network import Network
from nglab.networks.passes import Activations, Errors, backward, by_matrices, forward, product


class Linearised:
    """J at `params`, on the examples of a forward pass that left `activations`: good until those are overwritten.

    >>> network, x = Network((2, 1)), torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    >>> linearised = Linearised.at(network, Layers.from_vector(network, torch.zeros(2)), x)
    >>> linearised.forward([torch.tensor([[[1.0, 0.5]]])])  # V_1 x, k = 1
    tensor([[[2.],
             [3.]]])
    >>> linearised.backward(torch.ones(1, 2, 1))  # Σ x
    [tensor([[[4., 2.]]])]
    """

    def __init__(self, network: Network, params: Layers, activations: Activations) -> None:
        self.network, self.params, self.activations = network, params, activations
        self.examples = activations.output.shape[-2]

    @classmethod
    def at(cls, network: Network, params: Sequence[Tensor], x: Tensor) -> "Linearised":
        """On the examples x `[..., M, n_0]`; InputError names what has another shape, dtype or device."""
        layers = given_params(network, params)
        return cls(network, layers, forward(network, layers, given_inputs(network, layers, x)))

    @property
    def output(self) -> Tensor:
        """z = x_L with an axis for the directions, `[..., 1, M, n_L]`."""
        return self.activations.output.unsqueeze(-3)

    def on_first(self, count: int) -> "Linearised":
        """The same on the first `count` of the examples; without another forward pass."""
        return Linearised(self.network, self.params, self.activations.first(count))

    def forward(self, v: Sequence[Tensor], first_layer: int = 0) -> Tensor:
        """J v `[..., k, M, n_L]`; before `first_layer` (from 0) v counts as zero and is not read."""
        if first_layer == 0 and by_matrices(self.network, self.examples):
            return along_matrices(self.params.views, v, self.activations.x)
        for moved, _ in self.tangents(v, first_layer):
            output = moved
        return output

    def tangents(
        self, v: Sequence[Tensor], first_layer: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Rx_i and Rz_i, the derivatives of x_i and z_i along v, `[..., k, M, n_i]`, from the first layer on.

        Rz_i = V_i x_{i-1} + W_i Rx_{i-1} and Rx_i = φ'_i ∘ Rz_i, with Rx = 0 before it.
        """
        rx: Tensor | None = None
        for i in range(first_layer, len(v)):
            last = i == len(v) - 1
            rz, moved = layer_values(v[i], 2, self.examples, v[i].shape[-2], hidden=not last)
            torch.matmul(self.activations.inputs[i].unsqueeze(-3), v[i].mT, out=rz)
            if rx is not None:
                torch.matmul(rx, self.params.without_bias[i].unsqueeze(-3).mT, out=moved)
                rz += moved
            rx = rz if last else self._chain(moved.copy_(rz), i + 1)
            yield rx, rz

    def by_layer(self, d: Sequence[Tensor]) -> Tensor:
        """J D_i for every layer i alone, `[..., L, M, n_L]`, from one D_i `[..., n_i, m_i]` a layer.

        Their sum is J d. Direction i is carried through the layers after it, all that are under way in one product a
        layer; where the network is a matrix, so is its derivative along D_i, and the examples come last.
        """
        if self.network.is_matrix:
            return matrices_by_layer(self.params.views, d, self.activations.x)
        return self._by_examples(d)

    def _by_examples(self, d: Sequence[Tensor]) -> Tensor:
        m, multiply = self.examples, product(self.params, self.examples)
        before: Tensor | None = (
            None  # D_1 … D_{i-1} at x_{i-1}, one after the other `[..., (i-1) M, n_{i-1}]`
        )
        for i, (x, d_i) in enumerate(zip(self.activations.inputs, d, strict=True)):
            last = i == len(d) - 1
            moved = layer_values(d_i, 1, (i + 1) * m, d_i.shape[-2], hidden=not last)[0]
            multiply(x, d_i.mT, out=moved[..., i * m :, :])
            if before is not None:
                w = self.params.without_bias[i]
                multiply(before, w.mT, out=moved[..., : i * m, :])
            before, by_direction = moved, moved.unflatten(-2, (i + 1, m))
            if not last:
                self._chain(by_direction, i + 1)
        return by_direction

    def backward(self, u: Tensor, hidden: Sequence[Tensor] | None = None) -> list[Tensor]:
        """Jᵀ u: a list of `[..., k, n_i, m_i]`, summed over the examples.

        With `hidden` u_1 … u_{L-1} `[..., k, M, n_i]`, the J_iᵀ u_i are added, J_i the Jacobian of x_i.
        """
        errors = self.errors(u, hidden)
        return [
            e.mT @ x.unsqueeze(-3) for e, x in zip(errors, self.activations.inputs, strict=True)
        ]

    def errors(self, u: Tensor, hidden: Sequence[Tensor] | None = None) -> list[Tensor]:
        """e_1 … e_L `[..., k, M, n_i]` that the output errors u leave (Eq. 8 of Bernacchia et al. 2018)."""
        errors = Errors(self.network, self.examples, u.shape[-3], self.params[0])
        errors.output.copy_(u)
        return backward(self.network, self.params, self.activations, errors, hidden).sets

    def hessian(
        self, v: Sequence[Tensor], e: Sequence[Tensor], output_curvature: Callable[[Tensor], Tensor]
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


def matrices_by_layer(w: Sequence[Tensor], d: Sequence[Tensor], x: Sequence[Tensor]) -> Tensor:
    """W_L ⋯ W_{i+1} D_i x_{i-1} for i = 1 … L, `[..., L, M, n_L]`: the examples pass the narrowest x_c alone.

    Up to layer c, x_{i-1} goes to x_c and from there to x_L; after it, x_{i-1} = W_{i-1} ⋯ W_{c+1} x_c.
    """
    c = narrowest(x)
    moved = x[-1].new_empty(*x[-1].shape[:-2], len(d), *x[-1].shape[-2:])
    to_c, _ = _onwards(w[:c], d[:c])
    to_output, c_to_output = _onwards(w[c:], d[c:])
    for i, along in enumerate(to_c):
        before, last = (x[i], along) if c_to_output is None else (x[i] @ along.mT, c_to_output)
        torch.matmul(before, last.mT, out=moved.select(-3, i))
    from_c: Tensor | None = None
    for i, along in enumerate(to_output, c):
        whole = along if from_c is None else along @ from_c
        torch.matmul(x[c], whole.mT, out=moved.select(-3, i))
        from_c = w[i] if from_c is None else w[i] @ from_c
    return moved


def along_matrices(w: Sequence[Tensor], v: Sequence[Tensor], x: Sequence[Tensor]) -> Tensor:
    """J v = P'x_0 `[..., k, M, n_L]`, P' the derivative of P = W_L ⋯ W_1 along V_i `[..., k, n_i, n_{i-1}]`.

    With A = W_c ⋯ W_1 up to the narrowest x_c = A x_0, and B from there on, P'x_0 = B A'x_0 + B'x_c.
    """
    c = narrowest(x)
    w, x_0, x_c = [w_i.unsqueeze(-3) for w_i in w], x[0].unsqueeze(-3), x[c].unsqueeze(-3)
    if c == 0:
        return x_c @ _derivative(w, v)[1].mT
    to_c = ([m.mT for m in reversed(layers[:c])] for layers in (w, v))  # Aᵀ, from x_c backwards
    _, along_a = _derivative(*to_c)
    at_c = x_0 @ along_a
    if c == len(w):
        return at_c
    b, along_b = _derivative(w[c:], v[c:])
    return at_c @ b.mT + x_c @ along_b.mT


def _derivative(w: Sequence[Tensor], v: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """P = W_k ⋯ W_1, and its derivative along V_1 … V_k: P' ← W_i P' + V_i P."""
    p, along = w[0], v[0]
    for w_i, v_i in zip(w[1:], v[1:], strict=True):
        along = w_i @ along + v_i @ p
        p = w_i @ p
    return p, along


def narrowest(x: Sequence[Tensor]) -> int:
    """c of the x_c of the fewest units."""
    return min(range(len(x)), key=lambda i: x[i].shape[-1])


def _onwards(w: Sequence[Tensor], d: Sequence[Tensor]) -> tuple[list[Tensor], Tensor | None]:
    """W_k ⋯ W_{i+1} D_i for each of k layers, and W_k ⋯ W_1 (None of no layer)."""
    moved: list[Tensor] = []
    onward: Tensor | None = None
    for w_i, d_i in zip(reversed(w), reversed(d), strict=True):
        moved.insert(0, d_i if onward is None else onward @ d_i)
        onward = w_i if onward is None else onward @ w_i
    return moved, onward
