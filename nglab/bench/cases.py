"""What is timed: a network, its first parameters and batches of white noise.

A step costs the same whatever the numbers are, so no data set is needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from nglab.networks.initial import random_parameters
from nglab.networks.layers import Layers
from nglab.networks.network import Network
from nglab.runs.config import check
from nglab.settings.composing import compose

PANELS = {"A": "square", "B": "expanding", "C": "bottleneck", "D": "mnist_autoencoder"}
"""The panels of Figure 1 and their architectures."""


@dataclass(frozen=True)
class Case:
    """Batches x `[steps, M, n_0]`, y `[steps, M, n_L]` and parameters that every contender copies."""

    network: Network
    params: Layers
    x: Tensor
    y: Tensor
    lr: float

    @property
    def batch_size(self) -> int:
        return self.x.shape[1]


@dataclass(frozen=True)
class Plan:
    """What a case is made from: each process that times a contender makes its own."""

    network: Network
    batch_size: int
    steps: int
    lr: float
    dtype: torch.dtype

    def case(self) -> "Case":
        return make_case(self.network, self.batch_size, self.steps, self.lr, self.dtype)


@cache
def network_of(panel: str) -> Network:
    arch = check(compose([f"arch={PANELS[panel]}"])).arch
    return Network(tuple(arch.widths), arch.activation, arch.bias)


def make_case(network: Network, batch_size: int, steps: int, lr: float, dtype: torch.dtype) -> Case:
    generator = torch.Generator().manual_seed(0)

    def noise(n: int) -> Tensor:
        return torch.randn(steps, batch_size, n, dtype=dtype, generator=generator)

    params = random_parameters(network, 1.0, generator).map(lambda w: w.to(dtype))
    return Case(network, params, noise(network.widths[0]), noise(network.widths[-1]), lr)


def plain_parameters(case: Case) -> list[Tensor]:
    """Fresh copies, W_1, (b_1,) W_2, … in the order of `nn.Sequential.parameters()`."""
    copies = []
    for w, n in zip(case.params, case.network.widths[:-1], strict=False):
        copies.append(w[:, :n].clone(memory_format=torch.contiguous_format))
        if case.network.bias:
            copies.append(w[:, n].clone(memory_format=torch.contiguous_format))
    return copies


def layers_of(network: Network, parameters: Sequence[Tensor]) -> list[tuple[Tensor, Tensor | None]]:
    """W_1, (b_1,) W_2, … as a pair (W_i, b_i or None) for each layer."""
    if not network.bias:
        return [(w, None) for w in parameters]
    return list(zip(parameters[::2], parameters[1::2], strict=True))


def sequential(case: Case) -> nn.Sequential:
    """The network as PyTorch users write it."""
    modules: list[nn.Module] = []
    activations = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "relu": nn.ReLU, "softplus": nn.Softplus}
    for i, (w, b) in enumerate(layers_of(case.network, plain_parameters(case))):
        linear = nn.Linear(w.shape[1], w.shape[0], bias=b is not None, dtype=w.dtype)
        with torch.no_grad():
            linear.weight.copy_(w)
            if b is not None:
                linear.bias.copy_(b)
        modules.append(linear)
        if i < case.network.depth - 1 and not case.network.linear:
            modules.append(activations[case.network.activation]())
    return nn.Sequential(*modules)
