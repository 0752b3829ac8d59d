"""RMSProp: the gradient over the root of a running mean of its squares (Tieleman & Hinton 2012)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nglab.networks.layers import Layers
from nglab.optimizers.first_order.first_order import FirstOrder, FirstOrderState, Number
from nglab.settings.fields import Positive, Share, setting


@dataclass(frozen=True, kw_only=True)
class RMSProp(FirstOrder):
    """S ← ρ S + (1 − ρ) G², W ← W + α G / (√S + ε), entry by entry (Tieleman & Hinton 2012, lecture 6.5)."""

    kept: ClassVar[int] = 1
    anew: ClassVar[int] = 2

    rho: Share = setting("ρ, the share of the mean square S that a step keeps", paper="0.9")
    eps: Positive = setting("ε, added to the root mean square", paper="not named")

    def numbers(self) -> Sequence[Number]:
        return [1 - self.rho, self.eps]

    def step(
        self, params: Layers, state: FirstOrderState, x: Tensor, y: Tensor
    ) -> tuple[Layers, FirstOrderState]:
        state.gradient_(params, x, y)
        alpha, (new, eps) = state.rate.advance_(), state.work.settings
        for w, g, root, s in state.pieces(params):
            s.lerp_(torch.mul(g, g, out=root), new)  # S ← ρ S + (1 − ρ) G²
            torch.sqrt(s, out=root).add_(eps)
            w.addcmul_(g.div_(root), alpha)  # W ← W + α G / (√S + ε)
        return params, state
