"""A fixed share of the metric's direction."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nglab.curvature.batch import Batch
from nglab.networks.layers import Layers
from nglab.optimizers.steps.step_rule import StepRule, slope


@dataclass(frozen=True)
class Fixed(StepRule):
    """ΔW_i = α d_i with d_i = D_i: what the layers do together is left to α.

    The predicted decrease is (α − α²/2) Σ_i tr(d_iᵀ G_i), of the quadratic model whose curvature is C + λI. Layers that
    go on at shares r_i of α have D_i times r_i for D_i here: α Σ_i tr(d_iᵀ G_i) − α²/2 Σ_i r_i tr(d_iᵀ G_i).
    """

    def divisor(self, depth: int) -> int:
        """D_i / d_i."""
        return 1

    def propose_(
        self, state: None, params: Layers, rate: Tensor, batch: Batch, direction: Layers,
        damping: Tensor, trial: Layers,
    ) -> Tensor:  # fmt: skip
        divisor = self.divisor(params.network.depth)
        decrease = slope(direction, batch.gradient, trial).div_(divisor)
        alpha = rate[..., None, None]
        for w, d, new in zip(params.pieces, direction.pieces, trial.pieces, strict=True):
            torch.addcmul(w, alpha, d, value=1 / divisor, out=new)
        if batch.shares is None:
            return (rate - rate**2 / 2) * decrease
        batch.share_(direction)
        curved = slope(direction, batch.gradient, direction).div_(divisor)
        return rate * decrease - rate**2 / 2 * curved
