"""How long a method's step takes, measured without training."""

import torch

from nglab.data.batches import Batches
from nglab.training.clock import Clock, limited_to, step_threads
from nglab.training.loop import begin, chunk_stepper, warm_up
from nglab.training.problem import Problem

LEAST, MOST, ENOUGH_SECONDS = 10, 200, 0.2


@torch.inference_mode()
def seconds_a_step(problem: Problem) -> float:
    """The mean over the first steps of a training, 10 to 200 of them, some two tenths of a second; gathering counts."""
    data, size = problem.dataset, problem.optimizer.batch_size
    batches = Batches(data.train_x, data.train_y, size, problem.streams("batches"), problem.members)
    threads = step_threads(problem.network, size, problem.members is not None)
    with limited_to(threads):
        warm_up(problem, batches)
        loop = begin(problem, batches, MOST)
        take_steps, clock = chunk_stepper(problem, loop.average), Clock(loop.params[0].device)
        taken = 0
        params, state = loop.params, loop.state
        while taken < LEAST or (taken < MOST and clock.seconds < ENOUGH_SECONDS):
            within_pass = taken % batches.steps_per_pass
            count = min(LEAST, batches.steps_per_pass - within_pass)
            with clock:
                if within_pass == 0:
                    batches.shuffle()
                x, y = batches.gather(within_pass, count)
                params, state = take_steps(params, state, x, y)
            taken += count
    return clock.seconds / taken
