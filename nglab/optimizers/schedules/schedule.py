"""How a rate falls while a run goes on: α_k = α · factor(k), a value that any method takes.

rate = self.schedule.start(alpha, task.steps)     # in `init`; a part of the state
alpha = state.rate.advance_()                     # in `step`; the rate of this step
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor

from nglab.data.batches import steps_of
from nglab.optimizers.schedules.rate import FixedRate, Rate, TableRate
from nglab.settings.checked import Settings
from nglab.settings.fields import setting
from nglab.settings.messages import demand


@dataclass(frozen=True, kw_only=True)
class Schedule(Settings):
    """factor(k) = min(1, (k + 1) / w) · decay(max(0, k − w), K − w) for the steps k = 0 … K − 1.

    w is `warm_up`: the rate rises in a straight line to its full value at step w, and stays or falls from there.
    """

    warm_up: Annotated[int, Ge(0)] = setting(
        "w, over which the rate rises to its full value", unit="steps"
    )

    @abstractmethod
    def decay(self, step: Tensor, steps: int) -> Tensor:
        """The share of the full rate, in (0, 1], `step` steps after the warm-up, of `steps` in all that follow it.

        `step` is float64 and broadcasts against settings `[replicas]`; pure.
        """

    def check(self, key: str, run: Any) -> None:
        """InputError where the rate never gets to its full value."""
        steps = steps_of(run.train.passes, run.data.train_examples, run.optimizer.batch_size)
        right = f"at most {steps}, the run's steps"
        demand(self.warm_up <= steps, f"{key}.warm_up", self.warm_up, right)

    def factor(self, step: Tensor, steps: int) -> Tensor:
        """factor(k) for k = `step`, of `steps` in all: in (0, 1], float64."""
        rise = ((step + 1) / max(self.warm_up, 1)).clamp(max=1)
        return rise * self.decay((step - self.warm_up).clamp(min=0), max(steps - self.warm_up, 1))

    def changing(self, steps: int) -> int:
        """How many steps have a rate of their own: those after them have that of the last of these."""
        return steps

    def start(
        self, alpha: Tensor, steps: int, of: Callable[[Tensor], Tensor] = torch.clone
    ) -> Rate:
        """`of`(α_k) for k = 0, 1, …, kept; α `[...]`, one entry a replica.

        `of` works entry by entry on α `[..., ]` and may append axes. After `steps` steps the rate stays what it is.
        """
        k = torch.arange(self.changing(steps), dtype=torch.float64).view(-1, *[1] * alpha.dim())
        factors = self.factor(k, steps)
        if (factors == 1).all():
            return FixedRate(of(alpha))
        return TableRate.of(of(alpha * factors.to(alpha)), alpha)
