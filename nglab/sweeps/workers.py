"""Work dealt out to processes, each with its share of the cores."""

import ctypes
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from nglab.runs.cores import available_cores
from nglab.runs.ownership import at_work
from nglab.runs.signals import ASKING, exit_status, handled

Item = TypeVar("Item")
Result = TypeVar("Result")
PR_SET_PDEATHSIG = 1  # of Linux's <sys/prctl.h>


@dataclass(frozen=True)
class Lost:
    """In place of a result: the process that was to bring it has ended, by a signal where its `status` is below 0."""

    status: int

    def __str__(self) -> str:
        if self.status >= 0:
            return f"its process ended with status {self.status}"
        return f"its process was ended by {signal.Signals(-self.status).name}"


@dataclass(frozen=True)
class Raised:
    """In place of a result: what was raised."""

    error: BaseException


def useful_processes(devices: Iterable[str]) -> int:
    """One a core; one where a GPU may be used, which would serve them in turn, or where none can be forked."""
    may_have_gpu = Path("/dev/nvidiactl").exists()
    on_gpu = any(name != "cpu" and (name != "auto" or may_have_gpu) for name in devices)
    return 1 if on_gpu or sys.platform != "linux" else available_cores()


def in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], count: int
) -> list[Result | Lost]:
    """`[function(item) for item in items]` by `count` processes forked from this one, which end with it (on Linux).

    A process that is killed costs the result that it was at, which is `Lost`; another takes its place. What one of
    them raises is raised here when the others have ended what they had begun; nothing more is begun. They end with
    this process, or when it is interrupted (see `passing_on`). Only the results are pickled.
    """
    count = min(count, len(items))
    if count < 2:
        return [function(item) for item in items]
    return Crew(function, items, count).results()


class Crew:
    """The processes, and which item each is at."""

    def __init__(self, function: Callable[[Any], Any], items: Sequence[Any], count: int) -> None:
        self.function, self.items, self.count = function, items, count
        self.left = iter(range(len(items)))
        self.at: dict[Connection, tuple[BaseProcess, int]] = {}
        self.brought: dict[int, Any] = {}

    def results(self) -> list[Any]:
        try:
            for _ in range(self.count):
                self.hire()
            while self.at:
                for connection in wait(list(self.at)):
                    self.hear(connection)  # type: ignore[arg-type]
        finally:
            self.kill()
        for one in self.brought.values():
            if isinstance(one, Raised):
                raise one.error
        return [self.brought[index] for index in range(len(self.items))]

    def hire(self) -> None:
        """One more process, where something is left to do."""
        if (index := next(self.left, None)) is None:
            return
        here, there = Pipe()
        threads = max(1, available_cores() // self.count)
        process = multiprocessing.get_context("fork").Process(
            target=serve, args=(self.function, self.items, there, threads, os.getpid())
        )
        process.start()
        there.close()
        self.at[here] = process, index
        here.send(index)

    def hear(self, connection: Connection) -> None:
        """Take what a process has brought, and give it the next item or let it go; another for one that was lost."""
        process, index = self.at[connection]
        try:
            self.brought[index] = connection.recv()
        except (EOFError, OSError):
            self.let_go(connection)
            self.brought[index] = Lost(process.exitcode or 0)
            return self.hire()
        if isinstance(self.brought[index], Raised):
            self.left = iter(())
        following = next(self.left, None)
        with suppress(OSError):  # lost meanwhile: the next to be heard of it
            connection.send(following)
        if following is None:
            self.let_go(connection)
        else:
            self.at[connection] = process, following

    def let_go(self, connection: Connection) -> None:
        process, _ = self.at.pop(connection)
        process.join()
        connection.close()

    def kill(self) -> None:
        for process, _ in self.at.values():
            process.kill()
        for connection in list(self.at):
            self.let_go(connection)


def serve(
    function: Callable[[Any], Any],
    items: Sequence[Any],
    connection: Connection,
    threads: int,
    parent: int,
) -> None:
    """What a process does: the items whose indices it is sent, until there are no more."""
    begin(threads, parent)
    while (index := connection.recv()) is not None:
        try:
            result = function(items[index])
        except KeyboardInterrupt as error:
            os._exit(exit_status(error))
        except BaseException as error:
            result = Raised(error)
        connection.send(result)


def begin(threads: int, parent: int) -> None:
    end_with(parent)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    if "torch" in sys.modules:  # too late for the variable, and its threads were not forked with it
        sys.modules["torch"].set_num_threads(1)


def end_with(parent: int) -> None:
    """This process is killed when its parent ends, however that ends (on Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # which ended before it was asked for
            os._exit(130)


def end_with_launcher() -> None:
    """In a process of multiprocessing or joblib, which would wait for minutes after its launcher is killed."""
    if launcher := multiprocessing.parent_process():
        end_with(launcher.pid or 0)


@contextmanager
def passing_on(folders: Sequence[Path]) -> Iterator[None]:
    """A signal that interrupts this process goes to its workers first, and is waited with until they leave `folders`.

    Workers are the processes of Python's multiprocessing, joblib's too; a cluster's jobs outlive the command that
    submits them. The same signal once more is not waited with.
    """

    def pass_on(number: int, frame: FrameType | None) -> None:
        with handled(before[signal.Signals(number)], [signal.Signals(number)]):
            for worker in multiprocessing.active_children():
                os.kill(worker.pid or 0, number)
            while multiprocessing.active_children() and any(map(at_work, folders)):
                time.sleep(0.02)
        before[signal.Signals(number)](number, frame)

    heard = [one for one in ASKING if callable(signal.getsignal(one))]
    with handled(pass_on, heard) as before:
        yield
