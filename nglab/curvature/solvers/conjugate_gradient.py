"""Conjugate gradient: (A + λI) x = b from products with A alone, on the device that they run on."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nglab.curvature.solvers.solver import Matrix, Solution, Solver, as_scalars, columns, solution
from nglab.settings.fields import Count, NonNegative, setting


@dataclass(frozen=True)
class ConjugateGradient(Solver):
    """x of every column of b by its own recursion, all with one product a step.

    It fails where a column is not solved to the tolerance within `max_steps`, and where pᵀ(A + λI)p ≤ 0 at a direction
    p: A + λI then is singular or not positive definite.

    >>> a, b = torch.diag(torch.tensor([1.0, 3.0])), torch.tensor([2.0, 4.0])
    >>> found = ConjugateGradient(tolerance=1e-6, max_steps=10).solve(a, b, damping=1.0)
    >>> found.x, found.steps
    (tensor([1.0000, 1.0000]), 2)
    """

    tolerance: NonNegative = setting("of ‖b − (A + λI)x‖ / ‖b‖ as the recursion has it")
    max_steps: Count = setting("products with A at most")

    def solve(self, a: Matrix, b: Tensor, damping: float | Tensor) -> Solution:
        return conjugate_gradient(a, b, damping, self.tolerance, self.max_steps)


def conjugate_gradient(
    a: Matrix,
    b: Tensor,
    damping: float | Tensor,
    tolerance: float,
    max_steps: int,
    preconditioner: Callable[[Tensor], Tensor] | None = None,
) -> Solution:
    """What `ConjugateGradient` does, from x = 0; `preconditioner` maps columns r `[..., n, k]` to P⁻¹r.

    P is symmetric positive definite and near A + λI. A column stops at its tolerance or without positive curvature;
    the host looks at every step whether all have.
    """
    r, each = columns(a, b).clone(), as_scalars(damping, b)
    x, goal = torch.zeros_like(r), tolerance * _norm(r)
    s = preconditioner(r) if preconditioner else r
    p, rs, steps = s, _dot(r, s), 0
    going = _norm(r) > goal
    while steps < max_steps and going.any():
        ap = a @ p + each * p
        curvature, steps = _dot(p, ap), steps + 1
        going = going & (curvature > 0)
        rate = torch.where(going, rs / curvature, 0.0)
        x = x + rate * p
        r = r - rate * ap
        s = preconditioner(r) if preconditioner else r
        rs, last = _dot(r, s), rs
        going = going & (_norm(r) > goal)
        p = s + torch.where(going, rs / last, 0.0) * p
    return solution(a, b, damping, x, (_norm(r) <= goal).all(-1).all(-1), steps)


def _norm(v: Tensor) -> Tensor:
    """‖v‖ of every column, `[..., 1, k]`."""
    return torch.linalg.vector_norm(v, dim=-2, keepdim=True)


def _dot(v: Tensor, w: Tensor) -> Tensor:
    return (v * w).sum(-2, keepdim=True)
