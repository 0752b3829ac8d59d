"""A layered network: its widths, its activation, the shapes of its weights."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from nglab.networks.activations import ACTIVATIONS, Activation
from nglab.networks.shapes import Shapes
from nglab.settings.checked import Settings
from nglab.settings.fields import Counts, OneOf, setting


@dataclass(frozen=True)
class Network(Settings, Shapes):
    """Widths n_0 … n_L, one activation φ for the layers 1 … L−1 (layer L is linear), bias or not.

    x_i = φ(W_i x_{i−1} + b_i), from inputs x_0 `[..., M, n_0]`, one example a row, to outputs x_L `[..., M, n_L]`,
    which have the unit of the targets, or of what the density of the loss takes them for. W_i is `[n_i, n_{i−1}]`; with
    `bias` `[n_i, n_{i−1} + 1]`, the last column being b_i.

    Raises InputError where a width is below 1, there are fewer than two, or φ is unknown.

    Source: Bernacchia et al. (2018), Eq. 1.

    >>> network = Network([4, 3, 2], "tanh", bias=True)
    >>> network.depth, network.shapes
    (2, [(3, 5), (2, 4)])
    """

    widths: Counts = setting("units of each layer, n_0 … n_L")
    activation: Annotated[str, OneOf(ACTIVATIONS)] = setting(
        "φ of the layers 1 … L−1; layer L is linear", default="identity"
    )
    bias: bool = setting("whether layers have biases", default=False)

    @property
    def depth(self) -> int:
        """L, the number of weight layers."""
        return len(self.widths) - 1

    @cached_property
    def shapes(self) -> list[tuple[int, int]]:
        """The shape of every W_i, the bias column counted: (n_i, n_{i-1} + bias)."""
        return [
            (n, n_in + self.bias) for n_in, n in zip(self.widths[:-1], self.widths[1:], strict=True)
        ]

    @property
    def inputs(self) -> tuple[int, ...]:
        return self.widths[:-1]

    @cached_property
    def phi(self) -> Activation:
        return ACTIVATIONS[self.activation]

    @cached_property
    def linear(self) -> bool:
        return self.activation == "identity"

    @cached_property
    def is_matrix(self) -> bool:
        """x_L = W_L ⋯ W_1 x_0: linear and without bias."""
        return self.linear and not self.bias
