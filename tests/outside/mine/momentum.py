"""Polyak's heavy ball: a method is one class."""

from dataclasses import dataclass

import torch

from nglab import Optimizer
from nglab.curvature.batch import Batch
from nglab.networks.hyperparameters import over_layers
from nglab.settings.fields import Share, setting


@dataclass(frozen=True, kw_only=True)
class Momentum(Optimizer):
    """V ← μ V + G, W ← W + α V (Polyak 1964)."""

    momentum: Share = setting("μ, the share of V that is kept")

    def init(self, task, params, streams):
        batch = Batch(task.network, task.likelihood, params, self.batch_size, samples=0)
        mu = over_layers(self.momentum, params)
        velocity = params.map(torch.zeros_like)
        return {"batch": batch, "rate": self.rate(task, params), "mu": mu, "velocity": velocity}

    def step(self, params, state, x, y):
        state["batch"].gradient_(params, x, y)
        rate = state["rate"].advance_()
        for w, v, g in zip(params, state["velocity"], state["batch"].gradient, strict=True):
            w += rate * v.mul_(state["mu"]).add_(g)
        return params, state
