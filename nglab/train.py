"""The training loop: the only one, whatever the method, for one network or a stack of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter

import torch
from torch import Tensor

from nglab.data.dataset import Batches, Dataset
from nglab.likelihoods import Gaussian
from nglab.networks import Activations, Layers, Network, forward
from nglab.optimizers.base import Optimizer, Streams


@dataclass(frozen=True)
class Problem:
    """Everything a run needs, as plain objects. `members` is None, or in a stack each replica's data set."""

    network: Network
    dataset: Dataset
    params: Layers
    optimizer: Optimizer
    streams: Streams
    members: list[int] | None = None


@dataclass(frozen=True)
class Evaluation:
    """One row of the record; losses and diagnostics are `[...]`, one entry a replica."""

    step: int
    examples_seen: int
    passes: float
    train_seconds: float
    train_loss: Tensor
    test_loss: Tensor
    diagnostics: dict[str, Tensor] = field(default_factory=dict)


class Clock:
    """Seconds spent inside `with clock:`, the device idle at both ends."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, 0.0

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return perf_counter()

    def __enter__(self) -> None:
        self._start = self._now()

    def __exit__(self, *_: object) -> None:
        self.seconds += self._now() - self._start


@torch.inference_mode()
def train(problem: Problem, passes: float, eval_every_examples: int) -> Iterator[Evaluation]:
    """Train and yield an `Evaluation` before the first step, every `eval_every_examples` examples, and at the end.

    `train_seconds` counts shuffling, gathering and the steps; evaluation, warm-up and the consumer's work are off the
    clock. Nothing is read back from the device between two evaluations.
    """
    dataset, optimizer = problem.dataset, problem.optimizer
    params = problem.params
    batches = Batches(
        dataset.train_x, dataset.train_y, optimizer.batch_size,
        problem.streams("batches"), problem.members,
    )  # fmt: skip
    warm_up(problem, batches)
    evaluate = Evaluator(problem)
    state = optimizer.init(problem.network, params, problem.streams)
    clock = Clock(params[0].device)
    yield evaluate(params, 0, 0.0, {})
    step, last = 0, max(1, round(passes * batches.steps_per_pass))
    while step < last:
        within_pass = step % batches.steps_per_pass
        seen = step * optimizer.batch_size
        until_evaluation = -(
            -(eval_every_examples - seen % eval_every_examples) // optimizer.batch_size
        )
        count = min(batches.steps_per_pass - within_pass, until_evaluation, last - step)
        with clock:
            if within_pass == 0:
                batches.shuffle()
            for x, y in batches.take(within_pass, count):
                params, state = optimizer.step(params, state, x, y)
        step += count
        if count == until_evaluation or step == last:
            yield evaluate(params, step, clock.seconds, optimizer.diagnostics(state))


def warm_up(problem: Problem, batches: Batches) -> None:
    """One step on copies and throw-away streams, so that no first-call cost falls on the clock."""
    generators = [torch.Generator(device=problem.params[0].device).manual_seed(0)]
    replicas = len(problem.members) if problem.members is not None else 1
    params = problem.params.map(torch.clone)
    state = problem.optimizer.init(problem.network, params, lambda purpose: generators * replicas)
    x = batches.x[: batches.batch_size].expand(*params.leading, -1, -1)
    y = batches.y[: batches.batch_size].expand(*params.leading, -1, -1)
    problem.optimizer.step(params, state, x, y)


class Evaluator:
    """h on the test set, and on as many training examples (the first ones, in no shuffled order)."""

    def __init__(self, problem: Problem) -> None:
        data, members = problem.dataset, 0 if problem.members is None else problem.members
        n = data.test_x.shape[1]
        self.problem = problem
        self.train = data.train_x[members, :n], data.train_y[members, :n]
        self.test = data.test_x[members], data.test_y[members]
        self.buffers: dict[int, Activations] = {}

    def __call__(
        self, params: Layers, step: int, seconds: float, diagnostics: dict[str, Tensor]
    ) -> Evaluation:
        seen = step * self.problem.optimizer.batch_size
        return Evaluation(
            step=step,
            examples_seen=seen,
            passes=seen / self.problem.dataset.train_x.shape[1],
            train_seconds=seconds,
            train_loss=self.loss(params, *self.train),
            test_loss=self.loss(params, *self.test),
            diagnostics={name: value.clone() for name, value in diagnostics.items()},
        )

    def loss(self, params: Layers, x: Tensor, y: Tensor) -> Tensor:
        examples = x.shape[-2]
        if examples not in self.buffers:
            self.buffers[examples] = Activations(self.problem.network, examples, params[0])
        z = forward(self.problem.network, params, x, self.buffers[examples]).output
        return Gaussian.loss(Gaussian.error(z, y, out=z))
