"""The training loop: the only one, whatever the method, for one network or a stack of them."""

from collections.abc import Iterator
from typing import Any

import torch

from nglab.data.batches import Batches
from nglab.training.clock import Clock, limited_to, step_threads
from nglab.training.cuda_graph import CapturedSteps
from nglab.training.evaluation import Evaluation, Evaluator
from nglab.training.problem import Problem
from nglab.training.state import Loop


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
    last = max(1, round(passes * batches.steps_per_pass))
    state = optimizer.init(problem.task(last), problem.params, problem.streams)
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
    state = problem.optimizer.init(problem.task(1), params, lambda purpose: generators * replicas)
    problem.optimizer.step(params, state, *batches.example(params.leading))
