"""Conjugate gradient: (C + λI) x = b from products with C alone, on the device that they run on."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nglab.curvature.operator import Operator


@dataclass(frozen=True)
class Solution:
    """x, the number of products with C that it took, and ‖b − (C + λI)x‖ / ‖b‖ as the recursion has it."""

    x: Tensor
    steps: int
    residual: float


def conjugate_gradient(
    c: Operator | Tensor,
    b: Tensor,
    damping: float,
    tolerance: float,
    max_steps: int,
    preconditioner: Callable[[Tensor], Tensor] | None = None,
) -> Solution:
    """Solve for one b `[P]`, C symmetric positive semi-definite, from x = 0.

    Stops when the relative residual is at most `tolerance`, after `max_steps`, or at a direction p without positive
    curvature pᵀ(C + λI)p (C then is singular or not positive semi-definite). `preconditioner` maps r to P⁻¹r with P
    symmetric positive definite and near C + λI.
    """
    x, r = torch.zeros_like(b), b.clone()
    s = preconditioner(r) if preconditioner else r
    p, rs, scale = s, r @ s, b.norm()
    for step in range(max_steps):
        if r.norm() <= tolerance * scale:
            return Solution(x, step, _ratio(r, scale))
        cp = c @ p + damping * p
        curvature = p @ cp
        if curvature <= 0:
            return Solution(x, step + 1, _ratio(r, scale))
        x = x + (rs / curvature) * p
        r = r - (rs / curvature) * cp
        s = preconditioner(r) if preconditioner else r
        rs, last = r @ s, rs
        p = s + (rs / last) * p
    return Solution(x, max_steps, _ratio(r, scale))


def _ratio(r: Tensor, scale: Tensor) -> float:
    return float(r.norm() / scale) if scale > 0 else 0.0
