"""AdaGrad: a rate for each weight, that falls with the gradients it has seen (Duchi, Hazan & Singer 2011)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nglab.networks.layers import Layers
from nglab.optimizers.first_order.first_order import FirstOrder, FirstOrderState, Number
from nglab.settings.fields import Positive, setting


@dataclass(frozen=True, kw_only=True)
class AdaGrad(FirstOrder):
    """S ← S + G², W ← W + α G / (√S + ε), entry by entry (Duchi, Hazan & Singer 2011, diagonal)."""

    kept: ClassVar[int] = 1
    anew: ClassVar[int] = 2

    eps: Positive = setting("ε, added to the root of the sum of squares", paper="δ, not named")

    def numbers(self) -> Sequence[Number]:
        return [self.eps]

    def step(
        self, params: Layers, state: FirstOrderState, x: Tensor, y: Tensor
    ) -> tuple[Layers, FirstOrderState]:
        state.gradient_(params, x, y)
        alpha, (eps,) = state.rate.advance_(), state.work.settings
        for w, g, root, s in state.pieces(params):
            s.addcmul_(g, g)  # S ← S + G²
            torch.sqrt(s, out=root).add_(eps)
            w.addcmul_(g.div_(root), alpha)  # W ← W + α G / (√S + ε)
        return params, state
