"""How the damping λ of a natural-gradient step evolves."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from nglab.networks.hyperparameters import each
from nglab.settings.checked import Settings
from nglab.settings.fields import Positive, setting


@dataclass
class DampingState:
    """λ `[...]`, one a replica, in memory that stays where it is."""

    value: Tensor


@dataclass(frozen=True)
class DampingRule(Settings):
    """λ₀ and what becomes of it, step by step."""

    initial: Positive = setting("λ before the first step")

    @property
    def capturable(self) -> bool:
        """Whether a CUDA graph may hold a step: no decision that changes from step to step is made in Python."""
        return True

    def check(self, key: str, run: Any) -> None:
        """Raise InputError where the settings at `key` do not go with each other or the rest of the run."""

    def init(self, per_replica: Tensor) -> DampingState:
        """The state before the first step; `per_replica` `[...]` has the type and the device of λ."""
        return DampingState(each(self.initial, per_replica))

    def compares(self, state: Any) -> bool:
        """Whether the next `update_` asks for ρ; a step that is not compared is taken without a look at its loss."""
        return True

    @abstractmethod
    def update_(self, state: Any, ratio: Tensor, failed: Tensor, informative: Tensor) -> None:
        """λ after a step. All arguments `[...]`, one entry a replica, on one device.

        `ratio`: ρ, the actual decrease of the batch's loss over the decrease that the quadratic model predicts.
        `failed`: the step was not taken. `informative` is False where the predicted decrease drowns in the rounding
        of the loss, so that ρ is noise.
        """
