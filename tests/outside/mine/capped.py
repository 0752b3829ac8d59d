"""The paper's step, no longer than a radius: a step rule is one class."""

from dataclasses import dataclass

import torch

from nglab.optimizers.steps.step_rule import StepRule, slope
from nglab.settings.fields import Positive, setting


@dataclass(frozen=True)
class Capped(StepRule):
    """ΔW = β D with β = min(α/L, radius / ‖D‖)."""

    radius: Positive = setting("longest step ‖ΔW‖")

    def propose_(self, state, params, rate, batch, direction, damping, trial):
        length = slope(direction, direction, trial).sqrt()
        decrease = slope(direction, batch.gradient, trial)
        beta = torch.minimum(rate / params.network.depth, self.radius / length)
        for w, d, new in zip(params.pieces, direction.pieces, trial.pieces, strict=True):
            torch.addcmul(w, beta[..., None, None], d, out=new)
        return beta * decrease / 2
