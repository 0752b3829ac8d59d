"""The training loop: the only one, whatever the method, for one network or a stack of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from nglab.capture import CapturedSteps
from nglab.checkpoint import pack, pack_state, unpack, unpack_state
from nglab.data.dataset import Batches, Dataset
from nglab.likelihoods import Gaussian
from nglab.networks import Activations, Layers, Network, forward, matrix_outputs
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
    cuda_graph: bool = False  # steps are captured


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


LEAST_WORK = 200_000
"""Multiply-adds of a product, on average over the layers, from which on several threads are faster than one."""


def step_threads(network: Network, batch_size: int, stacked: bool = False) -> int:
    """How many of PyTorch's threads a step on the CPU takes: one for the small products of a single network.

    Waking the others would cost the baseline, SGD on the linear networks, up to half of its speed.
    """
    work = batch_size * sum(n * m for n, m in network.shapes) / network.depth
    return torch.get_num_threads() if stacked or work >= LEAST_WORK else 1


@contextmanager
def limited_to(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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


@dataclass
class Loop:
    """What the training loop carries from step to step."""

    params: Layers
    state: Any  # of the optimizer
    batches: Batches
    clock: Clock
    step: int = 0

    def snapshot(self, members: Sequence[int] | None = None) -> dict[str, Any]:
        """Everything but the scratch memory, of a stack for `members` alone; good until the next step."""
        order = self.batches.order
        return {
            "step": self.step,
            "seconds": self.clock.seconds,
            "params": pack(self.params, members),
            "state": pack_state(self.state, members),
            "generators": pack(list(self.batches.generators), members),
            "order": order if members is None else order[:, members],
        }

    def restore(self, saved: dict[str, Any]) -> None:
        device = self.params[0].device
        self.step, self.clock.seconds = saved["step"], saved["seconds"]
        unpack(saved["params"], self.params, device)
        unpack_state(saved["state"], self.state, device)
        unpack(saved["generators"], list(self.batches.generators), device)
        self.batches.order = saved["order"].to(device)


@torch.inference_mode()
def train(
    problem: Problem,
    passes: float,
    eval_every_examples: int,
    snapshot: dict[str, Any] | None = None,
) -> Iterator[Evaluation]:
    """Train and yield an `Evaluation` before the first step, every `eval_every_examples` examples, and at the end.

    From a `snapshot` it goes on with the row that came next. `train_seconds` counts shuffling, gathering and the
    steps; evaluation, warm-up and the consumer's work are off the clock. Nothing is read back from the device between
    two evaluations.
    """
    dataset, optimizer = problem.dataset, problem.optimizer
    batches = Batches(
        dataset.train_x, dataset.train_y, optimizer.batch_size,
        problem.streams("batches"), problem.members,
    )  # fmt: skip
    threads = step_threads(problem.network, optimizer.batch_size, problem.members is not None)
    with limited_to(threads):
        warm_up(problem, batches)
    evaluate = Evaluator(problem)
    state = optimizer.init(problem.network, problem.params, problem.streams)
    loop = Loop(problem.params, state, batches, Clock(problem.params[0].device))
    if snapshot is None:
        yield evaluate(loop, {})
    else:
        loop.restore(snapshot)
    captured = (
        CapturedSteps(optimizer, loop.params, loop.state, *batches.example(loop.params.leading))
        if problem.cuda_graph
        else None
    )
    last = max(1, round(passes * batches.steps_per_pass))
    while loop.step < last:
        within_pass = loop.step % batches.steps_per_pass
        seen = loop.step * optimizer.batch_size
        until_evaluation = -(
            -(eval_every_examples - seen % eval_every_examples) // optimizer.batch_size
        )
        count = min(batches.steps_per_pass - within_pass, until_evaluation, last - loop.step)
        params, state = loop.params, loop.state
        with limited_to(threads), loop.clock:
            if within_pass == 0:
                batches.shuffle()
            x, y = batches.gather(within_pass, count)
            done = captured.run(x, y) if captured else 0
            for x_m, y_m in zip(x[done:], y[done:], strict=True):
                params, state = optimizer.step(params, state, x_m, y_m)
        loop.params, loop.state, loop.step = params, state, loop.step + count
        if count == until_evaluation or loop.step == last:
            yield evaluate(loop, optimizer.diagnostics(state))


def warm_up(problem: Problem, batches: Batches) -> None:
    """One step on copies and throw-away streams, so that no first-call cost falls on the clock."""
    generators = [torch.Generator(device=problem.params[0].device).manual_seed(0)]
    replicas = len(problem.members) if problem.members is not None else 1
    params = problem.params.map(torch.clone)
    state = problem.optimizer.init(problem.network, params, lambda purpose: generators * replicas)
    problem.optimizer.step(params, state, *batches.example(params.leading))


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
        return Gaussian.loss(Gaussian.error(z, y, out=z))
