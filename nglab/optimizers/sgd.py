"""Stochastic gradient descent: W_i ← W_i + α ⟨e_i x_{i-1}ᵀ⟩ (Eqs. 3, 7)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from nglab.networks.hyperparameters import as_like
from nglab.networks.layers import Layers
from nglab.optimizers.first_order.compiled import CompiledDescent
from nglab.optimizers.first_order.descent import Descent
from nglab.optimizers.optimizer import Optimizer, Streams, Task
from nglab.optimizers.schedules.rate import Rate


@dataclass
class SGDState:
    rate: Rate  # α_k / M, `[..., 1, 1]`
    descent: Descent
    compiled: CompiledDescent | None


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """The baseline. Nothing is allocated in a step: three products a layer, written into kept buffers.

    α/M multiplies e_L (`Descent`), and each product is added to W_i as it is.

    W_i ← W_i + α ⟨e_i x_{i−1}ᵀ⟩, W_i `[n_i, n_{i−1} (+ 1)]`, on M examples a step: minus the gradient of their mean
    loss. α has the unit of the parameters squared over that of the loss.

    What is left out is as in conf/optimizer/sgd.yaml. Raises InputError where a setting is unknown or out of its range.

    Source: Robbins & Monro (1951); Bernacchia et al. (2018), Eqs. 3 and 7.

    >>> SGD(lr=0.1)
    SGD(lr=0.1, batch_size=20, schedule=Constant(warm_up=0))
    """

    graph_steps: ClassVar[int] = 10

    def init(self, task: Task, params: Layers, streams: Streams) -> SGDState:
        share = as_like(self.lr / self.batch_size, params[0]).expand(params.leading)  # α / M
        rate = self.schedule.start(share, task.steps, lambda share: share[..., None, None])
        compiled = CompiledDescent.of(task, params, self.batch_size, momentum=False)
        return SGDState(rate, Descent(task, params, self.batch_size), compiled)

    def step(
        self, params: Layers, state: SGDState, x: Tensor, y: Tensor
    ) -> tuple[Layers, SGDState]:
        state.descent.backpropagate_(params, x, y, state.rate.advance_())  # α/M · e_i
        state.descent.add_to_(params)  # W_i += e_iᵀ x_{i-1}
        return params, state

    def steps(
        self, params: Layers, state: SGDState, x: Tensor, y: Tensor
    ) -> tuple[Layers, SGDState]:
        if state.compiled is None:
            return super().steps(params, state, x, y)
        state.compiled.steps_(params, x, y, state.rate.advance_by_(len(x)))
        return params, state

    def takes_turns(self, state: SGDState) -> bool:
        return state.compiled is not None and state.compiled.side_by_side
