"""Work dealt out to processes, each with its share of the cores."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from nglab.runs.cores import available_cores

Item = TypeVar("Item")
Result = TypeVar("Result")
PR_SET_PDEATHSIG = 1  # of Linux's <sys/prctl.h>

work: tuple[Callable[[Any], Any], Sequence[Any]]  # what the processes that are forked here do


def useful_processes(devices: Iterable[str]) -> int:
    """One a core; one where a GPU may be used, which would serve them in turn, or where none can be forked."""
    may_have_gpu = Path("/dev/nvidiactl").exists()
    on_gpu = any(name != "cpu" and (name != "auto" or may_have_gpu) for name in devices)
    return 1 if on_gpu or sys.platform != "linux" else available_cores()


def in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], count: int
) -> list[Result]:
    """`[function(item) for item in items]` by `count` processes forked from this one, which end with it (on Linux).

    What one of them raises is raised here when the others have ended what they had begun; nothing more is begun.
    Ctrl-C ends them all. Only the results are pickled.
    """
    count = min(count, len(items))
    if count < 2:
        return [function(item) for item in items]
    global work
    work = function, items
    share = max(1, available_cores() // count)
    pool = ProcessPoolExecutor(
        count, multiprocessing.get_context("fork"), begin, (share, os.getpid())
    )
    try:
        return list(pool.map(call, range(len(items))))
    finally:
        pool.shutdown(cancel_futures=True)


def begin(threads: int, parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # which ended before it was asked for
            os._exit(130)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    if "torch" in sys.modules:  # too late for the variable, and its threads were not forked with it
        sys.modules["torch"].set_num_threads(1)


def call(index: int) -> Any:
    function, items = work
    try:
        return function(items[index])
    except KeyboardInterrupt:
        os._exit(130)  # the next items lie in its queue already
