"""A Gaussian with a fixed covariance: r(y|z) = (2π)^(−n/2) (det Σ̃)^(−½) exp(−½ (y − z)ᵀ Σ̃⁻¹ (y − z)).

The family of Eq. 6 of Bernacchia, Lengyel & Hennequin (2018). Its covariance is a matrix: no YAML file names it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from nglab.errors import InputError
from nglab.likelihoods.likelihood import Likelihood, draw, normal


@dataclass(frozen=True, eq=False)
class GaussianMean(Likelihood):
    """r(y|z) = N(y; z, Σ̃) with a fixed Σ̃ `[n, n]`: F_R = H_L = Σ̃⁻¹.

    Raises InputError where Σ̃ is not symmetric positive definite.
    """

    takes: ClassVar[tuple[str, ...]] = ("real", "unit interval", "classes")

    covariance: Tensor  # Σ̃

    def __post_init__(self) -> None:
        covariance = self.covariance
        definite = not torch.linalg.cholesky_ex(covariance).info.any()
        if not (definite and torch.allclose(covariance, covariance.mT)):
            raise InputError("covariance must be symmetric positive definite")
        _ = self.precision  # made under autodiff it would be a tensor of that alone

    @cached_property
    def root(self) -> Tensor:
        """S with S Sᵀ = Σ̃."""
        return torch.linalg.cholesky(self.covariance)

    @cached_property
    def precision(self) -> Tensor:
        """Σ̃⁻¹."""
        return torch.cholesky_inverse(self.root)

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        return 0.5 * ((y - z) * ((y - z) @ self.precision)).sum(-1)

    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        error = (y - z) @ self.precision
        return error if out is None else out.copy_(error)  # matmul cannot write into every view

    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return z + draw(normal, z, generators) @ self.root.mT

    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        return u @ self.precision

    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        return u @ self.precision
