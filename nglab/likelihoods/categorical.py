"""One of n classes: r(y|z) = p_c for the class c of a one-hot y, with p = softmax(z), p_j = e^{z_j} / Σ_k e^{z_k}.

M = Martens (2014): the exponential families of its §8, and the softmax that belongs to L there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nglab.likelihoods.likelihood import Likelihood, draw, uniform


@dataclass(frozen=True)
class Categorical(Likelihood):
    """Softmax inside L: L = −yᵀz + log Σ_j exp z_j, z logits, y one-hot or class probabilities (M §8).

    With p = softmax(z), F_R = H_L = S = diag p − ppᵀ.

    z and y are `[..., M, n_L]`; the loss is a mean over the M examples, in units of nats. `test_error` is in percent.

    Raises InputError in `train` where the targets are no classes.

    Source: Martens (2014), §8.

    >>> Categorical().loss(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))  # log 2
    tensor(0.6931)
    """

    takes: ClassVar[tuple[str, ...]] = ("classes",)
    columns: ClassVar[Mapping[str, str]] = {
        "error": "percent of the test examples whose most probable class is another than theirs"
    }

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        return z.logsumexp(-1) - (y * z).sum(-1)

    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        """e_L = y − p."""
        return torch.sub(y, z.softmax(-1), out=out)

    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        p = z.softmax(-1)
        return one_hot(draw_classes(p, p, generators), p)

    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        return softmax_jacobian_times(z.softmax(-1), u)

    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        return softmax_jacobian_times(z.softmax(-1), u)

    def fisher_root(self, z: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
        """S = (I − p 1ᵀ) diag √p and w = e_L / √p: S Sᵀ = diag p − ppᵀ as Σ p = 1, S w = e_L as Σ e_L = 0."""
        p = z.softmax(-1).clamp(min=torch.finfo(z.dtype).tiny)
        root = p.sqrt()
        columns = torch.diag_embed(root) - root.unsqueeze(-1) * p.unsqueeze(-2)
        return columns.movedim(-2, -3), (error / root).mT

    def sample_error(self, z: Tensor, generators: Sequence[torch.Generator], out: Tensor) -> Tensor:
        """e_L = y − p; the K targets of an example are drawn from one p."""
        p = z.softmax(-1).unsqueeze(-3)
        classes = draw_classes(p, out, generators)
        torch.neg(p.expand(out.shape), out=out)
        return out.scatter_add_(-1, classes, out.new_ones(()).expand(classes.shape))

    def measures(self, z: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"error": percent_wrong(z, y)}


def softmax_jacobian_times(p: Tensor, u: Tensor) -> Tensor:
    """S u = (diag p − ppᵀ) u, the derivative of p = softmax(z); S is symmetric."""
    return p * (u - (p * u).sum(-1, keepdim=True))


def draw_classes(p: Tensor, like: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """A class c ~ p for each row of `like` `[..., n]`, as numbers `[..., 1]`; p broadcasts against `like`.

    c is the number of j with p_1 + … + p_j ≤ u, u uniform: nothing is read back from the device, as `multinomial` does,
    and a p that is not finite gives class 0.
    """
    cumulative = p.cumsum(-1)
    u = draw(uniform, like[..., :1], generators) * cumulative[..., -1:]  # below the last one
    return (cumulative <= u).sum(-1, keepdim=True).clamp_(max=p.shape[-1] - 1)


def one_hot(classes: Tensor, like: Tensor) -> Tensor:
    """1 at the class of each row, `[..., n]`, else 0."""
    y = torch.zeros_like(like, memory_format=torch.contiguous_format)
    return y.scatter_(-1, classes, 1.0)


def percent_wrong(z: Tensor, y: Tensor) -> Tensor:
    """Percent of the examples whose largest z is not at their class, `[...]`, in float64."""
    return (z.argmax(-1) != y.argmax(-1)).double().mul_(100).mean(-1)
