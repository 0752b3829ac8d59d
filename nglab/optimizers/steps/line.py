"""The exact minimum along the metric's direction, and along it and the previous step."""

from dataclasses import dataclass

from torch import Tensor

from nglab.networks.layers import Layers
from nglab.networks.linearised import Linearised
from nglab.optimizers.steps.subspace import Subspace, one_direction


@dataclass(frozen=True)
class Line(Subspace):
    """One coefficient for the whole of D: K-FAC's own rule (Martens & Grosse 2015, §6.4; with δ: §7)."""

    def pushed(self, linearised: Linearised, direction: Layers) -> Tensor:
        return linearised.forward(one_direction(direction))

    def blocks(self, products: Tensor) -> Tensor:
        return products.sum(-1, keepdim=True)

    def small_damping(self, damping: Tensor) -> Tensor:
        return damping
