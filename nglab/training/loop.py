"""The training loop: the only one, whatever the method, for one network or a stack of them."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from nglab.data.batches import Batches, steps_of
from nglab.native.vendor_check import demand_right_products
from nglab.networks.layers import Layers
from nglab.training.average import Average
from nglab.training.clock import Clock, limited_to, step_threads
from nglab.training.cuda_graph import CapturedSteps, Step
from nglab.training.evaluation import Evaluation, Evaluator, demand_columns
from nglab.training.problem import Problem
from nglab.training.state import Loop
from nglab.training.state_tree import demand_tree, outline


@torch.inference_mode()
def train(
    problem: Problem,
    passes: float,
    eval_every_examples: int,
    snapshot: dict[str, Any] | None = None,
    between: Callable[[Callable[[], dict[str, Any]]], None] = lambda snapshot: None,
) -> Iterator[Evaluation]:
    """Train and yield an `Evaluation` before the first step, every `eval_every_examples` examples, and at the end.

    From a `snapshot` it goes on with the row that came next. `between` is called every few steps, with what makes a
    snapshot there; where it raises, the training ends. `train_seconds` counts shuffling, gathering and the steps;
    evaluation, warm-up and what others do in between are off the clock. Nothing is read back from the device between
    two evaluations.
    Raises InputError before the first step where a checkpoint cannot hold the method's state, or where the method
    gives other diagnostics than it names.
    """
    demand_right_products()
    dataset, optimizer = problem.dataset, problem.optimizer
    batches = Batches(
        dataset.train_x, dataset.train_y, optimizer.batch_size,
        problem.streams("batches"), problem.members,
    )  # fmt: skip
    threads = step_threads(problem.network, optimizer.batch_size, problem.members is not None)
    with limited_to(threads):
        warm_up(problem, batches)
    last = steps_of(passes, batches.examples, optimizer.batch_size)
    evaluate = Evaluator(problem, last)
    loop = begin(problem, batches, last)
    if snapshot is None:
        yield evaluate(loop)
    else:
        loop.restore(snapshot)
    take_steps = chunk_stepper(problem, loop.average)
    captured = capture(problem, loop) if problem.cuda_graph else None
    while loop.step < last:
        between(loop.snapshot)
        within_pass = loop.step % batches.steps_per_pass
        seen = loop.step * optimizer.batch_size
        until_evaluation = -(
            -(eval_every_examples - seen % eval_every_examples) // optimizer.batch_size
        )
        count = min(
            batches.steps_per_pass - within_pass, until_evaluation, last - loop.step,
            batches.at_once,
        )  # fmt: skip
        params, state = loop.params, loop.state
        with limited_to(threads), loop.clock:
            if within_pass == 0:
                batches.shuffle()
            x, y = batches.gather(within_pass, count)
            done = captured.run(x, y) if captured else 0
            params, state = take_steps(params, state, x[done:], y[done:])
        loop.params, loop.state, loop.step = params, state, loop.step + count
        if count == until_evaluation or loop.step == last:
            yield evaluate(loop)


def begin(problem: Problem, batches: Batches, steps: int) -> Loop:
    """The loop before the first of `steps` steps."""
    params, keep = problem.params, problem.average
    state = problem.optimizer.init(problem.task(steps), params, problem.streams)
    average = None if keep is None else Average.of(params, keep)
    return Loop(problem.optimizer, params, state, batches, Clock(params[0].device), average)


def stepper(problem: Problem, average: Average | None) -> Step:
    """The method's step, and where an `average` is kept the iterate's share in it."""
    if average is None:
        return problem.optimizer.step

    def step(params: Layers, state: Any, x: Tensor, y: Tensor) -> tuple[Layers, Any]:
        params, state = problem.optimizer.step(params, state, x, y)
        average.update_(params)
        return params, state

    return step


def chunk_stepper(problem: Problem, average: Average | None) -> Step:
    """The same on a chunk of batches, x `[steps, ..., M, n_0]`, one after the other."""
    if average is None:
        return problem.optimizer.steps
    take_step = stepper(problem, average)

    def steps(params: Layers, state: Any, x: Tensor, y: Tensor) -> tuple[Layers, Any]:
        for x_k, y_k in zip(x, y, strict=True):
            params, state = take_step(params, state, x_k, y_k)
        return params, state

    return steps


def capture(problem: Problem, loop: Loop) -> CapturedSteps:
    return CapturedSteps(
        stepper(problem, loop.average), problem.optimizer.graph_steps, loop.params, loop.state,
        *loop.batches.example(loop.params.leading),
    )  # fmt: skip


def warm_up(problem: Problem, batches: Batches) -> None:
    """One step on copies and throw-away streams, so that no first-call cost falls on the clock.

    What the step leaves is looked at: a state that cannot be saved, or diagnostics without a column, end the run here.
    """
    optimizer, replicas = problem.optimizer, batches.replicas
    generators = [torch.Generator(device=problem.params[0].device).manual_seed(0)]
    params = problem.params.map(torch.clone)
    state = optimizer.init(problem.task(1), params, lambda purpose: generators * (replicas or 1))
    begun = outline(state)
    demand_tree(optimizer, state, replicas, begun)
    params, state = optimizer.step(params, state, *batches.example(params.leading))
    demand_tree(optimizer, state, replicas, begun)
    demand_columns(problem, optimizer.diagnostics(state))
