"""A row of the record: losses on the training and on the test set."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from nglab.networks.layers import Layers
from nglab.networks.passes import Activations, forward, matrix_outputs
from nglab.training.problem import Problem
from nglab.training.state import Loop


@dataclass(frozen=True)
class Evaluation:
    """One row of the record; losses and diagnostics are `[...]`, one entry a replica.

    `snapshot()` is all that the loop needs to go on from here, as plain data; good until the next row is asked for.
    Of a stack, `snapshot(members)` is what a stack of those members alone needs.
    """

    step: int
    examples_seen: int
    passes: float
    train_seconds: float
    train_loss: Tensor
    test_loss: Tensor
    diagnostics: dict[str, Tensor] = field(default_factory=dict)
    snapshot: Callable[..., dict[str, Any]] = dict


class Evaluator:
    """h on the test set, and on as many training examples (the first ones, in no shuffled order)."""

    def __init__(self, problem: Problem) -> None:
        data, members = problem.dataset, 0 if problem.members is None else problem.members
        n = data.test_x.shape[1]
        self.problem = problem
        self.train = data.train_x[members, :n], data.train_y[members, :n]
        self.test = data.test_x[members], data.test_y[members]
        self.buffers: dict[int, Activations] = {}

    def __call__(self, loop: Loop, diagnostics: dict[str, Tensor]) -> Evaluation:
        seen = loop.step * self.problem.optimizer.batch_size
        return Evaluation(
            step=loop.step,
            examples_seen=seen,
            passes=seen / self.problem.dataset.train_x.shape[1],
            train_seconds=loop.clock.seconds,
            train_loss=self.loss(loop.params, *self.train),
            test_loss=self.loss(loop.params, *self.test),
            diagnostics={name: value.clone() for name, value in diagnostics.items()},
            snapshot=loop.snapshot,
        )

    def loss(self, params: Layers, x: Tensor, y: Tensor) -> Tensor:
        network, examples = self.problem.network, x.shape[-2]
        if network.is_matrix and 4 * min(network.widths) <= examples:
            z = matrix_outputs(network, params, x)
        else:
            if examples not in self.buffers:
                self.buffers[examples] = Activations(network, examples, params[0])
            z = forward(network, params, x, self.buffers[examples]).output
        return self.problem.likelihood.loss(z, y)
