"""The Gaussian of unit covariance: half the squared error.

r(y|z) = (2π)^(−n/2) exp(−½‖y − z‖²). Equation numbers are those of Bernacchia, Lengyel & Hennequin (2018).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nglab.likelihoods.likelihood import Likelihood, draw, normal, unit_vectors
from nglab.randomness import normal_


@dataclass(frozen=True)
class Gaussian(Likelihood):
    """r(y|z) = N(y; z, I): h = ½ ⟨‖y − z‖²⟩ (Eq. 6 with Σ̃ = I), F_R = H_L = I.

    z and y are `[..., M, n_L]`; the loss h is a mean over the M examples, summed over outputs, in the targets' unit
    squared. F_R = E_{y~r}[∇_z log r ∇_z log rᵀ] and H_L = −∂² log r/∂z².

    Raises InputError in `train` where data has other targets than numbers.

    Source: Bernacchia et al. (2018), Eq. 6.

    >>> Gaussian().loss(torch.zeros(2, 1), torch.tensor([[2.0], [0.0]]))
    tensor(1.)
    """

    takes: ClassVar[tuple[str, ...]] = ("real", "unit interval", "classes")
    error_is_difference: ClassVar[bool] = True

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        return 0.5 * (y - z).square().sum(-1)

    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        """e_L = y − z (Eq. 8)."""
        return torch.sub(y, z, out=out)

    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return z + draw(normal, z, generators)

    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        return u

    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        return u

    def fisher_root(self, z: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
        """S = I, w = e_L."""
        return unit_vectors(z), error.mT

    def loss(self, z: Tensor, y: Tensor, error: Tensor | None = None) -> Tensor:
        """h = ½ · mean over examples of ‖y − z‖²."""
        error = self.error(z, y) if error is None else error
        of_examples = torch.linalg.vector_norm(error, dim=-1)  # ‖e‖, without memory for squares
        return of_examples.square_().sum(-1).mul_(0.5 / error.shape[-2])

    def sample_error(self, z: Tensor, generators: Sequence[torch.Generator], out: Tensor) -> Tensor:
        """y ~ N(z, I), so e_L = y − z ~ N(0, I) whatever z is."""
        replicas = [out] if len(generators) == 1 else out
        for replica, generator in zip(replicas, generators, strict=True):
            if replica.is_contiguous():
                normal_(replica, generator)
            else:  # the same numbers, however `out` lies in memory
                replica.copy_(normal(replica, generator))
        return out

    def noise_floor(self, outputs: int, variance: float) -> float:
        """½ n σ²."""
        return 0.5 * outputs * variance
