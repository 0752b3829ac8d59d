"""Elementwise activations φ, with φ' expressed by the output x = φ(z), so that z need not be kept.

`apply_` replaces z by φ(z); `chain_` replaces an error e by φ'(z) ∘ e (the Hadamard product of Eq. 8).
Both work in place on tensors of any shape; `chain_` broadcasts x over leading axes of e.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

aten = torch.ops.aten


@dataclass(frozen=True)
class Activation:
    """φ as two in-place operations: `apply_(z) -> x` and `chain_(e, x) -> φ'(z) ∘ e`."""

    apply_: Callable[[Tensor], Tensor]
    chain_: Callable[[Tensor, Tensor], Tensor]


ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(lambda z: z, lambda e, x: e),
    "tanh": Activation(  # φ' = 1 − x²
        torch.tanh_, lambda e, x: aten.tanh_backward.grad_input(e, x, grad_input=e)
    ),
    "sigmoid": Activation(  # φ' = x (1 − x)
        torch.sigmoid_, lambda e, x: aten.sigmoid_backward.grad_input(e, x, grad_input=e)
    ),
    "relu": Activation(torch.relu_, lambda e, x: e.mul_(x > 0)),
    "softplus": Activation(  # φ' = sigmoid(z) = 1 − e^{−x}
        lambda z: torch.logaddexp(z, torch.zeros_like(z), out=z),
        lambda e, x: e.mul_(-torch.expm1(-x)),
    ),
}
