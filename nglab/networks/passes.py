"""A layered network, written out: forward (Eq. 1), backward (Eq. 8) and gradient (Eq. 7).

Layout. One example a row: x_i is `[..., M, n_i]`. W_i is `[..., n_i, n_{i-1}]`, so x_i = φ_i(x_{i-1} W_iᵀ).
With bias, W_i is `[..., n_i, n_{i-1} + 1]`: its last column is b_i, and x_{i-1} carries a last component 1.
The leading axes `...` hold replicas: none for one network, `[replicas]` for a stack trained at once.
Layers whose weights have one shape lie in one tensor (`Layers`), so that one batched product serves them.

Equation numbers are those of Bernacchia, Lengyel & Hennequin (2018).
"""

from collections.abc import Callable, Sequence
from copy import copy
from functools import reduce

import torch
from torch import Tensor

from nglab.networks import products
from nglab.networks.layers import Layers, layer_values
from nglab.networks.network import Network
from nglab.networks.scratch import Scratch


class Activations(Scratch):
    """What a forward pass leaves: x_0 … x_L of M examples.

    `inputs[i]` is layer i's input with its component 1 where there is a bias, `x[i]` is x_i without it, and
    `output` is x_L. Kept between steps, a forward pass allocates nothing.
    """

    def __init__(self, network: Network, examples: int, like: Tensor) -> None:
        stacks = [
            layer_values(like, len(g), examples, network.shapes[g[0]][1], g != [0]).fill_(1)
            for g in network.groups
        ]
        output = layer_values(like, 1, examples, network.widths[-1], hidden=False)[0]
        first = network.groups[0] == [0] and not network.bias and not like.shape[:-2]
        self._takes_input = first  # x_0 need not be copied beside other layers' inputs or a 1
        self._first: dict[int, Activations] = {}
        self._name(Layers(network, stacks), output)

    def _name(self, inputs: Layers, output: Tensor) -> None:
        self.inputs, self.output = inputs, output
        self.x = [x[..., :n] for x, n in zip(inputs, inputs.network.inputs, strict=True)]
        self.x.append(output)
        self.z = self.x[1:]  # where z_i is computed, and φ applied in place

    def first(self, count: int) -> "Activations":
        """Those of the first `count` examples of this pass, in views that are made once."""
        if count not in self._first:
            some = copy(self)
            some._first = {}
            stacks = [stack[..., :count, :] for stack in self.inputs.stacks]
            some._name(Layers(self.inputs.network, stacks), self.output[..., :count, :])
            self._first[count] = some
        if self._takes_input:
            self._first[count].load(self.x[0][..., :count, :])
        return self._first[count]

    def load(self, x: Tensor) -> None:
        """Make x the input x_0: the tensor itself where the layout allows it, else a copy."""
        if self._takes_input:
            self.x[0] = self.inputs.views[0] = self.inputs.batched[0] = x
        else:
            self.x[0].copy_(x)


class Errors(Scratch):
    """What a backward pass leaves: e_1 … e_L for `sets` output errors on the same M examples.

    `layers[i]` is `[..., sets × M, n_i]`, `sets[i]` the same memory as `[..., sets, M, n_i]`.
    """

    def __init__(self, network: Network, examples: int, sets: int, like: Tensor) -> None:
        self.examples = examples
        last = [network.depth - 1]
        self.layers = Layers(
            network,
            [
                layer_values(like, len(g), sets * examples, network.shapes[g[0]][0], g != last)
                for g in network.groups
            ],
        )
        self.sets = [e.unflatten(-2, (sets, examples)) for e in self.layers]

    @property
    def output(self) -> Tensor:
        """e_L, `[..., sets, M, n_L]`: to be written before `backward`."""
        return self.sets[-1]

    def rows(self, first_set: int, last_set: int | None = None) -> list[Tensor]:
        """Batched stacks (views) of the sets from `first_set` up to `last_set`."""
        stop = None if last_set is None else last_set * self.examples
        return [e[..., first_set * self.examples : stop, :] for e in self.layers.batched]


