"""The exact minimum over a coefficient for each layer, and one for the previous step."""

from dataclasses import dataclass

from torch import Tensor

from nglab.networks.layers import Layers
from nglab.networks.linearised import Linearised
from nglab.optimizers.steps.subspace import Subspace
from nglab.settings.fields import Positive, setting


@dataclass(frozen=True)
class Layerwise(Subspace):
    """D_1 … D_L are L directions: what the layers do together is in A, where Eq. 20 bounds it by 1/L (Eqs. 22, 23).

    Few coefficients fitted to few examples: on D they overfit the batch unless their damping is larger than λ. Ours.
    """

    damping_factor: Positive = setting("λ in the small system, over λ")

    def pushed(self, linearised: Linearised, direction: Layers) -> Tensor:
        return linearised.by_layer(direction)

    def blocks(self, products: Tensor) -> Tensor:
        return products

    def small_damping(self, damping: Tensor) -> Tensor:
        return self.damping_factor * damping
