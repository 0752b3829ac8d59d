"""The step of Bernacchia, Lengyel & Hennequin (2018)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nglab.curvature.batch import Batch
from nglab.networks.layers import Layers
from nglab.optimizers.steps.step_rule import StepRule, slope


@dataclass(frozen=True)
class Paper(StepRule):
    """ΔW_i = (α/L) D_i (Eq. 20): 1/L bounds what the layers do together (Eqs. 22, 23).

    The predicted decrease is (α − α²/2) Σ_i tr(d_iᵀ G_i) with d_i = D_i / L (footnote 1).
    """

    def propose_(
        self, state: None, params: Layers, rate: Tensor, batch: Batch, direction: Layers,
        damping: Tensor, trial: Layers,
    ) -> Tensor:  # fmt: skip
        depth = params.network.depth
        decrease = slope(direction, batch.gradient, trial).div_(depth)
        alpha = rate[..., None, None]
        for w, d, new in zip(params.pieces, direction.pieces, trial.pieces, strict=True):
            torch.addcmul(w, alpha, d, value=1 / depth, out=new)
        return (rate - rate**2 / 2) * decrease
