"""A Gaussian in its natural parameters."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from nglab.likelihoods.likelihood import Likelihood, _draw, _normal_like


class GaussianNatural(Likelihood):
    """r(y|z) = N(y; μ, Σ) of natural parameters z = (Σ⁻¹μ, vec Σ⁻¹), so n = d + d² (M §8).

    log r = zᵀT(y) − log Z(z) with T = (y, −½ vec yyᵀ) and log Z = ½ μᵀΣ⁻¹μ − ½ log det Σ⁻¹. Of the matrix in z only
    the symmetric part counts. Where that is not positive definite z is no density: the loss is ∞.
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension  # d

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
        return mean + _apply(
            torch.linalg.cholesky(covariance), _draw(_normal_like, mean, generators)
        )

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
