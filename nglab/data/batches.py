"""The order in which examples are seen."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

AT_ONCE = 2**24
"""Bytes of batches that are gathered at once, so that they lie in the cache when they are taken."""


def steps_of(passes: float, examples: int, batch_size: int) -> int:
    """The least number of steps, one at least, in which `passes` × `examples` are seen.

    >>> steps_of(5, examples=1900, batch_size=1000)
    10
    """
    steps = passes * examples / batch_size
    return max(1, math.ceil(steps - 1e-9 * max(1, steps)))  # 0.29 × 100 is more than 29 by rounding


class Batches:
    """Shuffled mini-batches, a fresh order for each pass; the remainder of a pass that fills no batch is left out.

    `members` are the indices of the data sets that the replicas train on (a stack), or None for one network.
    Batches are gathered many at a time, on a CPU at most `at_once`, so that the loop over steps only reads views.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        batch_size: int,
        generators: Sequence[torch.Generator],
        members: Sequence[int] | None,
    ) -> None:
        self.x, self.y = x.flatten(0, 1), y.flatten(0, 1)
        self.same = y is x
        self.examples = x.shape[1]
        self.steps_per_pass = self.examples // batch_size
        self.batch_size = batch_size
        self.generators = generators
        self.members = members
        self.replicas = None if members is None else len(members)
        columns = self.x.shape[-1] + (0 if self.same else self.y.shape[-1])
        bytes_of_step = batch_size * len(generators) * columns * self.x.element_size()
        self.at_once = max(8, AT_ONCE // bytes_of_step) if self.x.is_cpu else self.steps_per_pass
        self.order = torch.empty(0, len(generators), batch_size, dtype=torch.long)  # of no pass yet

    def shuffle(self) -> None:
        """Draw the order of the next pass: row numbers `[steps, (replicas,) M]`."""
        used = self.steps_per_pass * self.batch_size
        orders = [torch.randperm(self.examples, generator=g)[:used] for g in self.generators]
        if self.members is None:
            order = orders[0].view(self.steps_per_pass, self.batch_size)
        else:
            rows = [o + m * self.examples for o, m in zip(orders, self.members, strict=True)]
            order = torch.stack(rows).view(len(rows), self.steps_per_pass, self.batch_size)
            order = order.transpose(0, 1).contiguous()
        self.order = order.to(self.x.device)

    def example(self, leading: torch.Size) -> tuple[Tensor, Tensor]:
        """Some batch, the same for replicas `leading`: x `[..., M, n_0]`, y `[..., M, n_L]`."""
        x, y = self.x[: self.batch_size], self.y[: self.batch_size]
        return x.expand(*leading, -1, -1), y.expand(*leading, -1, -1)

    def gather(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """`count` batches of this pass from `first` on: x `[count, ..., M, n_0]`, y `[count, ..., M, n_L]`."""
        rows = self.order[first : first + count]
        x = self.x.index_select(0, rows.flatten()).unflatten(0, rows.shape)
        y = x if self.same else self.y.index_select(0, rows.flatten()).unflatten(0, rows.shape)
        return x, y
