"""Contenders timed against each other in one process, in interleaved rounds.

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
Clock = Callable[[], float]
ROUND_SECONDS = 0.02  # a contender is called until this is over, at least once a round


@dataclass
class Times:
    """Seconds of one call, `[rounds × contenders]`, and why the others could not run."""

    seconds: pd.DataFrame
    errors: dict[str, str] = field(default_factory=dict)


def measure(
    makers: Mapping[str, Callable[[], Step]], rounds: int, title: str, clock: Clock = perf_counter
) -> Times:
    """Make every contender, warm it up, and time those that run. One that raises is reported, never hidden."""
    calls, steps, errors = {}, {}, {}
    with quiet(), tqdm(range(rounds), title, leave=False, disable=None) as bar:
        for name, make in makers.items():
            try:
                step = make()
                step()  # compiles, allocates
                calls[name] = max(1, round(ROUND_SECONDS / max(seconds_of(step, 1, clock), 1e-9)))
                steps[name] = step
            except Exception as error:  # whatever a library of others may raise
                errors[name] = describe(error)
        rows = [one_round(steps, calls, n % 2 == 1, clock) for n in bar]
    return Times(pd.DataFrame(rows, columns=list(steps)), errors)


def one_round(
    steps: Mapping[str, Step], calls: Mapping[str, int], backwards: bool, clock: Clock
) -> dict[str, float]:
    """Seconds of one call of each contender; every other round goes through them backwards.

    A call off the clock goes first: in training a step follows one like it, not what another left in the cache.
    """
    seconds = {}
    for name in list(steps)[:: -1 if backwards else 1]:
        steps[name]()
        seconds[name] = seconds_of(steps[name], calls[name], clock)
    return seconds


def seconds_of(step: Step, calls: int, clock: Clock) -> float:
    start = clock()
    for _ in range(calls):
        step()
    return (clock() - start) / calls


def describe(error: Exception) -> str:
    """One line for a contender that could not run."""
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


def table(times: Times, references: Mapping[str, str], steps_per_call: int = 1) -> pd.DataFrame:
    """A row a contender: median and quartiles in ms a step, and the median ratio to each reference.

    `references` maps a column to a contender; a ratio is taken within each round. Who could not run has its `error`.
    """
    rows: list[dict[str, Any]] = []
    for name in times.seconds:
        seconds = times.seconds[name]
        low, median, high = seconds.quantile([0.25, 0.5, 0.75]) * 1e3 / steps_per_call
        row = {"contender": name, "ms": median, "ms_low": low, "ms_high": high}
        for column, reference in references.items():
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
