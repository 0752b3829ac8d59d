"""Gradient descent with momentum: V ← μ V + G, W ← W + α V (Polyak 1964, the heavy ball)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from nglab.networks.layers import Layers
from nglab.optimizers.first_order.compiled import CompiledDescent
from nglab.optimizers.first_order.first_order import FirstOrder, FirstOrderState, Number
from nglab.optimizers.optimizer import Streams, Task
from nglab.settings.fields import Share, setting


@dataclass(frozen=True, kw_only=True)
class Momentum(FirstOrder):
    """V ← μ V + G, W ← W + α V (Polyak 1964).

    The products of Eq. 7 are added to μ V as they are: G itself is nowhere.
    """

    kept: ClassVar[int] = 1
    anew: ClassVar[int] = 0
    ahead: ClassVar[bool] = False  # whether W is the point to which V leads

    momentum: Share = setting("μ, the share of the velocity V that a step keeps")

    def numbers(self) -> Sequence[Number]:
        return [self.momentum]

    def init(self, task: Task, params: Layers, streams: Streams) -> FirstOrderState:
        state: FirstOrderState = super().init(task, params, streams)
        state.work.compiled = CompiledDescent.of(
            task, params, self.batch_size, momentum=True, ahead=self.ahead
        )
        return state

    def step(
        self, params: Layers, state: FirstOrderState, x: Tensor, y: Tensor
    ) -> tuple[Layers, FirstOrderState]:
        (velocity,), (mu,), descent = state.kept, state.work.settings, state.work.descent
        descent.backpropagate_(params, x, y, 1 / self.batch_size)
        for v in velocity.pieces:
            v.mul_(mu)
        descent.add_to_(velocity)  # V ← μ V + G
        alpha = state.rate.advance_()
        for w, v in state.pieces(params):
            w.addcmul_(v, alpha)  # W ← W + α V
        return params, state

    def steps(
        self, params: Layers, state: FirstOrderState, x: Tensor, y: Tensor
    ) -> tuple[Layers, FirstOrderState]:
        (velocity,), (mu,), compiled = state.kept, state.work.settings, state.work.compiled
        if compiled is None:
            return super().steps(params, state, x, y)
        compiled.steps_(params, x, y, state.rate.advance_by_(len(x)), velocity, mu)
        return params, state

    def takes_turns(self, state: FirstOrderState) -> bool:
        return state.work.compiled is not None and state.work.compiled.side_by_side
