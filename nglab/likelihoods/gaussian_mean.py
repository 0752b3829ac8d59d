"""A Gaussian with a fixed covariance."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nglab.errors import InputError
from nglab.likelihoods.likelihood import Likelihood, _draw, _normal_like


class GaussianMean(Likelihood):
    """r(y|z) = N(y; z, Σ̃) with a fixed Σ̃ `[n, n]`: F_R = H_L = Σ̃⁻¹.

    Raises InputError where Σ̃ is not symmetric positive definite.
    """

    def __init__(self, covariance: Tensor) -> None:
        self.root, info = torch.linalg.cholesky_ex(covariance)
        if info.any() or not torch.allclose(covariance, covariance.mT):
            raise InputError("covariance must be symmetric positive definite")
        self.precision = torch.cholesky_inverse(self.root)

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        return 0.5 * ((y - z) * ((y - z) @ self.precision)).sum(-1)

    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.matmul(y - z, self.precision, out=out)

    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return z + _draw(_normal_like, z, generators) @ self.root.mT

    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        return u @ self.precision

    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        return u @ self.precision
