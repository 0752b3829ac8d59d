"""AdaDelta: steps in the units of the weights, from the mean squares of gradients and of steps (Zeiler 2012)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nglab.networks.layers import Layers
from nglab.optimizers.first_order.first_order import FirstOrder, FirstOrderState, Number
from nglab.settings.fields import Positive, Share, setting


@dataclass(frozen=True, kw_only=True)
class AdaDelta(FirstOrder):
    """S ← ρ S + (1 − ρ) G², D = G √(U + ε) / √(S + ε), U ← ρ U + (1 − ρ) D², W ← W + α D (Zeiler 2012, Alg. 1)."""

    kept: ClassVar[int] = 2
    anew: ClassVar[int] = 3

    rho: Share = setting("ρ, the share of both mean squares that a step keeps", paper="0.95")
    eps: Positive = setting("ε, added to both mean squares", paper="1e-6")

    def numbers(self) -> Sequence[Number]:
        return [1 - self.rho, self.eps]

    def step(
        self, params: Layers, state: FirstOrderState, x: Tensor, y: Tensor
    ) -> tuple[Layers, FirstOrderState]:
        state.gradient_(params, x, y)
        alpha, (new, eps) = state.rate.advance_(), state.work.settings
        for w, g, square, ratio, s, u in state.pieces(params):
            s.lerp_(torch.mul(g, g, out=square), new)  # S ← ρ S + (1 − ρ) G²
            torch.add(u, eps, out=ratio).div_(torch.add(s, eps, out=square))
            d = g.mul_(ratio.sqrt_())  # D = G √(U + ε) / √(S + ε)
            w.addcmul_(d, alpha)
            u.lerp_(torch.mul(d, d, out=square), new)  # U ← ρ U + (1 − ρ) D²
        return params, state
