"""A damping that stays."""

from dataclasses import dataclass

from torch import Tensor

from nglab.curvature.damping.damping_rule import DampingRule, DampingState


@dataclass(frozen=True)
class ConstantDamping(DampingRule):
    """λ = λ₀ at every step, also after one that was not taken."""

    def update_(
        self, state: DampingState, ratio: Tensor, failed: Tensor, informative: Tensor
    ) -> None:
        """Nothing."""
