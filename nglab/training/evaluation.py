"""A row of the record: losses on the training and on the test set, and whatever else has a column."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from nglab.errors import InputError
from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.layers import Layers
from nglab.networks.passes import Activations, by_matrices, forward, matrix_outputs
from nglab.optimizers.optimizer import Optimizer
from nglab.training.problem import Problem
from nglab.training.state import Loop

SHARED: dict[str, str] = {
    "step": "optimizer steps taken",
    "examples_seen": "training examples seen: steps × batch size",
    "passes": "training examples seen ÷ size of the training set",
    "train_seconds": "seconds of optimisation alone: no evaluation, logging, warm-up",
    "train_loss": "h on as many training examples as there are test examples: the mean of −log r(y|x_L)",
    "test_loss": "h on the test set",
    "learning_rate": "α of the last step; in the first row that of the first step",
}
"""The columns that every run has."""

OF_AVERAGE = {"test_loss_of_average": "h on the test set at the average of the iterates"}


def columns_of(optimizer: Optimizer, likelihood: Likelihood, average: bool) -> dict[str, str]:
    """Every column of a run and its meaning: the shared ones, then the likelihood's, then the method's.

    Raises InputError where the method names one of the others.
    """
    common = SHARED | {f"test_{name}": meaning for name, meaning in likelihood.columns.items()}
    common |= OF_AVERAGE if average else {}
    for name in optimizer.columns:
        if name in common:
            raise InputError(
                f"{type(optimizer).__name__}: its column {name} has another meaning: {common[name]}"
            )
    return common | dict(optimizer.columns)


def demand_columns(problem: Problem, diagnostics: Mapping[str, Tensor]) -> None:
    """InputError where a method's diagnostics are not what its `columns` name, one number a network."""
    owner, named = type(problem.optimizer).__name__, problem.optimizer.columns
    for name in sorted(diagnostics.keys() ^ named.keys()):
        where = "columns do not name it" if name in diagnostics else "diagnostics do not give it"
        raise InputError(f"{owner}: {name} has no place in metrics.csv: its {where}")
    for name, value in diagnostics.items():
        if value.shape != problem.params.leading:
            raise InputError(
                f"{owner}: {name} is {list(value.shape)}: must be one number a network"
            )


@dataclass(frozen=True)
class Evaluation:
    """One row of the record; `columns` are those that are measured, `[...]`, one entry a replica.

    `snapshot()` is all that the loop needs to go on from here, as plain data; good until the next row is asked for.
    Of a stack, `snapshot(members)` is what a stack of those members alone needs.
    """

    step: int
    examples_seen: int
    passes: float
    train_seconds: float
    train_loss: Tensor
    test_loss: Tensor
    learning_rate: Tensor
    more: dict[str, Tensor]  # the likelihood's columns, the average's, the method's
    params: Layers  # good until the next row is asked for
    snapshot: Callable[..., dict[str, Any]]


BLOCK_BYTES = 2**22
"""On a CPU the networks of a stack are evaluated so many at a time that a layer's values fill about this much.

More than the cache holds takes twice as long; more than the C library keeps once freed, five times.
"""

Examples = tuple[Tensor, Tensor]
"""x and y, `[..., N, n]`."""


class Evaluator:
    """h on the test set, and on as many training examples (the first ones, in no shuffled order)."""

    def __init__(self, problem: Problem, steps: int) -> None:
        """`steps` are planned."""
        data, members = problem.dataset, 0 if problem.members is None else problem.members
        n = data.test_x.shape[1]
        self.problem, self.steps = problem, steps
        self.train = data.train_x[members, :n], data.train_y[members, :n]
        self.test = data.test_x[members], data.test_y[members]
        self.blocks = blocks(problem, n)
        self.buffers: dict[torch.Size, Activations] = {}

    def __call__(self, loop: Loop) -> Evaluation:
        problem = self.problem
        seen = loop.step * problem.optimizer.batch_size
        train_loss = self.measure(loop.params, self.train, self.loss)["loss"]
        more = self.measure(loop.params, self.test, self.loss_and_measures)
        return Evaluation(
            step=loop.step,
            examples_seen=seen,
            passes=seen / problem.dataset.train_x.shape[1],
            train_seconds=loop.clock.seconds,
            train_loss=train_loss,
            test_loss=more.pop("loss"),
            learning_rate=self.learning_rate(loop),
            params=loop.params,
            more=more | self.of_average(loop) | self.of_method(loop),
            snapshot=loop.snapshot,
        )

    def measure(
        self, params: Layers, examples: Examples, what: Callable[..., dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """`what(x_L, y)` of every network, `[...]`, block by block of a stack."""
        x, y = examples
        if len(self.blocks) < 2:
            return what(self.outputs(params, x), y)
        found = [
            what(self.outputs(one, x[block]), y[block])
            for block, one in zip(self.blocks, map(params.replicas, self.blocks), strict=True)
        ]
        return {name: torch.cat([one[name] for one in found]) for name in found[0]}

    def loss(self, z: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"loss": self.problem.likelihood.loss(z, y)}

    def loss_and_measures(self, z: Tensor, y: Tensor) -> dict[str, Tensor]:
        measured = self.problem.likelihood.measures(z, y)
        return self.loss(z, y) | {f"test_{name}": value for name, value in measured.items()}

    def outputs(self, params: Layers, x: Tensor) -> Tensor:
        """x_L, good until the next are asked for."""
        network, examples = self.problem.network, x.shape[-2]
        if by_matrices(network, examples):
            return matrix_outputs(network, params, x)
        shape = x.shape[:-1]
        if shape not in self.buffers:
            self.buffers[shape] = Activations(network, examples, params[0])
        return forward(network, params, x, self.buffers[shape]).output

    def learning_rate(self, loop: Loop) -> Tensor:
        rate = self.problem.optimizer.learning_rate(max(loop.step - 1, 0), self.steps)
        return rate.expand(loop.params.leading)

    def of_average(self, loop: Loop) -> dict[str, Tensor]:
        if loop.average is None:
            return {}
        found = self.measure(loop.average.at(loop.step, loop.params), self.test, self.loss)
        return dict.fromkeys(OF_AVERAGE, found["loss"])

    def of_method(self, loop: Loop) -> dict[str, Tensor]:
        """The method's diagnostics, once it has taken a step."""
        diagnostics = self.problem.optimizer.diagnostics(loop.state) if loop.step else {}
        return {name: value.clone() for name, value in diagnostics.items()}


def blocks(problem: Problem, examples: int) -> list[slice]:
    """The replicas of a stack, as many at a time as `BLOCK_BYTES` have place for, in blocks of nearly one size."""
    replicas, weights = len(problem.members or [0]), problem.params[0]
    each = examples * max(problem.network.widths) * weights.element_size()
    count = min(replicas, -(-replicas * each // BLOCK_BYTES)) if weights.is_cpu else 1
    ends = [i * replicas // count for i in range(count + 1)]
    return [slice(first, last) for first, last in pairwise(ends)]
