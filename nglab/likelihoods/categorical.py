"""One of several classes: softmax and cross-entropy."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nglab.likelihoods.likelihood import Likelihood, _draw


class Categorical(Likelihood):
    """Softmax inside L: L = −yᵀz + log Σ_j exp z_j, z logits, y one-hot or class probabilities (M §8).

    With p = softmax(z), F_R = H_L = S = diag p − ppᵀ.
    """

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        return z.logsumexp(-1) - (y * z).sum(-1)

    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.sub(y, z.softmax(-1), out=out)

    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return CategoricalProbabilities().sample(z.softmax(-1), generators)

    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        return softmax_jacobian_times(z.softmax(-1), u)

    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        return softmax_jacobian_times(z.softmax(-1), u)


def softmax_jacobian_times(p: Tensor, u: Tensor) -> Tensor:
    """S u = (diag p − ppᵀ) u, the derivative of p = softmax(z); S is symmetric."""
    return p * (u - (p * u).sum(-1, keepdim=True))


class CategoricalProbabilities(Likelihood):
    """r(y|z) = z_y: z holds the class probabilities themselves, L = −Σ_j y_j log z_j, y one-hot.

    F_R = diag 1/z, H_L = diag y/z².
    """

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        return -(y * z.log()).sum(-1)

    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.div(y, z, out=out)

    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        def one(p: Tensor, generator: torch.Generator) -> Tensor:
            classes = torch.multinomial(p.flatten(0, -2), 1, generator=generator)
            y = torch.zeros_like(p, memory_format=torch.contiguous_format)
            return y.scatter_(-1, classes.view(*p.shape[:-1], 1), 1.0)

        return _draw(one, z, generators)

    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        return u / z

    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        return y * u / z.square()


class SoftmaxInNetwork(Likelihood):
    """Softmax inside f: the softmax is the network's last step, and the loss is one of probabilities.

    z is the input of the softmax, as in `Categorical`, and loss, error and Fisher are the same. `hessian_times` is
    what a GGN of this f has between J_zᵀ and J_z: S H_L S with H_L = diag y/p². The softmax is linearised with the
    rest of f, so that this is not ∂²L/∂z².
    """

    def __init__(self) -> None:
        self.inner = CategoricalProbabilities()

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        return -(y * z.log_softmax(-1)).sum(-1)

    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.sub(y, z.softmax(-1), out=out)

    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return self.inner.sample(z.softmax(-1), generators)

    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        p = z.softmax(-1)
        return softmax_jacobian_times(p, self.inner.fisher_times(p, softmax_jacobian_times(p, u)))

    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        p = z.softmax(-1)
        inside = self.inner.hessian_times(p, y, softmax_jacobian_times(p, u))
        return softmax_jacobian_times(p, inside)
