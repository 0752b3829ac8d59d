"""The Moore–Penrose inverse of symmetric matrices by their eigenvalues, with a stated cut-off."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nglab.curvature.solvers.solver import (
    Matrix,
    Solution,
    Solver,
    as_scalars,
    columns,
    eigenpairs,
    solution,
)
from nglab.settings.fields import NonNegative, setting


@dataclass(frozen=True)
class PseudoInverse(Solver):
    """x = (A + λI)⁺ b, the shortest of those that leave the smallest residual: λ may be 0 where A is singular.

    It fails where A + λI has a negative eigenvalue above the cut-off in size.

    >>> a, b = torch.diag(torch.tensor([2.0, 0.0])), torch.tensor([1.0, 1.0])
    >>> PseudoInverse(cutoff=None).solve(a, b, damping=0.0).x
    tensor([0.5000, 0.0000])
    """

    cutoff: NonNegative | None = setting(
        "eigenvalues up to this share of the largest count as zero; null: n times the machine epsilon"
    )

    def solve(self, a: Matrix, b: Tensor, damping: float | Tensor) -> Solution:
        vectors, inverse = _inverse_pairs(a.to_dense(), damping, self.cutoff)
        x = vectors @ (inverse.unsqueeze(-1) * (vectors.mT @ columns(a, b)))
        return solution(a, b, damping, x, (inverse >= 0).all(-1))


def pseudo_inverse(a: Tensor, damping: float | Tensor = 0.0, cutoff: float | None = None) -> Tensor:
    """(A + λI)⁺ for symmetric A `[..., n, n]`; λ is a float or `[...]`.

    Eigenvalues of A + λI that are at most `cutoff` × the largest in size count as zero. The default, n times the
    machine epsilon, is that of `torch.linalg.matrix_rank`.

    >>> pseudo_inverse(torch.diag(torch.tensor([2.0, 0.0])))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    vectors, inverse = _inverse_pairs(a, damping, cutoff)
    return (vectors * inverse.unsqueeze(-2)) @ vectors.mT


def _inverse_pairs(
    a: Tensor, damping: float | Tensor, cutoff: float | None
) -> tuple[Tensor, Tensor]:
    """Eigenvectors of A + λI and the eigenvalues of its pseudo-inverse `[..., n]`."""
    values, vectors = eigenpairs(a)
    values = values + as_scalars(damping, a)[..., 0]
    size = values.abs()
    relative = a.shape[-1] * torch.finfo(a.dtype).eps if cutoff is None else cutoff
    zero = size <= relative * size.amax(-1, keepdim=True)
    return vectors, torch.where(zero, 0.0, 1 / torch.where(zero, 1.0, values))
