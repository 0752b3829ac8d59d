"""Stochastic gradient descent: W_i ← W_i + α ⟨e_i x_{i-1}ᵀ⟩ (Eqs. 3, 7)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from nglab.networks.hyperparameters import as_like
from nglab.networks.layers import Layers
from nglab.networks.passes import Activations, Errors, backward, forward
from nglab.networks.scratch import Scratch
from nglab.optimizers.optimizer import Optimizer, Streams, Task
from nglab.optimizers.schedules.rate import Rate


class Memory(Scratch):
    """The passes over a batch, and what is looked up once: views of e_iᵀ, and the product for as many matrices."""

    def __init__(self, task: Task, params: Layers, batch_size: int) -> None:
        self.network, self.likelihood = task.network, task.likelihood
        self.activations = Activations(task.network, batch_size, params[0])
        self.errors = Errors(task.network, batch_size, 1, params[0])
        self.output_error = self.errors.layers[-1]  # e_L
        self.errors_transposed = [e.mT for e in self.errors.layers.batched]
        self.add_products = [
            Tensor.addmm_ if w.dim() == 2 else Tensor.baddbmm_ for w in params.batched
        ]


@dataclass
class SGDState:
    rate: Rate  # α_k / M, `[..., 1, 1]`
    memory: Memory


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """The baseline. Nothing is allocated in a step: three products a layer, written into kept buffers.

    Backpropagation is linear in e_L, so α/M multiplies e_L once and each product e_iᵀ x_{i-1} is added to W_i as it is.
    """

    graph_steps: ClassVar[int] = 10

    def init(self, task: Task, params: Layers, streams: Streams) -> SGDState:
        share = as_like(self.lr / self.batch_size, params[0]).expand(params.leading)  # α / M
        rate = self.schedule.start(share, task.steps, lambda share: share[..., None, None])
        return SGDState(rate, Memory(task, params, self.batch_size))

    def step(
        self, params: Layers, state: SGDState, x: Tensor, y: Tensor
    ) -> tuple[Layers, SGDState]:
        memory, activations, errors = state.memory, state.memory.activations, state.memory.errors
        forward(memory.network, params, x, activations)
        error = memory.likelihood.error(activations.output, y, out=memory.output_error)
        error.mul_(state.rate.advance_())  # α/M · e_L
        backward(memory.network, params, activations, errors)
        for add_, w, e_t, x_in in zip(
            memory.add_products, params.batched, memory.errors_transposed,
            activations.inputs.batched, strict=True,
        ):  # fmt: skip
            add_(w, e_t, x_in)  # W_i += e_iᵀ x_{i-1}
        return params, state
