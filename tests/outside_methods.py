"""Methods as somebody else would write them: one class each, of public parts of nglab alone."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from nglab.networks.layers import Layers
from nglab.networks.passes import forward, gradient
from nglab.optimizers.optimizer import Optimizer, Streams, Task


def descent(task: Task, params: Layers, x: Tensor, y: Tensor) -> Layers:
    """G_i = −∂h/∂W_i."""
    output = forward(task.network, params, x).output
    return gradient(task.network, params, x, task.likelihood.error(output, y))


class Moments(NamedTuple):
    first: list[Tensor]
    second: list[Tensor]


@dataclass
class AdamState:
    task: Task
    moments: dict[str, Moments]
    last: tuple[Tensor, Tensor] | None  # the norms of the last two steps: nothing before the second
    steps: int


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Kingma & Ba (2014), its state in a dict, a named tuple, lists and a tuple."""

    graph_steps = 0

    def init(self, task: Task, params: Layers, streams: Streams) -> AdamState:
        zeros = [[torch.zeros_like(w) for w in params] for _ in range(2)]
        return AdamState(task, {"of the gradient": Moments(*zeros)}, None, 0)

    def step(
        self, params: Layers, state: AdamState, x: Tensor, y: Tensor
    ) -> tuple[Layers, AdamState]:
        state.steps += 1
        moments = state.moments["of the gradient"]
        lr = torch.as_tensor(self.lr, dtype=x.dtype)[..., None, None]
        norm = x.new_zeros(params.leading)
        for w, g, m, v in zip(params, descent(state.task, params, x, y), *moments, strict=True):
            m.lerp_(g, 0.1)
            v.lerp_(g.square(), 0.001)
            change = m / (1 - 0.9**state.steps) / ((v / (1 - 0.999**state.steps)).sqrt() + 1e-8)
            w += lr * change
            norm += change.square().sum((-2, -1))
        if state.last is not None:
            lr = lr * 0.5 ** (state.last[1] > 1e3)[..., None, None]
        state.last = (norm, norm if state.last is None else state.last[0])
        return params, state
