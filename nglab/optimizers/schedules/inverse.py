"""The rate of stochastic approximation: 1/k."""

from dataclasses import dataclass

from torch import Tensor

from nglab.optimizers.schedules.schedule import Schedule
from nglab.settings.fields import Positive, setting


@dataclass(frozen=True, kw_only=True)
class Inverse(Schedule):
    """decay(k) = 1 / (1 + k/τ): Σ α_k diverges, Σ α_k² does not (Robbins & Monro 1951)."""

    after: Positive = setting("τ, after which the rate is halved", unit="steps")

    def decay(self, step: Tensor, steps: int) -> Tensor:
        return 1 / (1 + step / self.after)
