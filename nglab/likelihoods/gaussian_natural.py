"""A Gaussian in its natural parameters z = (Σ⁻¹μ, vec Σ⁻¹): mean and covariance are both the network's output.

log r(y|z) = zᵀT(y) − log Z(z) − ½ d log 2π with T(y) = (y, −½ vec yyᵀ) and log Z = ½ μᵀΣ⁻¹μ − ½ log det Σ⁻¹.
M = Martens (2014): the exponential families of its §8.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nglab.likelihoods.likelihood import Likelihood, draw, normal
from nglab.settings.fields import Count, setting


@dataclass(frozen=True)
class GaussianNatural(Likelihood):
    """r(y|z) = N(y; μ, Σ), y `[..., M, d]`, z `[..., M, d + d²]`: F_R = H_L = ∇² log Z (M §8).

    Of the matrix in z only the symmetric part counts. Where that is not positive definite z is no density: the loss is
    ∞.
    """

    takes: ClassVar[tuple[str, ...]] = ()  # no data has fewer targets than the network has outputs

    dimension: Count = setting("targets an example d; the network has d + d² outputs")

    def split(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Σ⁻¹μ `[..., M, d]` and the symmetric part of Σ⁻¹ `[..., M, d, d]`."""
        d = self.dimension
        matrix = z[..., d:].unflatten(-1, (d, d))
        return z[..., :d], 0.5 * (matrix + matrix.mT)

    def moments(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """μ and Σ."""
        linear, precision = self.split(z)
        covariance = torch.linalg.inv_ex(precision).inverse
        return _apply(covariance, linear), covariance

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        precision = self.split(z)[1]
        r = y - self.moments(z)[0]
        loss = 0.5 * (r * _apply(precision, r)).sum(-1) - 0.5 * torch.linalg.slogdet(precision)[1]
        return torch.where(torch.linalg.cholesky_ex(precision).info == 0, loss, math.inf)

    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        """T(y) − E[T(y)]."""
        mean, covariance = self.moments(z)
        second = 0.5 * (_outer(mean, mean) + covariance - _outer(y, y))
        return torch.cat([y - mean, second.flatten(-2)], -1, out=out)

    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        mean, covariance = self.moments(z)
        return mean + _apply(torch.linalg.cholesky_ex(covariance).L, draw(normal, mean, generators))

    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        """∇² log Z: (a, B) ↦ (dμ, −½(dμ μᵀ + μ dμᵀ − ΣBΣ)) with dμ = Σ(a − Bμ)."""
        mean, covariance = self.moments(z)
        a, b = self.split(u)
        d_mean = _apply(covariance, a - _apply(b, mean))
        cross = _outer(d_mean, mean)
        second = 0.5 * (covariance @ b @ covariance - cross - cross.mT)
        return torch.cat([d_mean, second.flatten(-2)], -1)

    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        return self.fisher_times(z, u)


def _apply(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def _outer(a: Tensor, b: Tensor) -> Tensor:
    return a.unsqueeze(-1) * b.unsqueeze(-2)
