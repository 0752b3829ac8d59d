"""Where the time of nglab's NGD step goes: the functions that the step calls, timed as it calls them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from itertools import cycle
from time import perf_counter
from typing import Any

import pandas as pd

from nglab.bench.cases import Case, Plan
from nglab.bench.nglab_steps import nglab_ngd
from nglab.bench.timing import Clock, Times, table
from nglab.curvature import batch
from nglab.curvature.kronecker import Kronecker
from nglab.likelihoods.gaussian import Gaussian
from nglab.optimizers.steps import fixed

FORWARD, AGAIN = "forward", "loss re-evaluation"
REST = "update, ρ and λ"
WHOLE = "whole step"
CALLS: list[tuple[Any, str, str]] = [
    (batch, "forward", FORWARD),  # the second of a step is the re-evaluation
    (Gaussian, "error", "output error and loss"),
    (Gaussian, "loss", "output error and loss"),
    (Gaussian, "sample_error", "sampled targets"),
    (batch, "backward", "backward, true and sampled"),
    (batch, "add_outer_", "gradient"),
    (Kronecker, "update_", "covariances"),
    (Kronecker, "invert_", "inverses"),
    (Kronecker, "multiply_", "products with the inverses"),
    (fixed, "slope", "products with the inverses"),
]
"""Whose function, its name, and the part of the step that it is; what it calls in turn counts for that part only."""


class Recorder:
    """Seconds of each part: at every moment one part is on the clock."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.part, self.start = clock, REST, clock()
        self.seconds = dict.fromkeys([FORWARD, *(part for *_, part in CALLS), AGAIN, REST], 0.0)

    def switch(self, part: str) -> str:
        """Put `part` on the clock; returns the part that was on it."""
        before, now = self.part, self.clock()
        self.seconds[before] += now - self.start
        self.part, self.start = part, now
        return before

    def timed(self, function: Callable[..., Any], parts: Iterator[str]) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            before = self.switch(next(parts))
            result = function(*args, **kwargs)
            self.switch(before)
            return result

        return call


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Every function of `CALLS` reports to `recorder` inside."""
    kept = [(owner, name, vars(owner)[name]) for owner, name, _ in CALLS]
    for owner, name, part in CALLS:
        parts = cycle([FORWARD, AGAIN]) if part == FORWARD else cycle([part])
        timed = recorder.timed(getattr(owner, name), parts)
        setattr(owner, name, timed)
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
