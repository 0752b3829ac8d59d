"""Stochastic gradient descent: W_i ← W_i + α ⟨e_i x_{i-1}ᵀ⟩ (Eqs. 3, 7)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from nglab.curvature.damping.levenberg_marquardt import as_like
from nglab.networks.layers import Layers
from nglab.networks.passes import Activations, Errors, backward, forward
from nglab.optimizers.optimizer import Optimizer, Streams, Task


@dataclass
class SGDState:
    """The buffers of one step, and α/M as the output error is multiplied by it."""

    task: Task
    activations: Activations
    errors: Errors
    errors_transposed: list[Tensor]
    add_products: list[Callable[..., Tensor]]  # of one pair of matrices, or of a batch
    output_error: Tensor  # e_L
    rate: Tensor  # α / M, `[1, 1]` or `[replicas, 1, 1]`; PyTorch would make a tensor of a float at each step


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """The baseline. Nothing is allocated in a step: three products a layer, written into kept buffers.

    Backpropagation is linear in e_L, so α/M multiplies e_L once and each product e_iᵀ x_{i-1} is added to W_i as it is.
    """

    graph_steps: ClassVar[int] = 10

    def init(self, task: Task, params: Layers, streams: Streams) -> SGDState:
        network = task.network
        errors = Errors(network, self.batch_size, 1, params[0])
        return SGDState(
            task,
            Activations(network, self.batch_size, params[0]),
            errors,
            [e.mT for e in errors.layers.batched],
            [Tensor.addmm_ if w.dim() == 2 else Tensor.baddbmm_ for w in params.batched],
            errors.layers[-1],
            as_like(self.lr / self.batch_size, params[0])[..., None, None],
        )

    def step(
        self, params: Layers, state: SGDState, x: Tensor, y: Tensor
    ) -> tuple[Layers, SGDState]:
        activations, errors = state.activations, state.errors
        network, likelihood = state.task.network, state.task.likelihood
        forward(network, params, x, activations)
        likelihood.error(activations.output, y, out=state.output_error).mul_(state.rate)
        backward(network, params, activations, errors)
        for add_, w, e_t, x_in in zip(
            state.add_products, params.batched, state.errors_transposed, activations.inputs.batched,
            strict=True,
        ):  # fmt: skip
            add_(w, e_t, x_in)  # W_i += e_iᵀ x_{i-1}
        return params, state
