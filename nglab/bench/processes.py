"""Contenders in processes of their own, one for each way in which the BLAS works: that is settled as PyTorch loads."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from time import perf_counter
from typing import Any, TypeVar

import pandas as pd
import torch

from nglab.bench.timing import (
    VENDOR,
    CouldNotRun,
    Step,
    Timed,
    describe,
    measure,
    quiet,
    seconds_of,
    table,
)
from nglab.memory import keep_freed_memory
from nglab.native.vendor_check import lifted

log = logging.getLogger(__name__)

T = TypeVar("T")
BLAS = ("lifted", "vendor")
"""MKL on a processor that is not Intel's: with its vendor check lifted, or as the vendor has it."""


@dataclass(frozen=True)
class Contender:
    """A maker of a step, to be called in any process, and how many equal parts (steps, runs) a call of it has."""

    make: Callable[[], Step]
    parts: int = 1


class Worker:
    """A process that makes contenders and times them."""

    def __init__(self, blas: str, threads: int) -> None:
        self.blas = blas
        self.pool = ProcessPoolExecutor(1, get_context("spawn"), begin, (threads,))
        with environment("NGLAB_MKL", blas):
            self.lifted = self.ask(lifted)  # starts it

    def ask(self, function: Callable[..., T], *arguments: Any) -> T:
        """What `function` returns there."""
        return self.pool.submit(function, *arguments).result()

    def timed(self, name: str, make: Callable[[], Step]) -> Callable[[], Timed]:
        """As `timing.here` has it, there."""

        def made() -> Timed:
            if error := self.ask(hold, name, make):
                raise CouldNotRun(error)
            return lambda calls: self.ask(time_held, name, calls)

        return made

    def close(self) -> None:
        self.pool.shutdown()


@contextmanager
def workers(blas: Sequence[str], threads: int) -> Iterator[list[Worker]]:
    """A process for each of `blas`; where nothing can be lifted one, which is the vendor's."""
    with ExitStack() as stack:
        started = [stack.enter_context(closing(Worker(one, threads))) for one in blas]
        usable = [worker for worker in started if worker.blas == "vendor" or worker.lifted]
        if len(usable) < len(started):
            log.info("no vendor check is lifted here")
        yield usable or [stack.enter_context(closing(Worker("vendor", threads)))]


@contextmanager
def environment(name: str, value: str) -> Iterator[None]:
    """The variable set for what is started inside."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def begin(threads: int) -> None:
    """What a worker does first."""
    keep_freed_memory()
    torch.set_num_threads(threads)


_held: dict[str, Step] = {}
"""Of a worker: its contenders."""


def hold(name: str, make: Callable[[], Step]) -> str:
    """Make a contender and keep it; returns what went wrong, if anything did."""
    try:
        with quiet():
            _held[name] = make()
    except Exception as error:  # some of the libraries' cannot be sent to another process
        return describe(error)
    return ""


def time_held(name: str, calls: int) -> float:
    with quiet():
        return seconds_of(_held[name], calls, perf_counter)


def forget() -> None:
    """Make room for the contenders of the next measurement."""
    _held.clear()


def contest(
    processes: Sequence[Worker],
    by_torch: Mapping[str, Contender],
    by_others: Mapping[str, Contender],
    references: Mapping[str, str],
    rounds: int,
    title: str,
) -> pd.DataFrame:
    """The `timing.table` of who computes by PyTorch, in every process, and of the others, in the first alone."""
    makers, parts, blas = {}, {}, {}
    for worker in processes:
        first = worker is processes[0]
        for name, contender in {**by_torch, **(by_others if first else {})}.items():
            full = name if first else name + VENDOR
            makers[full] = worker.timed(name, contender.make)
            parts[full], blas[full] = contender.parts, worker.blas
    times = measure(makers, rounds, title).each(parts)
    for worker in processes:
        worker.ask(forget)
    rows = table(times, references)
    return rows.assign(blas=rows.contender.map(blas))
