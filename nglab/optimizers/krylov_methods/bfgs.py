"""BFGS for a function of a few variables (Nocedal & Wright 2006, §6.1), from zero."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

ARMIJO, CURVATURE, TRIES = 1e-4, 0.9, 20
"""c₁ and c₂ of the weak Wolfe conditions, and the points at most in which a step looks for them."""


@dataclass(frozen=True)
class Point:
    """f and ∇f at x `[k]`."""

    x: Tensor
    value: float
    slope: Tensor


Function = Callable[[Tensor], Point]


def bfgs(
    function: Function, start: Tensor, steps: int, least_gain: float = 0.0
) -> tuple[Point, int]:
    """The last point of so many steps at most, and the steps taken; none of them raises f.

    The approximate inverse Hessian H starts as I. It is over where ½ ∇fᵀH ∇f, what its quadratic model would gain, is
    less than `least_gain` times |f|, or no step satisfies Wolfe's conditions.
    """
    inverse = torch.eye(len(start), dtype=start.dtype, device=start.device)
    here = function(start)
    for taken in range(steps):
        direction = -inverse @ here.slope
        if -0.5 * float(direction @ here.slope) < least_gain * abs(here.value):
            return here, taken
        there = line_search_wolfe(function, here, direction)
        if there is None:
            return here, taken
        inverse = updated(inverse, there.x - here.x, there.slope - here.slope)
        here = there
    return here, steps


def line_search_wolfe(function: Function, here: Point, direction: Tensor) -> Point | None:
    """A point along `direction` where f fell enough and its slope too (weak Wolfe), by doubling and halving.

    Of Lewis & Overton (2013), Algorithm 2.6. None where there is no such point among the first ones.
    """
    low, high, t = 0.0, float("inf"), 1.0
    slope = float(here.slope @ direction)
    for _ in range(TRIES):
        there = function(here.x + t * direction)
        if not there.value <= here.value + ARMIJO * t * slope:
            high = t
        elif float(there.slope @ direction) < CURVATURE * slope:
            low = t
        else:
            return there
        t = 0.5 * (low + high) if high < float("inf") else 2 * low
    return None


def updated(inverse: Tensor, s: Tensor, y: Tensor) -> Tensor:
    """H ← (I − ρ s yᵀ) H (I − ρ y sᵀ) + ρ s sᵀ with ρ = 1 / yᵀs, positive by Wolfe's conditions."""
    rho = 1 / (y @ s)
    left = torch.eye(len(s), dtype=s.dtype, device=s.device) - rho * torch.outer(s, y)
    return left @ inverse @ left.mT + rho * torch.outer(s, s)
