"""Any optimizer of PyTorch, or of somebody who wrote one for PyTorch, on gradients that need no autograd."""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from nglab.curvature.batch import Batch
from nglab.errors import InputError
from nglab.networks.layers import Layers
from nglab.networks.scratch import Scratch
from nglab.optimizers.optimizer import Optimizer, Streams, Task
from nglab.optimizers.schedules.rate import Rate
from nglab.settings.building import imported, plain
from nglab.settings.fields import Options, setting
from nglab.settings.messages import demand


class Peer(Scratch):
    """PyTorch's optimizer of the weights, each W_i one parameter whose `grad` is ∂h/∂W_i, and the passes."""

    def __init__(self, optimizer: torch.optim.Optimizer, batch: Batch, params: Layers) -> None:
        self.optimizer, self.batch, self.params = optimizer, batch, params
        for w, g in zip(params, batch.gradient, strict=True):
            w.grad = g

    def loss_(self, x: Tensor, y: Tensor) -> Any:
        """h at the weights as they are, and ∂h/∂W_i = −G_i: PyTorch's closure."""
        loss = self.batch.gradient_(self.params, x, y)
        for g in self.batch.gradient.pieces:
            g.neg_()
        return loss


@dataclass
class TorchState:
    rate: Rate  # α_k, on the CPU: PyTorch takes a number
    kept: list[
        dict[str, Any]
    ]  # what PyTorch's optimizer keeps of each W_i; it works on these very dicts
    peer: Peer


@dataclass(frozen=True, kw_only=True)
class TorchOptim(Optimizer):
    """A `torch.optim.Optimizer` by its dotted name. One network at a time: PyTorch has one rate for all weights.

    Its closure gives the loss and the gradients anew, so those that ask for several a step (LBFGS) have them. A bias is
    the last column of its W_i.
    """

    graph_steps: ClassVar[int] = 0  # PyTorch counts in Python
    stackable: ClassVar[bool] = False

    class_: str = setting("the optimizer: package.module.Class, a kind of torch.optim.Optimizer")
    options: Options | None = setting("what the class takes beside params and lr; null: nothing")

    def check(self, key: str, run: Any) -> None:
        """InputError where there is no such class, or where it does not take `options`, or no dense weights."""
        found = imported(self.class_, f"{key}.class")
        right = isinstance(found, type) and issubclass(found, torch.optim.Optimizer)
        wanted = "a kind of torch.optim.Optimizer, such as torch.optim.AdamW"
        demand(right, f"{key}.class", self.class_, wanted)
        weight = torch.zeros(1, 1)
        weight.grad = torch.zeros_like(weight)
        try:
            self.make([weight]).step(lambda: 0.0)
        except Exception as error:  # whatever a library of others may raise
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            options = f"{key}.options={plain(self.options)}"
            raise InputError(f"{options} of {key}.class={self.class_}: {said}") from error

    def make(self, weights: list[Tensor]) -> torch.optim.Optimizer:
        made: torch.optim.Optimizer = imported(self.class_, "optimizer.class")(
            weights, lr=self.lr, **self.options or {}
        )
        return made

    def init(self, task: Task, params: Layers, streams: Streams) -> TorchState:
        """Raises InputError for a stack."""
        if params.leading:
            raise InputError(
                "optimizer=torch: PyTorch has one rate for all weights, so a stack cannot be trained"
            )
        optimizer = self.make(list(params))
        batch = Batch(task.network, task.likelihood, params, self.batch_size, samples=0)
        rate = self.schedule.start(torch.tensor(self.lr, dtype=torch.float64), task.steps)
        return TorchState(
            rate, [optimizer.state[w] for w in params], Peer(optimizer, batch, params)
        )

    def step(
        self, params: Layers, state: TorchState, x: Tensor, y: Tensor
    ) -> tuple[Layers, TorchState]:
        """`params` are those of `init`, which PyTorch's optimizer holds."""
        peer = state.peer
        assert params is peer.params
        alpha = state.rate.advance_().item()
        for group in peer.optimizer.param_groups:
            group["lr"] = alpha
        peer.optimizer.step(partial(peer.loss_, x, y))
        return params, state
