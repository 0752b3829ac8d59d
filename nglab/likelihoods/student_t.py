"""Student's t: heavy tails, no exponential family."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nglab.likelihoods.likelihood import Likelihood, _draw, _normal_like


class StudentT(Likelihood):
    """Independent y_j = z_j + s t_ν: not an exponential family, F_R ≠ H_L, and L is not convex in z.

    With r = y − z: L = ½(ν+1) log(1 + r²/νs²), F_R = (ν+1)/((ν+3)s²) I and
    H_L = diag (ν+1)(νs² − r²)/(νs² + r²)².
    """

    def __init__(self, degrees: float, scale: float) -> None:
        self.degrees = degrees  # ν
        self.scale = scale  # s
        self.spread = degrees * scale**2  # νs²

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        return 0.5 * (self.degrees + 1) * torch.log1p((y - z).square() / self.spread).sum(-1)

    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        r = y - z
        return torch.div((self.degrees + 1) * r, self.spread + r.square(), out=out)

    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        def one(z: Tensor, generator: torch.Generator) -> Tensor:
            """t_ν = N(0, 1) / √(χ²_ν / ν), and χ²_ν = 2 Gamma(ν/2)."""
            shape = torch.full_like(z, self.degrees / 2, memory_format=torch.contiguous_format)
            gamma = torch._standard_gamma(shape, generator=generator)
            return _normal_like(z, generator) * (0.5 * self.degrees / gamma).sqrt()

        return z + self.scale * _draw(one, z, generators)

    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        return (self.degrees + 1) / ((self.degrees + 3) * self.scale**2) * u

    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        squared = (y - z).square()
        return (self.degrees + 1) * (self.spread - squared) / (self.spread + squared).square() * u
