"""Levenberg's and Marquardt's rule for the damping λ, by how well the quadratic model foretold the last step."""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from annotated_types import Gt
from torch import Tensor

from nglab.curvature.damping.damping_rule import DampingRule, DampingState
from nglab.networks.hyperparameters import each
from nglab.settings.fields import Count, NonNegative, setting
from nglab.settings.messages import demand

POOR, GOOD = 0.25, 0.75
"""ρ below which λ rises, and above which it falls (Eq. 21)."""


@dataclass
class LevenbergMarquardtState(DampingState):
    """λ, its floor, what it is multiplied by where it rises and falls (in float32 throughout), all `[...]`."""

    floor: Tensor
    rise: Tensor
    fall: Tensor
    steps: int = 0  # taken or not


@dataclass(frozen=True)
class LevenbergMarquardt(DampingRule):
    """Eq. 21 with factor 3/2: λ ← 3λ/2 where ρ < 1/4, λ ← 2λ/3 where ρ > 3/4, never below `min`.

    With an `interval` of T steps λ is adapted at every T-th, from that step's ρ, by factorᵀ (Martens & Grosse 2015,
    §6.5), the only one whose loss is looked at. After a step that was not taken it rises by factorᵀ at once, whatever
    ρ; where ρ is noise it stays. The floor is ours: without it λ falls for ever on the linear networks, until
    Λ + √λ I is no longer positive definite.
    """

    min: NonNegative = setting("λ never falls below; ours", paper="none")
    factor: Annotated[float, Gt(1)] = setting("λ is multiplied or divided by, a step", paper="3/2")
    interval: Count = setting("steps from one adaptation of λ to the next", paper="1")

    @property
    def capturable(self) -> bool:
        return self.interval == 1

    def check(self, key: str, run: Any) -> None:
        right = f"from 0 to {key}.initial={self.initial:g}"
        demand(self.min <= self.initial, f"{key}.min", self.min, right)

    def init(self, per_replica: Tensor) -> LevenbergMarquardtState:
        factor = each(self.factor, per_replica.double()) ** self.interval
        return LevenbergMarquardtState(
            each(self.initial, per_replica),
            floor=each(self.min, per_replica),
            rise=factor.float(),
            fall=(1 / factor).float(),
        )

    def compares(self, state: LevenbergMarquardtState) -> bool:
        return (state.steps + 1) % self.interval == 0

    def update_(
        self, state: LevenbergMarquardtState, ratio: Tensor, failed: Tensor, informative: Tensor
    ) -> None:
        due = self.compares(state)
        state.steps += 1
        ratio = torch.where(informative & due, ratio, 0.5).masked_fill_(failed, 0.0)
        factor = torch.where(ratio < POOR, state.rise, torch.where(ratio > GOOD, state.fall, 1.0))
        torch.maximum(state.value.mul_(factor), state.floor, out=state.value)
