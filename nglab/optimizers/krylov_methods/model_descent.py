"""Conjugate gradient as Hessian-free optimization has it: the way down a quadratic model, with its iterates."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nglab.curvature.solvers.conjugate_gradient import Recursion
from nglab.curvature.solvers.solver import Matrix

KEPT = {math.ceil(1.3**j) for j in range(64)}
"""The steps whose iterates are kept (Martens 2010, §4.6)."""

LEAST_WINDOW, WINDOW_SHARE = 10, 0.1
"""n = max(10, 0.1 k): the steps over which the progress at step k counts (Martens 2010, §4.4)."""


@dataclass(frozen=True)
class Descent:
    """x_k `[n]` at k = 1, 2, 3, 4, 5, 7, 9, … (⌈1.3^j⌉) and at the last of so many `steps`."""

    kept: list[Tensor]
    steps: int

    @property
    def last(self) -> Tensor:
        return self.kept[-1]


def descend(
    a: Matrix,
    b: Tensor,
    damping: Tensor,
    start: Tensor,
    preconditioner: Callable[[Tensor], Tensor],
    tolerance: float,
    max_steps: int,
) -> Descent:
    """From `start` down φ(x) = ½ xᵀ(A + λI)x − bᵀx until it hardly falls any more; b is `[n]`.

    Step k is the last where φ(x_k) < 0 and φ(x_{k−n}) − φ(x_k) < n ε |φ(x_k)| (Martens 2010, §4.4), and where there is
    no positive curvature. `preconditioner` maps r `[n, 1]` to P⁻¹r.
    """
    recursion = Recursion(a, b, damping, preconditioner, start)
    going = torch.ones(1, 1, dtype=torch.bool, device=b.device)
    objective, kept = [_phi(recursion, b)], []
    while recursion.steps < max_steps and going and not _stalled(objective, tolerance):
        going = recursion.advance_(going)
        objective.append(_phi(recursion, b))
        if recursion.steps in KEPT:
            kept.append(recursion.x.squeeze(-1))
    if recursion.steps not in KEPT:
        kept.append(recursion.x.squeeze(-1))
    return Descent(kept, recursion.steps)


def _phi(recursion: Recursion, b: Tensor) -> float:
    """φ(x) = −½ xᵀ(r + b)."""
    return -0.5 * float(recursion.x.squeeze(-1) @ (recursion.r.squeeze(-1) + b))


def _stalled(objective: list[float], epsilon: float) -> bool:
    k = len(objective) - 1
    n = max(LEAST_WINDOW, math.ceil(WINDOW_SHARE * k))
    if k <= n:
        return False
    now, then = objective[k], objective[k - n]
    return now < 0 and then - now < -n * epsilon * now
