"""Steps captured in a CUDA graph: one launch by the host where a step's small kernels take hundreds."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nglab.networks.layers import Layers
from nglab.training.state_tree import generators

Step = Callable[[Layers, Any, Tensor, Tensor], tuple[Layers, Any]]
"""params, state, x, y → params, state."""

Recorder = Callable[[Callable[[], None], list[torch.Generator]], Callable[[], None]]
"""Makes of a function on tensors, and the generators it draws from, one that repeats without Python what it did."""


def cuda_graph(
    function: Callable[[], None], drawn_from: list[torch.Generator]
) -> Callable[[], None]:
    """`function` as a CUDA graph; it is recorded, not run."""
    graph = torch.cuda.CUDAGraph()
    for generator in drawn_from:
        graph.register_generator_state(generator)
    with torch.cuda.graph(graph):
        function()
    return graph.replay


class CapturedSteps:
    """`count` steps of a method as one graph, which works on the memory of one params and state.

    So may a method whose step changes nothing but what lies there: it puts no new tensor in an old one's place, has
    the host read nothing and decides nothing in Python.
    """

    def __init__(
        self, step: Step, count: int, params: Layers, state: Any, x: Tensor, y: Tensor,
        record: Recorder = cuda_graph,
    ) -> None:  # fmt: skip
        """x `[..., M, n_0]` and y `[..., M, n_L]` are a batch's, and neither they nor params and state change here."""
        self.x, self.y = x.new_empty(count, *x.shape), y.new_empty(count, *y.shape)

        def steps() -> None:
            for one_x, one_y in zip(self.x, self.y, strict=True):
                step(params, state, one_x, one_y)

        self.replay = record(steps, generators(state))

    def run(self, x: Tensor, y: Tensor) -> int:
        """Step through x `[steps, ..., M, n_0]`, y `[steps, ..., M, n_L]`; how many were done: whole graphs only."""
        count = len(self.x)
        whole = len(x) - len(x) % count
        for first in range(0, whole, count):
            self.x.copy_(x[first : first + count])
            self.y.copy_(y[first : first + count])
            self.replay()
        return whole
