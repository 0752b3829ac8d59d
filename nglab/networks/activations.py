"""Elementwise activations φ, with φ' expressed by the output x = φ(z), so that z need not be kept.

`apply_` replaces z by φ(z); `chain_` replaces an error e by φ'(z) ∘ e (the Hadamard product of Eq. 8).
Both work in place on tensors of any shape; `chain_` broadcasts x over leading axes of e.
`bend` gives φ''(z) / φ'(z), which the Hessian asks for.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

aten = torch.ops.aten


@dataclass(frozen=True)
class Activation:
    """`apply_(z) -> x` and `chain_(e, x) -> φ'(z) ∘ e` in place; `bend(x) -> φ''(z) / φ'(z)`."""

    apply_: Callable[[Tensor], Tensor]
    chain_: Callable[[Tensor, Tensor], Tensor]
    bend: Callable[[Tensor], Tensor]


ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(lambda z: z, lambda e, x: e, torch.zeros_like),
    "tanh": Activation(  # φ' = 1 − x², φ'' = −2x φ'
        torch.tanh_,
        lambda e, x: aten.tanh_backward.grad_input(e, x, grad_input=e),
        lambda x: -2 * x,
    ),
    "sigmoid": Activation(  # φ' = x (1 − x), φ'' = (1 − 2x) φ'
        torch.sigmoid_,
        lambda e, x: aten.sigmoid_backward.grad_input(e, x, grad_input=e),
        lambda x: 1 - 2 * x,
    ),
    "relu": Activation(torch.relu_, lambda e, x: e.mul_(x > 0), torch.zeros_like),
    "softplus": Activation(  # φ' = sigmoid(z) = 1 − e^{−x}, φ'' = e^{−x} φ'
        lambda z: torch.logaddexp(z, torch.zeros_like(z), out=z),
        lambda e, x: e.mul_(-torch.expm1(-x)),
        lambda x: torch.exp(-x),
    ),
}
