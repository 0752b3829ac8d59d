"""Inverses by products alone: a solver is one class."""

from dataclasses import dataclass

import torch

from nglab.curvature.solvers.solver import Solver, as_scalars, columns, solution
from nglab.settings.fields import Count, setting


@dataclass(frozen=True)
class NewtonSchulz(Solver):
    """X ← X (2I − AX) from X = I / ‖A‖: quadratically to A⁻¹ where A is positive definite."""

    steps: Count = setting("how often X is improved")

    def solve(self, a, b, damping):
        one = torch.eye(a.shape[-1], dtype=b.dtype)
        matrix = a.to_dense() + as_scalars(damping, b) * one
        x = one / torch.linalg.matrix_norm(matrix)[..., None, None]
        for _ in range(self.steps):
            x = x @ (2 * one - matrix @ x)
        ok = (torch.linalg.matrix_norm(matrix @ x - one) < 1e-3).reshape(matrix.shape[:-2])
        return solution(a, b, damping, x @ columns(a, b), ok)
