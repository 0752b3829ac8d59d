"""Signals that ask a process to end: held while a run is at work, until its state is on disk.

Who had the signal before decides what then happens. Python's own handler and those of `ending_by_exception` raise, and
the run has ended; a cluster's launcher puts its job into the queue again, or returns, and the run goes on.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ASKING = [
    getattr(signal, name)
    for name in ("SIGHUP", "SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
]
"""The terminal is gone, Ctrl-C, preemption, and what Slurm is told to send before the time limit (two customs)."""

AGAIN_SECONDS = 1.0
"""A signal that comes again after so long ends the process at once; sooner it is the first, to a whole group."""


class Interrupted(KeyboardInterrupt):
    """A signal that ends a command as Ctrl-C does."""


def exit_status(error: KeyboardInterrupt) -> int:
    """As a shell has it, 128 + the signal: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + (error.args[0] if isinstance(error, Interrupted) else signal.SIGINT)


@contextmanager
def ending_by_exception() -> Iterator[None]:
    """Where a signal would end the process without a word, `Interrupted` is raised."""
    with handled(interrupt, [one for one in ASKING if signal.getsignal(one) is signal.SIG_DFL]):
        yield


def interrupt(number: int, _: FrameType | None) -> None:
    raise Interrupted(number)


@contextmanager
def handled(handler: Any, signals: list[signal.Signals]) -> Iterator[dict[signal.Signals, Any]]:
    """`handler` in place of those there are, which are given; in the main thread, where alone signals arrive."""
    if threading.current_thread() is not threading.main_thread():
        signals = []
    before = {one: signal.signal(one, handler) for one in signals}
    try:
        yield before
    finally:
        for one, former in before.items():
            signal.signal(one, former)


class Signals:
    """Those that have come inside `holding` and have not been handed on."""

    def __init__(self) -> None:
        self.came: dict[int, float] = {}  # and when
        self.before: dict[signal.Signals, Any] = {}
        self.ending = False

    def hold(self, number: int, _: FrameType | None) -> None:
        if time.monotonic() - self.came.setdefault(number, time.monotonic()) > AGAIN_SECONDS:
            self.hand_on()

    def hand_on(self) -> None:
        """To their handlers of before; returns where those do. `ending`, once one has not.

        Where it has none, the process is ended by it after what is inside.
        """
        while self.came:
            number = signal.Signals(next(iter(self.came)))
            self.ending = True
            if self.before[number] is signal.SIG_DFL:
                raise Interrupted(number)
            del self.came[number]
            mine = signal.signal(number, self.before[number])
            signal.raise_signal(number)
            self.ending = False
            signal.signal(number, mine)


@contextmanager
def holding() -> Iterator[Signals]:
    """Signals are held inside, and those that nobody has handed on are at the end. Ignored ones stay ignored."""
    signals = Signals()
    heard = [one for one in ASKING if signal.getsignal(one) not in (signal.SIG_IGN, None)]
    try:
        with handled(signals.hold, heard) as signals.before:
            yield signals
    finally:
        for number in signals.came:
            signal.raise_signal(number)
