"""The sign of a mean gradient: a method is one class."""

from dataclasses import dataclass

import torch

from nglab import Optimizer
from nglab.curvature.batch import Batch
from nglab.networks.hyperparameters import over_layers
from nglab.settings.fields import Share, setting


@dataclass(frozen=True, kw_only=True)
class Signed(Optimizer):
    """V ← β V + (1 − β) G, W ← W + α sign V (Bernstein et al. 2018)."""

    keep: Share = setting("β, the share of V that is kept")

    def init(self, task, params, streams):
        batch = Batch(task.network, task.likelihood, params, self.batch_size, samples=0)
        keep, mean = over_layers(self.keep, params), params.map(torch.zeros_like)
        return {"batch": batch, "rate": self.rate(task, params), "keep": keep, "mean": mean}

    def step(self, params, state, x, y):
        state["batch"].gradient_(params, x, y)
        rate = state["rate"].advance_()
        for w, v, g in zip(params, state["mean"], state["batch"].gradient, strict=True):
            w += rate * v.lerp_(g, 1 - state["keep"]).sign()
        return params, state
