"""The Gaussian of unit covariance: half the squared error."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nglab.likelihoods.likelihood import _draw, _normal_like


class Gaussian:
    """r(y|z) = N(y; z, I), the case Σ̃ = I that the optimizers train with: h = ½ ⟨‖y − z‖²⟩ (Eq. 6)."""

    @staticmethod
    def error(z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        """e_L = y − z, the negative gradient of the loss of each example (Eq. 8)."""
        return torch.sub(y, z, out=out)

    @staticmethod
    def sample_error(out: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """e_L for targets drawn from the model: y ~ N(z, I), so y − z ~ N(0, I) whatever z is.

        One generator fills `out`; several fill one replica `out[r]` each.
        """
        replicas = [out] if len(generators) == 1 else out
        for replica, generator in zip(replicas, generators, strict=True):
            if replica.is_contiguous():
                replica.normal_(generator=generator)
            else:  # the same numbers, however `out` lies in memory
                replica.copy_(_normal_like(replica, generator))
        return out

    @staticmethod
    def loss(error: Tensor) -> Tensor:
        """h = ½ · mean over examples of ‖y − z‖²: e_L `[..., M, n_L]` → `[...]`."""
        return error.square().sum((-2, -1)).mul_(0.5 / error.shape[-2])

    @staticmethod
    def losses(z: Tensor, y: Tensor) -> Tensor:
        return 0.5 * (y - z).square().sum(-1)

    @staticmethod
    def sample(z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return z + _draw(_normal_like, z, generators)

    @staticmethod
    def fisher_times(z: Tensor, u: Tensor) -> Tensor:
        return u

    @staticmethod
    def hessian_times(z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        return u
