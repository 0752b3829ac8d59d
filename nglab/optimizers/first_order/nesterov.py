"""Nesterov's accelerated gradient: the gradient is that of the point to which the velocity leads."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from nglab.networks.layers import Layers
from nglab.optimizers.first_order.first_order import FirstOrderState
from nglab.optimizers.first_order.momentum import Momentum


@dataclass(frozen=True, kw_only=True)
class Nesterov(Momentum):
    """V ← μ V + G(θ + αμV), θ ← θ + α V (Sutskever et al. 2013, Eqs. 3, 4, with V in units of the gradient).

    The weights W are the point ahead, θ + αμV, at which the gradient is taken; so they are in `torch.optim.SGD`.
    """

    ahead: ClassVar[bool] = True

    def step(
        self, params: Layers, state: FirstOrderState, x: Tensor, y: Tensor
    ) -> tuple[Layers, FirstOrderState]:
        (velocity,), (mu,), descent = state.kept, state.work.settings, state.work.descent
        alpha = state.rate.advance_()
        descent.backpropagate_(params, x, y, 1 / self.batch_size)
        for w, v in state.pieces(params):
            w.addcmul_(v.mul_(mu), alpha, value=-1)  # back to θ
        descent.add_to_(velocity)  # V ← μ V + G
        ahead = alpha * (1 + mu)
        for w, v in state.pieces(params):
            w.addcmul_(v, ahead)  # θ + α V, and μ times as far ahead
        return params, state
