"""A layered network: its widths, its activation, the shapes of its weights."""

from dataclasses import dataclass
from functools import cached_property

from nglab.networks.activations import ACTIVATIONS, Activation
from nglab.networks.shapes import Shapes
from nglab.settings.fields import setting
from nglab.settings.messages import demand, one_of


@dataclass(frozen=True)
class Network(Shapes):
    """Widths n_0 … n_L, one activation φ for the layers 1 … L−1 (layer L is linear), bias or not."""

    widths: tuple[int, ...] = setting("units of each layer, n_0 … n_L")
    activation: str = setting(
        f"φ of the layers 1 … L−1 ({', '.join(ACTIVATIONS)}); layer L is linear", default="identity"
    )
    bias: bool = setting("whether layers have biases", default=False)

    def check(self, key: str, run: object) -> None:
        """InputError unless there is a layer, every layer has a unit, and φ is known."""
        demand(len(self.widths) >= 2, f"{key}.widths", list(self.widths), "two widths or more")
        demand(min(self.widths) >= 1, f"{key}.widths", list(self.widths), "widths of 1 or more")
        known = self.activation in ACTIVATIONS
        demand(known, f"{key}.activation", self.activation, one_of(ACTIVATIONS))

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
