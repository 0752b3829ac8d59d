"""Squares of the gradient itself: a metric is one class."""

from dataclasses import dataclass

import torch

from nglab.curvature.metric import Metric
from nglab.networks.hyperparameters import over_layers
from nglab.settings.fields import Share, setting


@dataclass(frozen=True)
class Squares(Metric):
    """C = diag of a running average of G∘G, and D = G / (√C + λ), RMSProp's."""

    average: Share = setting("what the running average keeps")

    @property
    def sampled(self) -> bool:
        return False

    def init(self, params, batch):
        zeros = params.map(torch.zeros_like)
        return {"mean": zeros, "keep": over_layers(self.average, params), "damping": None}

    def update_(self, state, batch):
        for mean, g in zip(state["mean"], batch.gradient, strict=True):
            mean.lerp_(g.square(), 1 - state["keep"])

    def invert_(self, state, damping):
        state["damping"] = damping[..., None, None].clone()
        return torch.ones_like(damping, dtype=torch.bool)

    def multiply_(self, state, gradient, out):
        for mean, g, d in zip(state["mean"], gradient, out, strict=True):
            torch.div(g, mean.sqrt() + state["damping"], out=d)
