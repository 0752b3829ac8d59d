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
    """One row of the record; losses, measures and diagnostics are `[...]`, one entry a replica.

    `measures` are the likelihood's own figures on the test set, named `test_<column>`.
    `snapshot()` is all that the loop needs to go on from here, as plain data; good until the next row is asked for.
    Of a stack, `snapshot(members)` is what a stack of those members alone needs.
    """

    step: int
    examples_seen: int
    passes: float
    train_seconds: float
    train_loss: Tensor
    test_loss: Tensor
    measures: dict[str, Tensor] = field(default_factory=dict)
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
        likelihood, params = self.problem.likelihood, loop.params
        (train_x, train_y), (test_x, test_y) = self.train, self.test
        train_loss = likelihood.loss(self.outputs(params, train_x), train_y)
        z = self.outputs(params, test_x)
        measures = likelihood.measures(z, test_y)
        seen = loop.step * self.problem.optimizer.batch_size
        return Evaluation(
            step=loop.step,
            examples_seen=seen,
            passes=seen / self.problem.dataset.train_x.shape[1],
            train_seconds=loop.clock.seconds,
            train_loss=train_loss,
            test_loss=likelihood.loss(z, test_y),
            measures={f"test_{name}": value for name, value in measures.items()},
            diagnostics={name: value.clone() for name, value in diagnostics.items()},
            snapshot=loop.snapshot,
        )

    def outputs(self, params: Layers, x: Tensor) -> Tensor:
        """z `[..., N, n_L]`, good until the next call: one memory serves all calls with as many examples."""
        network, examples = self.problem.network, x.shape[-2]
        if network.is_matrix and 4 * min(network.widths) <= examples:
            return matrix_outputs(network, params, x)
        if examples not in self.buffers:
            self.buffers[examples] = Activations(network, examples, params[0])
        return forward(network, params, x, self.buffers[examples]).output
