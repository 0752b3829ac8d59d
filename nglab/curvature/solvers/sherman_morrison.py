"""The Sherman–Morrison–Woodbury formula: a matrix that is given by its rows, inverted through products of the rows.

`ShermanMorrison` solves with the mean of all rows; `start` and `update` keep the inverse of a running mean.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nglab.curvature.solvers.cholesky import Cholesky
from nglab.curvature.solvers.second_moment import SecondMoment
from nglab.curvature.solvers.solver import Matrix, Solution, Solver, as_scalars, columns, solution
from nglab.errors import InputError


@dataclass(frozen=True)
class ShermanMorrison(Solver):
    """x = (b − Uᵀ (U Uᵀ + kλI)⁻¹ U b) / λ for A = UᵀU/k, the `SecondMoment` of k rows: a k × k system instead of n × n.

    Exact, λ > 0; k² n + k³/3 multiply-adds. Raises InputError for a matrix that is not given by its rows.

    >>> a = SecondMoment(torch.tensor([[1.0, 1.0, 0.0]]))
    >>> ShermanMorrison().solve(a, torch.tensor([2.0, 0.0, 1.0]), damping=1.0).x
    tensor([ 1.3333, -0.6667,  1.0000])
    """

    def solve(self, a: Matrix, b: Tensor, damping: float | Tensor) -> Solution:
        if not isinstance(a, SecondMoment):
            raise InputError(
                f"ShermanMorrison: the matrix is a {type(a).__name__}, must be a SecondMoment of its rows"
            )
        u, right, each = a.rows, columns(a, b), as_scalars(damping, b)
        k = u.shape[-2]
        inner = Cholesky().solve(u @ u.mT, u @ right, k * damping)
        x = (right - u.mT @ inner.x) / each
        return solution(a, b, damping, x, inner.ok & (each[..., 0, 0] > 0))


def start(n: int, damping: float, like: Tensor) -> Tensor:
    """A_0⁻¹ = I/λ for A_0 = λI `[n, n]`, of the type and on the device of `like`."""
    return torch.eye(n, dtype=like.dtype, device=like.device) / damping


def update(inverse: Tensor, rows: Tensor, keep: float | Tensor, weight: float | Tensor) -> Tensor:
    """A⁻¹ → (keep · A + weight · ⟨u uᵀ⟩)⁻¹, the mean over the k rows u of `rows` `[..., k, n]`.

    Costs O(k n² + k³) instead of O(n³); one row is Sherman & Morrison's rank-1 case. Keep = 1 − 1/t and weight 1/t make
    the mean of all rows seen, a constant keep = 1 − weight a decaying average. The damping is kept as A is: from
    A_0 = λI it is λ times the product of all keeps. Rounding adds up over many updates: start anew from time to time.
    """
    k = rows.shape[-2]
    inverse = inverse / keep
    reached = rows @ inverse  # UᵀA⁻¹, [..., k, n]
    small = reached @ rows.mT + torch.eye(k, dtype=rows.dtype, device=rows.device) * (k / weight)
    return inverse - reached.mT @ torch.linalg.solve(small, reached)
