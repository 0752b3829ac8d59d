"""Gradient descent with momentum: V ← μ V + G, W ← W + α V (Polyak 1964, the heavy ball)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from nglab.networks.layers import Layers
from nglab.optimizers.first_order.first_order import FirstOrder, FirstOrderState, Number
from nglab.settings.fields import Share, setting


@dataclass(frozen=True, kw_only=True)
class Momentum(FirstOrder):
    """V ← μ V + G, W ← W + α V (Polyak 1964).

    The products of Eq. 7 are added to μ V as they are: G itself is nowhere.
    """

    kept: ClassVar[int] = 1
    anew: ClassVar[int] = 0

    momentum: Share = setting("μ, the share of the velocity V that a step keeps")

    def numbers(self) -> Sequence[Number]:
        return [self.momentum]

    def step(
        self, params: Layers, state: FirstOrderState, x: Tensor, y: Tensor
    ) -> tuple[Layers, FirstOrderState]:
        (velocity,), (mu,), descent = state.kept, state.work.settings, state.work.descent
        descent.backpropagate_(params, x, y, 1 / self.batch_size)
        for v in velocity.pieces:
            v.mul_(mu)
        descent.add_to_(velocity)  # V ← μ V + G
        alpha = state.rate.advance_()
        for w, v in state.pieces(params):
            w.addcmul_(v, alpha)  # W ← W + α V
        return params, state
