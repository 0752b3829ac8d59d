"""Symmetric positive definite systems by Cholesky factorisation A + λI = R Rᵀ.

`solve` goes through the factor. `invert_` forms the inverse: on the sizes of these networks it and one product take
less time than two triangular solves, in batches above all.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nglab.curvature.solvers.solver import Matrix, Solution, Solver, columns, solution
from nglab.networks import products

WHOLE = 256
"""Above this size LAPACK's inverse falls behind matrix products, so that going by blocks pays."""


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

    def invert_(self, a: Tensor, damping: Tensor, scratch: Tensor, info: Tensor) -> None:
        """As `Solver.invert_`; A and `scratch` are contiguous."""
        inverse_(damped_(a, damping), scratch, info)


def damped_(a: Tensor, damping: float | Tensor) -> Tensor:
    """A + λI, in place."""
    diagonal = a.diagonal(dim1=-2, dim2=-1)
    diagonal += damping.unsqueeze(-1) if isinstance(damping, Tensor) else damping
    return a


def inverse_(a: Tensor, scratch: Tensor, info: Tensor) -> None:
    """Replace A `[..., n, n]` (contiguous) by A⁻¹; of A, symmetric, the entries on and above the diagonal are read.

    `scratch`, of A's shape and contiguous, is overwritten; `info` `[...]` (int32) is 0 where A was numerically positive
    definite: what stands in A elsewhere has no meaning.
    """
    if a.is_cuda:
        _by_triangles_(a, scratch, info)
        return
    if a.shape[-1] <= WHOLE:
        _whole_(a, scratch, info)
        return
    n = a.shape[-1]
    for one in zip(a.view(-1, n, n), scratch.view(-1, n, n), info.view(-1), strict=True):
        _by_blocks_(*one)


def _whole_(a: Tensor, scratch: Tensor, info: Tensor) -> None:
    # LAPACK works on columns, and there on and below the diagonal
    factor, a_columns = scratch.mT, a.mT
    torch.linalg.cholesky_ex(a_columns, out=(factor, info))
    factor.diagonal(dim1=-2, dim2=-1).clamp_(min=torch.finfo(a.dtype).tiny)  # a zero would raise
    torch.cholesky_inverse(factor, out=a_columns)


def _by_triangles_(a: Tensor, scratch: Tensor, info: Tensor) -> None:
    """A⁻¹ = R⁻¹ R⁻ᵀ with A = RᵀR. For a GPU: `cholesky_inverse` has the host look for errors, and so wait."""
    torch.linalg.cholesky_ex(a.mT, out=(scratch.mT, info))
    one = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    inverse = torch.linalg.solve_triangular(scratch, one.expand_as(a), upper=True)
    torch.matmul(inverse, inverse.mT, out=a)


def _by_blocks_(a: Tensor, scratch: Tensor, info: Tensor) -> None:
    """A = [[P, Q], [Qᵀ, R]] `[n, n]` by the inverses of P and of its Schur complement S = R − Qᵀ P⁻¹ Q.

    A is positive definite where P and S are: A⁻¹ = [[P⁻¹ + T S⁻¹ Tᵀ, −T S⁻¹], [−S⁻¹ Tᵀ, S⁻¹]] with T = P⁻¹ Q.
    """
    if len(a) <= WHOLE:
        _whole_(a, scratch, info)
        return
    h = len(a) // 2
    p, q, r, t = a[:h, :h], a[:h, h:], a[h:, h:], scratch[:h, h:]
    of_p, of_s = info.new_empty(2)
    _by_blocks_(p, scratch[:h, :h], of_p)
    products.mm(p, q, out=t)
    products.addmm(r, q.mT, t, alpha=-1, out=r)
    _by_blocks_(r, scratch[h:, h:], of_s)
    products.mm(t, r, out=q)
    products.addmm(p, q, t.mT, out=p)
    a[h:, :h].copy_(q.neg_().mT)
    torch.maximum(of_p, of_s, out=info)
