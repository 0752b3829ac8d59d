"""Independent outputs that are 0 or 1."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import softplus

from nglab.likelihoods.likelihood import Likelihood, _draw


class Bernoulli(Likelihood):
    """Independent y_j ∈ {0, 1} with P(y_j = 1) = σ(z_j): F_R = H_L = diag σ(z)(1 − σ(z))."""

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        return (softplus(z) - y * z).sum(-1)

    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.sub(y, z.sigmoid(), out=out)

    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return _draw(lambda p, g: torch.bernoulli(p, generator=g), z.sigmoid(), generators)

    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        p = z.sigmoid()
        return p * (1 - p) * u

    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        return self.fisher_times(z, u)
