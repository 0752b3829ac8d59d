"""Student's t, with heavy tails: r(y|z) ∝ Π_j (1 + r_j²/νs²)^{−(ν+1)/2}, r = y − z, ν degrees of freedom, scale s."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nglab.likelihoods.likelihood import Likelihood, draw, normal
from nglab.settings.fields import Positive, setting


@dataclass(frozen=True)
class StudentT(Likelihood):
    """Independent y_j = z_j + s t_ν: not an exponential family, F_R ≠ H_L, and L is not convex in z.

    With r = y − z: L = ½(ν+1) log(1 + r²/νs²), F_R = (ν+1)/((ν+3)s²) I and
    H_L = diag (ν+1)(νs² − r²)/(νs² + r²)².

    z and y are `[..., M, n_L]`; the loss is a mean over the M examples, summed over outputs, in units of nats.

    What is left out is as in conf/likelihood/student_t.yaml. Raises InputError where a setting is out of its range.

    Source: Lange, Little & Taylor (1989).

    >>> StudentT(degrees=3.0)
    StudentT(degrees=3.0, scale=1.0)
    """

    takes: ClassVar[tuple[str, ...]] = ("real", "unit interval", "classes")

    degrees: Positive = setting("degrees of freedom ν: the smaller, the heavier the tails")
    scale: Positive = setting("scale s", unit="of the targets")

    @property
    def spread(self) -> float:
        """νs²."""
        return self.degrees * self.scale**2

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        return 0.5 * (self.degrees + 1) * torch.log1p((y - z).square() / self.spread).sum(-1)

    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        r = y - z
        return torch.div((self.degrees + 1) * r, self.spread + r.square(), out=out)

    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return z + self.scale * draw(self._standard, z, generators)

    def _standard(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """t_ν = N(0, 1) / √(χ²_ν / ν), and χ²_ν = 2 Gamma(ν/2)."""
        shape = torch.full_like(like, self.degrees / 2, memory_format=torch.contiguous_format)
        gamma = torch._standard_gamma(shape, generator=generator)
        return normal(like, generator) * (0.5 * self.degrees / gamma).sqrt()

    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        return (self.degrees + 1) / ((self.degrees + 3) * self.scale**2) * u

    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        squared = (y - z).square()
        return (self.degrees + 1) * (self.spread - squared) / (self.spread + squared).square() * u
