"""One thread, set before torch is imported: pytest-xdist runs the small tests side by side."""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

from run_folders import write_run  # noqa: F401  (a fixture)

import nglab  # noqa: F401  (before torch is imported)


@pytest.fixture
def in_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty working folder for a command run here; what Hydra sets for its process is put back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    for room in ("nglab", "nglab.figures"):  # where the commands show what is logged
        monkeypatch.setattr(logging.getLogger(room), "handlers", [])
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def signals_heard() -> Iterator[None]:
    """As in a shell's foreground: what runs in the background has SIGINT ignored, and under nohup SIGHUP."""
    numbers = [signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2]
    before = {
        number: signal.signal(
            number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        )
        for number in numbers
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
