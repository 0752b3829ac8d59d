"""Half a period of a cosine, from the full rate to a share of it at the run's end."""

import math
from dataclasses import dataclass

from torch import Tensor

from nglab.optimizers.schedules.schedule import Schedule
from nglab.settings.fields import Share, setting


@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """decay(k) = s + (1 − s) · ½ (1 + cos(π k/K)) for k = 0 … K − 1 (Loshchilov & Hutter 2017, Eq. 5, one period)."""

    final: Share = setting("s, the share of the rate that is left at the end", paper="0")

    def decay(self, step: Tensor, steps: int) -> Tensor:
        wave = (1 + (math.pi * step / steps).cos()) / 2
        return self.final + (1 - self.final) * wave
