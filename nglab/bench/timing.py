"""Contenders timed against each other in interleaved rounds, in one process or several.

A machine's speed drifts by more than the differences that matter; the ratio of two times of one round does not.
"""

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm

Step = Callable[[], object]
Timed = Callable[[int], float]
"""Of a step: calls → seconds of one of them."""
Clock = Callable[[], float]
ROUND_SECONDS = 0.02  # a contender is called until this is over, at least once a round
LONG_SECONDS = 0.1  # a call that takes so long finds next to nothing of what it needs in the cache
VENDOR = " (vendor)"  # ends the name of who runs in a process whose BLAS is not lifted, beside one whose is


@dataclass
class Times:
    """Seconds of one call, `[rounds × contenders]`, and why the others could not run."""

    seconds: pd.DataFrame
    errors: dict[str, str] = field(default_factory=dict)

    def each(self, parts: Mapping[str, float]) -> "Times":
        """Seconds of one of the equal `parts` that a contender's call has."""
        known = pd.Series(parts, dtype=float).reindex(self.seconds.columns)
        return Times(self.seconds / known, self.errors)


class CouldNotRun(Exception):
    """A contender in another process raised: in one line, what."""


def here(make: Callable[[], Step], clock: Clock = perf_counter) -> Callable[[], Timed]:
    """A maker of a step that this process takes and times."""

    def made() -> Timed:
        step = make()
        return lambda calls: seconds_of(step, calls, clock)

    return made


def measure(makers: Mapping[str, Callable[[], Timed]], rounds: int, title: str) -> Times:
    """Make every contender, warm it up, and time those that run. One that raises is reported, never hidden."""
    calls, steps, errors = {}, {}, {}
    with quiet(), tqdm(range(rounds), title, leave=False, disable=None) as bar:
        for name, make in makers.items():
            try:
                step = make()
                step(1)  # compiles, allocates
                calls[name] = max(1, round(ROUND_SECONDS / max(step(1), 1e-9)))
                steps[name] = step
            except Exception as error:  # whatever a library of others may raise
                errors[name] = describe(error)
        rows = [one_round(steps, calls, n % 2 == 1) for n in bar]
    return Times(pd.DataFrame(rows, columns=list(steps)), errors)


def one_round(
    steps: Mapping[str, Timed], calls: Mapping[str, int], backwards: bool
) -> dict[str, float]:
    """Seconds of one call of each contender; every other round goes through them backwards.

    A call goes first, and is not counted unless it is long: in training a step follows one like it, not what another
    left in the cache.
    """
    seconds = {}
    for name in list(steps)[:: -1 if backwards else 1]:
        first = steps[name](1)
        seconds[name] = first if first > LONG_SECONDS else steps[name](calls[name])
    return seconds


def seconds_of(step: Step, calls: int, clock: Clock) -> float:
    start = clock()
    for _ in range(calls):
        step()
    return (clock() - start) / calls


def describe(error: Exception) -> str:
    """One line for a contender that could not run."""
    if isinstance(error, CouldNotRun):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return f"not installed ({error.name})"
    return f"{type(error).__name__}: {(str(error).strip() or '…').splitlines()[0]}"


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings of the libraries, and no log handlers that they leave behind."""
    handlers = logging.root.handlers[:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.root.handlers[:] = handlers


def table(times: Times, references: Mapping[str, str]) -> pd.DataFrame:
    """A row a contender: median, quartiles and least in ms, and the median ratio to each reference.

    `references` maps a column to a contender, that of the same BLAS where there is one; a ratio is taken within each
    round. Who could not run has its `error`.
    """
    rows: list[dict[str, Any]] = []
    for name in times.seconds:
        seconds = times.seconds[name]
        low, median, high = seconds.quantile([0.25, 0.5, 0.75]) * 1e3
        least = seconds.min() * 1e3
        row = {"contender": name, "ms": median, "ms_low": low, "ms_high": high, "ms_least": least}
        for column, reference in references.items():
            beside = f"{reference}{VENDOR}"
            if name.endswith(VENDOR) and beside in times.seconds:
                reference = beside
            if reference in times.seconds:
                row[column] = (seconds / times.seconds[reference]).median()
        rows.append(row)
    rows += [{"contender": name, "error": error} for name, error in times.errors.items()]
    return pd.DataFrame(rows)


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """PyTorch with `count` threads and, where the system has it, the process on `count` cores.

    The second is what holds a library that takes its threads elsewhere (JAX) to the same share of the machine; it must
    come before that library is imported.
    """
    threads, pinned = torch.get_num_threads(), hasattr(os, "sched_setaffinity")
    cores = os.sched_getaffinity(0) if pinned else set()
    torch.set_num_threads(count)
    if pinned:
        os.sched_setaffinity(0, sorted(cores)[-count:])
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if pinned:
            os.sched_setaffinity(0, cores)
