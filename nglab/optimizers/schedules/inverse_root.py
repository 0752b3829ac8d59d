"""The rate of online learning: 1/√k."""

from dataclasses import dataclass

from torch import Tensor

from nglab.optimizers.schedules.schedule import Schedule
from nglab.settings.fields import Positive, setting


@dataclass(frozen=True, kw_only=True)
class InverseRoot(Schedule):
    """decay(k) = 1 / √(1 + k/τ), as of Zinkevich (2003)."""

    after: Positive = setting("τ; after 3τ the rate is halved", unit="steps")

    def decay(self, step: Tensor, steps: int) -> Tensor:
        return (1 + step / self.after).rsqrt()
