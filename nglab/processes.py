"""Work dealt out to processes, each with its share of the cores."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
PR_SET_PDEATHSIG = 1  # of Linux's <sys/prctl.h>

work: tuple[Callable[[Any], Any], Sequence[Any]]  # what the processes that are forked here do


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], count: int
) -> list[Result]:
    """`[function(item) for item in items]` by `count` processes forked from this one (Linux), which end with it.

    What one of them raises, Ctrl-C too, is raised here when the others have ended what they had begun; nothing more is
    begun. Only the results are pickled.
    """
    global work
    work = function, items
    share = max(1, available_cores() // count)
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("fork"), begin, (share,))
    try:
        return list(pool.map(call, range(len(items))))
    finally:
        pool.shutdown(cancel_futures=True)


def begin(threads: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    if "torch" in sys.modules:  # too late for the variable
        sys.modules["torch"].set_num_threads(threads)


def call(index: int) -> Any:
    function, items = work
    return function(items[index])
