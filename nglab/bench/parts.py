"""Where the time of nglab's NGD step goes: the functions that the step calls, timed as it calls them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from time import perf_counter
from typing import Any

import pandas as pd

from nglab.bench.cases import Case, Plan
from nglab.bench.nglab_steps import nglab_ngd
from nglab.bench.timing import Clock, Times, table
from nglab.curvature import batch
from nglab.curvature.batch import Batch
from nglab.curvature.kronecker import Kronecker
from nglab.likelihoods.gaussian import Gaussian
from nglab.optimizers.steps import fixed

AGAIN = "loss re-evaluation"
REST = "update, ρ and λ"
WHOLE = "whole step"
CALLS: list[tuple[Any, str, str]] = [
    (batch, "forward", "forward"),
    (Gaussian, "error", "output error and loss"),
    (Gaussian, "loss", "output error and loss"),
    (Gaussian, "sample_error", "sampled targets"),
    (batch, "backward", "backward, true and sampled"),
    (batch, "add_outer_", "gradient"),
    (Kronecker, "update_", "covariances"),
    (Kronecker, "invert_", "inverses"),
    (Kronecker, "multiply_", "products with the inverses"),
    (fixed, "slope", "products with the inverses"),
    (Batch, "trial_loss", AGAIN),
]
"""Whose function, its name, and the part of the step that it is; what it calls in turn counts for that part only.

But all of the re-evaluation is one part.
"""


class Recorder:
    """Seconds of each part: at every moment one part is on the clock."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.part, self.start = clock, REST, clock()
        self.seconds = dict.fromkeys([*(part for *_, part in CALLS), REST], 0.0)

    def switch(self, part: str) -> str:
        """Put `part` on the clock; returns the part that was on it."""
        before, now = self.part, self.clock()
        self.seconds[before] += now - self.start
        self.part, self.start = part, now
        return before

    def timed(self, function: Callable[..., Any], part: str) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if self.part == AGAIN:
                return function(*args, **kwargs)
            before = self.switch(part)
            result = function(*args, **kwargs)
            self.switch(before)
            return result

        return call


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Every function of `CALLS` reports to `recorder` inside."""
    kept = [(owner, name, vars(owner)[name]) for owner, name, _ in CALLS]
    for owner, name, part in CALLS:
        setattr(owner, name, recorder.timed(getattr(owner, name), part))
    try:
        yield
    finally:
        for owner, name, function in kept:
            setattr(owner, name, function)


def parts_of_step(plan: Plan, rounds: int) -> pd.DataFrame:
    return step_by_part(plan.case(), rounds)


def step_by_part(case: Case, rounds: int, clock: Clock = perf_counter) -> pd.DataFrame:
    """A row a part: ms a step, and the share of the whole step."""
    step, rows = nglab_ngd(case), []
    step()
    for _ in range(rounds):
        recorder = Recorder(clock)
        with recording(recorder):
            recorder.switch(REST)  # a step starts here
            recorder.seconds[REST] = 0.0
            step()
            recorder.switch(REST)
        rows.append({**recorder.seconds, WHOLE: sum(recorder.seconds.values())})
    return table(Times(pd.DataFrame(rows)), {"share": WHOLE})
