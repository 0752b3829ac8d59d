"""Conjugate gradient as Hessian-free optimization has it: the way down a quadratic model, with its iterates."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nglab.curvature.solvers.conjugate_gradient import Recursion
from nglab.curvature.solvers.solver import Matrix, as_scalars

GROWTH = 1.3
"""From one kept iterate to the next (Martens 2010, §4.6)."""

LEAST_WINDOW, WINDOW_SHARE = 10, 0.1
"""n = max(10, 0.1 k): the steps over which the progress at step k counts (Martens 2010, §4.4)."""


@dataclass(frozen=True)
class Descent:
    """x_k `[..., n]` at k = 1, 2, 3, 4, 5, 7, 9, … (⌈1.3^j⌉) and the last; `steps` `[...]`, the k of the last."""

    kept: list[Tensor]
    steps: Tensor

    @property
    def last(self) -> Tensor:
        return self.kept[-1]


def descend(
    a: Matrix,
    b: Tensor,
    damping: Tensor,
    start: Tensor,
    preconditioner: Callable[[Tensor], Tensor],
    tolerance: Tensor,
    max_steps: int,
) -> Descent:
    """From `start` down φ(x) = ½ xᵀ(A + λI)x − bᵀx until it hardly falls any more; b is `[..., n]`, λ and ε `[...]`.

    Step k is the last where φ(x_k) < 0 and φ(x_{k−n}) − φ(x_k) < n ε |φ(x_k)| (Martens 2010, §4.4), and where there is
    no positive curvature. A member of a stack that is done stays where it is.
    """
    recursion = Recursion(a, b, damping, preconditioner, start)
    right, epsilon = b.unsqueeze(-1), as_scalars(tolerance, b)
    going = torch.ones_like(epsilon, dtype=torch.bool)
    steps, objective, kept = torch.zeros_like(epsilon), [_phi(recursion, right)], []
    while recursion.steps < max_steps and going.any():
        steps += going
        going = recursion.advance_(going)
        objective.append(_phi(recursion, right))
        going = going & ~_stalled(objective, epsilon)
        if is_kept(recursion.steps):
            kept.append(recursion.x.squeeze(-1))
    if not is_kept(recursion.steps):
        kept.append(recursion.x.squeeze(-1))
    return Descent(kept, steps[..., 0, 0])


def is_kept(step: int) -> bool:
    """Whether k is ⌈1.3^j⌉ for some j."""
    return step >= 1 and math.ceil(GROWTH ** math.floor(math.log(step, GROWTH) + 1e-9)) == step


def _phi(recursion: Recursion, right: Tensor) -> Tensor:
    """φ(x) = −½ xᵀ(r + b), `[..., 1, 1]`."""
    return -0.5 * (recursion.x * (recursion.r + right)).sum(-2, keepdim=True)


def _stalled(objective: list[Tensor], epsilon: Tensor) -> Tensor:
    k = len(objective) - 1
    n = max(LEAST_WINDOW, math.ceil(WINDOW_SHARE * k))
    if k <= n:
        return torch.zeros_like(epsilon, dtype=torch.bool)
    now, then = objective[k], objective[k - n]
    return (now < 0) & (then - now < -n * epsilon * now)