def forward(
    network: Network, params: Layers, x: Tensor, out: Activations | None = None
) -> Activations:
    """Eq. 1: x_i = φ_i(W_i x_{i-1} + b_i), layer L linear. `x` is `[..., M, n_0]` (broadcast over replicas)."""
    out = out or Activations(network, x.shape[-2], params[0])
    out.load(x)
    multiply = product(params, x.shape[-2])
    apply_ = None if network.linear else network.phi.apply_
    for x_in, w_t, z in zip(out.inputs.views, params.transposed, out.z, strict=True):
        multiply(x_in, w_t, out=z)
        if apply_ and z is not out.output:
            apply_(z)
    return out


def by_matrices(network: Network, examples: int) -> bool:
    """Whether x_L alone of so many examples is had sooner by `matrix_outputs` than by a forward pass."""
    return network.is_matrix and 4 * min(network.widths) <= examples


def matrix_outputs(network: Network, params: Layers, x: Tensor) -> Tensor:
    """x_L = W_L ⋯ W_1 x_0 of a network that is a matrix, `[..., M, n_L]`, with the weights multiplied first.

    They are multiplied from the narrowest layer outwards, and the examples in two steps through it: for many more
    examples than its units the work of a small part of a forward pass.
    """
    narrowest = min(range(network.depth + 1), key=network.widths.__getitem__)
    into, out_of = params.views[:narrowest], params.views[narrowest:]
    if into:
        x = x @ reduce(torch.matmul, reversed(into)).mT
    if out_of:
        x = x @ reduce(lambda product, w: w @ product, out_of).mT
    return x


def backward(
    network: Network,
    params: Layers,
    activations: Activations,
    errors: Errors,
    hidden: Sequence[Tensor] | None = None,
) -> Errors:
    """Eq. 8: e_i = φ'_i ∘ [W_{i+1}ᵀ e_{i+1}], from the e_L that the caller wrote in `errors.output`.

    Signs are the paper's: for a loss h, e_L = −∂h/∂x_L, and e_i = −∂h/∂z_i with z_i the input of φ_i. `hidden` holds
    what a function of x_1 … x_{L-1} has for them beside, `[..., sets, M, n_i]`, added in the bracket.
    """
    e, w = errors.layers.views, params.without_bias
    multiply = product(params, e[-1].shape[-2])
    chain_ = None if network.linear else network.phi.chain_
    for i in range(network.depth - 1, 0, -1):
        multiply(e[i], w[i], out=e[i - 1])
        if hidden is not None:
            errors.sets[i - 1].add_(hidden[i - 1])
        if chain_:
            chain_(errors.sets[i - 1], activations.x[i].unsqueeze(-3))
    return errors


def product(params: Layers, rows: int) -> Callable[..., Tensor]:
    """What multiplies this many rows by a W_i: chosen once, where `torch.matmul` would look at each pair anew."""
    large = rows * params.network.largest >= products.LEAST_WORK
    if len(params.leading) == 1:
        return products.bmm if large else torch.bmm
    if params.leading:
        return torch.matmul
    return products.mm if large else torch.mm


def add_outer_(out: Tensor, a: Tensor, b: Tensor, scale: float = 1.0, keep: float = 1.0) -> Tensor:
    """out ← keep · out + scale · aᵀb: `[(batch,) n, m]` from rows `[(batch,) M, n]` and `[(batch,) M, m]`.

    With a = e_i of the true targets, b = x_{i-1}, scale 1/M and keep 0 it is ⟨e_i x_{i-1}ᵀ⟩ = −∂h/∂W_i (Eq. 7).
    """
    add = products.addmm if out.dim() == 2 else products.baddbmm
    return add(out, a.mT, b, beta=keep, alpha=scale, out=out)


def gradient(network: Network, params: Layers, x: Tensor, output_error: Tensor) -> Layers:
    """−∂h/∂W_i for every layer (Eqs. 1, 7, 8), `output_error` = −∂h/∂x_L per example `[..., M, n_L]`; h is the mean."""
    activations = forward(network, params, x)
    errors = Errors(network, x.shape[-2], 1, params[0])
    errors.output.copy_(output_error.unsqueeze(-3))
    backward(network, params, activations, errors)
    gradients = params.map(torch.empty_like)
    for g, e, x_in in zip(
        gradients.batched, errors.layers.batched, activations.inputs.batched, strict=True
    ):
        add_outer_(g, e, x_in, scale=1 / x.shape[-2], keep=0)
    return gradients
