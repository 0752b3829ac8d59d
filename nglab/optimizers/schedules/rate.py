"""The rate of each step, read off: no arithmetic is left to a step."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from nglab.networks.scratch import Scratch


class Rate(ABC):
    """What a method keeps in its state."""

    @abstractmethod
    def advance_(self) -> Tensor:
        """The rate of this step; the next call gives that of the next one. Good until then."""

    @abstractmethod
    def advance_by_(self, steps: int) -> Tensor:
        """The rates of the next `steps` steps, or the one that is that of all of them: `[steps or 1, ...]`."""


class FixedRate(Rate, Scratch):
    """The same at every step."""

    def __init__(self, value: Tensor) -> None:
        self.value = value

    def advance_(self) -> Tensor:
        return self.value

    def advance_by_(self, steps: int) -> Tensor:
        return self.value.unsqueeze(0)


class Table(Scratch):
    """The rates of all steps `[steps, ...]`, and memory for one of them."""

    def __init__(self, rates: Tensor, step: Tensor) -> None:
        self.rates, self.last = rates, len(rates) - 1
        self.row = step.view(-1)[:1]  # a view: the replicas count alike
        self.chosen = torch.empty_like(rates[:1])
        self.value = self.chosen[0]


@dataclass
class TableRate(Rate):
    """One row of a table after the other, the last one for ever; chosen on the device, so that a graph can hold it."""

    step: Tensor  # steps taken, `[...]`
    table: Table

    @classmethod
    def of(cls, rates: Tensor, alpha: Tensor) -> "TableRate":
        step = torch.zeros_like(alpha, dtype=torch.long, memory_format=torch.contiguous_format)
        return cls(step, Table(rates.contiguous(), step))

    def advance_(self) -> Tensor:
        torch.index_select(self.table.rates, 0, self.table.row, out=self.table.chosen)
        self.step.add_(1).clamp_(max=self.table.last)
        return self.table.value

    def advance_by_(self, steps: int) -> Tensor:
        first, last = int(self.table.row), self.table.last
        rows = torch.arange(first, first + steps, device=self.step.device).clamp_(max=last)
        self.step.add_(steps).clamp_(max=last)
        return self.table.rates[rows]
