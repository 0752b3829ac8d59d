"""The inverse of a running second moment, kept up to date by the Sherman–Morrison–Woodbury formula."""

import torch
from torch import Tensor


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
