"""How the damping λ of a natural-gradient step evolves."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class LevenbergMarquardt:
    """Eq. 21: λ ← 3λ/2 where ρ < 1/4, λ ← 2λ/3 where ρ > 3/4, never below `min`.

    ρ is the actual decrease of the batch's loss over the decrease that the quadratic model predicts. The floor is
    ours: without it λ falls for ever on the linear networks, until Λ + √λ I is no longer positive definite.
    """

    initial: float | Tensor  # λ₀; a tensor [replicas] in a stack
    min: float | Tensor  # the floor of λ

    def update_(self, damping: Tensor, ratio: Tensor, failed: Tensor, informative: Tensor) -> None:
        """λ_k, in `damping`, becomes λ_{k+1}. All arguments `[...]`, one entry a replica, on one device.

        `failed`: the step was not taken: λ rises. `informative` is False where the
        predicted decrease drowns in the rounding of the loss, so that ρ is noise: λ stays.
        """
        ratio = torch.where(informative, ratio, 0.5).masked_fill_(failed, 0.0)
        factor = torch.where(ratio < 0.25, 1.5, torch.where(ratio > 0.75, 2 / 3, 1.0))
        damping.mul_(factor).clamp_(min=self.min)

    def like(self, per_replica: Tensor) -> "LevenbergMarquardt":
        """The rule with its floor of the type and on the device of λ, `per_replica` `[...]`."""
        if isinstance(self.min, float):
            return self
        return replace(self, min=as_like(self.min, per_replica))


def as_like(value: float | Tensor, like: Tensor) -> Tensor:
    """A hyper-parameter, scalar or `[replicas]`, as a tensor of the type and on the device of `like`."""
    return torch.as_tensor(value, dtype=like.dtype, device=like.device)
