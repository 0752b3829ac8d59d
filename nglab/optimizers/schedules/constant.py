"""The same rate to the end."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nglab.optimizers.schedules.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """decay(k) = 1."""

    def decay(self, step: Tensor, steps: int) -> Tensor:
        return torch.ones_like(step)

    def changing(self, steps: int) -> int:
        return min(max(self.warm_up, 1), steps)
