"""Independent outputs that are 0 or 1: r(y|z) = Π_j σ(z_j)^{y_j} (1 − σ(z_j))^{1 − y_j} with σ(z) = 1/(1 + e^{−z}).

L = Σ_j log(1 + e^{z_j}) − y_j z_j, the cross-entropy, is a loss of targets anywhere between 0 and 1 too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from nglab.likelihoods.likelihood import Likelihood, draw, uniform


@dataclass(frozen=True)
class Bernoulli(Likelihood):
    """Independent y_j ∈ {0, 1} with P(y_j = 1) = σ(z_j): F_R = H_L = diag σ(z)(1 − σ(z)).

    z and y are `[..., M, n_L]`; the loss is the cross-entropy, a mean over the M examples, summed over outputs, in
    units of nats.

    Raises InputError in `train` where the targets are not between 0 and 1.

    Source: Martens (2014), §8.

    >>> Bernoulli().loss(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))  # 2 log 2
    tensor(1.3863)
    """

    takes: ClassVar[tuple[str, ...]] = ("unit interval", "classes")

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        return (softplus(z) - y * z).sum(-1)

    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.sub(y, z.sigmoid(), out=out)

    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        u = draw(uniform, z, generators)
        return torch.lt(u, z.sigmoid(), out=u)

    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        p = z.sigmoid()
        return p * (1 - p) * u

    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        return self.fisher_times(z, u)
