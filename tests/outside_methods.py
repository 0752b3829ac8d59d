"""Methods as somebody else would write them: one class each, of public parts of nglab alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from nglab.networks.layers import Layers
from nglab.networks.passes import forward, gradient
from nglab.optimizers.optimizer import Optimizer, Streams, Task
from nglab.optimizers.schedules.rate import Rate
from nglab.settings.fields import Share, setting


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

    graph_steps = 0  # it counts in Python

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


@dataclass
class MomentumState:
    task: Task
    rate: Rate  # α_k, `[..., 1, 1]`
    velocity: Layers


@dataclass(frozen=True, kw_only=True)
class Momentum(Optimizer):
    """V ← μ V + G, W ← W + α V (Polyak 1964): one class is all that a method takes."""

    columns: ClassVar[Mapping[str, str]] = {"speed": "‖V‖ after the last step"}
    mu: Share = setting("μ, the share of the velocity that stays")

    def init(self, task: Task, params: Layers, streams: Streams) -> MomentumState:
        alpha = (params[0].new_zeros(params.leading) + self.lr).to(params[0])
        rate = self.schedule.start(alpha, task.steps, lambda alpha: alpha[..., None, None])
        return MomentumState(task, rate, params.map(torch.zeros_like))

    def step(
        self, params: Layers, state: MomentumState, x: Tensor, y: Tensor
    ) -> tuple[Layers, MomentumState]:
        mu = torch.as_tensor(self.mu, dtype=x.dtype)[..., None, None]
        g, rate = descent(state.task, params, x, y), state.rate.advance_()
        for w, v, g_i in zip(params.pieces, state.velocity.pieces, g.pieces, strict=True):
            v.mul_(mu).add_(g_i)
            w.addcmul_(v, rate)
        return params, state

    def diagnostics(self, state: MomentumState) -> dict[str, Tensor]:
        squares = [v.square().sum((-2, -1)) for v in state.velocity]
        return {"speed": torch.stack(squares).sum(0).sqrt()}
