"""Seconds of optimisation alone, and the threads of a step."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import torch

from nglab.networks.network import Network

LEAST_WORK = 200_000
"""Multiply-adds of a product, on average over the layers, from which on several threads are faster than one."""


def step_threads(network: Network, batch_size: int, stacked: bool = False) -> int:
    """How many of PyTorch's threads a step on the CPU takes: one for the small products of a single network.

    Waking the others would cost the baseline, SGD on the linear networks, up to half of its speed.
    """
    work = batch_size * sum(n * m for n, m in network.shapes) / network.depth
    return torch.get_num_threads() if stacked or work >= LEAST_WORK else 1


@contextmanager
def limited_to(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Clock:
    """Seconds spent inside `with clock:`, the device idle at both ends."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, 0.0

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return perf_counter()

    def __enter__(self) -> None:
        self._start = self._now()

    def __exit__(self, *_: object) -> None:
        self.seconds += self._now() - self._start
