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
    """What `ConjugateGradient` does, from x = 0; `preconditioner` is that of `Recursion`.

    A column stops at its tolerance or without positive curvature; the host looks at every step whether all have.
    """
    recursion = Recursion(a, b, damping, preconditioner)
    goal = tolerance * _norm(recursion.r)
    going = _norm(recursion.r) > goal
    while recursion.steps < max_steps and going.any():
        going = recursion.advance_(going)
        going = going & (_norm(recursion.r) > goal)
    solved = (_norm(recursion.r) <= goal).all(-1).all(-1)
    return solution(a, b, damping, recursion.x, solved, recursion.steps)


class Recursion:
    """x_k, the least ½ xᵀ(A + λI)x − bᵀx over x_0 and the k directions so far, and r_k = b − (A + λI) x_k.

    Both are columns `[..., n, k]`; x_0 is `start`, shaped as b, or zero. `preconditioner` maps columns r to P⁻¹r, P
    symmetric positive definite and near A + λI. When to stop is up to the caller.
    """

    def __init__(
        self,
        a: Matrix,
        b: Tensor,
        damping: float | Tensor,
        preconditioner: Callable[[Tensor], Tensor] | None = None,
        start: Tensor | None = None,
    ) -> None:
        self.a, self.damping, self.steps = a, as_scalars(damping, b), 0
        self.preconditioner = preconditioner or (lambda r: r)
        self.r = columns(a, b).clone()
        if start is None:
            self.x = torch.zeros_like(self.r)
        else:
            self.x = columns(a, start).clone()
            self.r -= self._times(self.x)
        self.p = self.preconditioner(self.r)
        self.rs = self.last = _dot(self.r, self.p)  # rᵀP⁻¹r, now and before the last step

    def advance_(self, going: Tensor) -> Tensor:
        """A step of the columns that are `going`, bool `[..., 1, k]`; those of them with positive curvature there."""
        if self.steps:
            s = self.preconditioner(self.r)
            self.rs, self.last = _dot(self.r, s), self.rs
            self.p = s + torch.where(going, self.rs / self.last, 0.0) * self.p
        ap = self._times(self.p)
        curvature = _dot(self.p, ap)
        going = going & (curvature > 0)
        rate = torch.where(going, self.rs / curvature, 0.0)
        self.x = self.x + rate * self.p
        self.r = self.r - rate * ap
        self.steps += 1
        return going

    def _times(self, v: Tensor) -> Tensor:
        return self.a @ v + self.damping * v


def _norm(v: Tensor) -> Tensor:
    """‖v‖ of every column, `[..., 1, k]`."""
    return torch.linalg.vector_norm(v, dim=-2, keepdim=True)


def _dot(v: Tensor, w: Tensor) -> Tensor:
    return (v * w).sum(-2, keepdim=True)
