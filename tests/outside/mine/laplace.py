"""Absolute errors: r(y|z) = Π_j e^{−|y_j − z_j|/s} / 2s."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from nglab import Likelihood
from nglab.settings.fields import Positive, setting


@dataclass(frozen=True)
class Laplace(Likelihood):
    """L = Σ_j |y_j − z_j| / s: F_R = I/s², H_L = 0 but where y = z."""

    takes: ClassVar[tuple[str, ...]] = ("real", "unit interval")
    columns: ClassVar[dict[str, str]] = {"worst": "largest |y_j − z_j| of the test set"}

    scale: Positive = setting("s")

    def losses(self, z, y):
        return (y - z).abs().sum(-1) / self.scale

    def error(self, z, y, out=None):
        return torch.div((y - z).sign(), self.scale, out=out)

    def sample(self, z, generators):
        one = generators if len(generators) > 1 else generators * len(z.flatten(0, -3))
        noise = [torch.rand(z.shape[-2:], generator=g, dtype=z.dtype) - 0.5 for g in one]
        uniform = torch.stack(noise).view(z.shape)
        return z - self.scale * uniform.sign() * torch.log1p(-2 * uniform.abs())

    def fisher_times(self, z, u):
        return u / self.scale**2

    def hessian_times(self, z, y, u):
        return torch.zeros_like(u)

    def measures(self, z, y):
        return {"worst": (y - z).abs().amax((-2, -1))}
