"""Symmetric positive definite systems by Cholesky factorisation A + λI = RᵀR, R upper triangular.

The inverse is never formed: R stands for it, and a product with it is two triangular solves, which take no more
arithmetic than one with the inverse. A GPU alone, where they take much longer than a product, has the inverse.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nglab.curvature.solvers.solver import Matrix, Solution, Solver, columns, solution


@dataclass(frozen=True)
class Cholesky(Solver):
    """Exact, n³/3 multiply-adds for one b. It fails where A + λI is not numerically positive definite.

    >>> a = torch.tensor([[2.0, 1.0], [1.0, 1.0]])
    >>> Cholesky().solve(a, torch.tensor([5.0, 3.0]), damping=1.0)  # doctest: +ELLIPSIS
    Solution(x=tensor([1.4000, 0.8000]), ok=tensor(True), steps=0, ...
    """

    capturable: ClassVar[bool] = True

    def solve(self, a: Matrix, b: Tensor, damping: float | Tensor) -> Solution:
        factor, info = torch.linalg.cholesky_ex(damped_(a.to_dense().clone(), damping))
        return solution(a, b, damping, torch.cholesky_solve(columns(a, b), factor), info == 0)

    def invert_(self, a: Tensor, damping: Tensor, info: Tensor) -> None:
        """As `Solver.invert_`, with R for the inverse; A is contiguous."""
        factor_(damped_(a, damping), info)
        if a.is_cuda:
            inverse_of_factor_(a)

    def from_left(self, inverse: Tensor, v: Tensor, out: Tensor) -> None:
        """R⁻¹ R⁻ᵀ v; fastest where the rows of `out` lie one after the other."""
        if inverse.is_cuda:
            super().from_left(inverse, v, out)
            return
        solve_triangular(inverse.mT, v, upper=False, out=out)
        solve_triangular(inverse, out, upper=True, out=out)

    def from_right(self, v: Tensor, inverse: Tensor, out: Tensor) -> None:
        """v R⁻¹ R⁻ᵀ; fastest where the columns of `out` lie one after the other."""
        if inverse.is_cuda:
            super().from_right(v, inverse, out)
            return
        solve_triangular(inverse, v, upper=True, left=False, out=out)
        solve_triangular(inverse.mT, out, upper=False, left=False, out=out)


solve_triangular = torch.linalg.solve_triangular


def damped_(a: Tensor, damping: float | Tensor) -> Tensor:
    """A + λI, in place."""
    diagonal = a.diagonal(dim1=-2, dim2=-1)
    diagonal += damping.unsqueeze(-1) if isinstance(damping, Tensor) else damping
    return a


def factor_(a: Tensor, info: Tensor) -> None:
    """Replace A `[..., n, n]` (contiguous) by R with A = RᵀR; of A the entries on and above the diagonal are read.

    `info` `[...]` (int32) is 0 where A was numerically positive definite: what stands in A elsewhere has no meaning.
    """
    a_columns = a.mT  # LAPACK works on columns, and there on and below the diagonal
    torch.linalg.cholesky_ex(a_columns, out=(a_columns, info))


def inverse_of_factor_(r: Tensor) -> None:
    """Replace R by R⁻¹ R⁻ᵀ = A⁻¹; `cholesky_inverse` has the host look for errors, and so wait for a GPU."""
    one = torch.eye(r.shape[-1], dtype=r.dtype, device=r.device)
    inverse = solve_triangular(r, one.expand_as(r), upper=True)
    torch.matmul(inverse, inverse.mT, out=r)
