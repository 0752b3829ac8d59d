"""`nglab run` inside a program, which it leaves as it found it."""

import logging
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from nglab.commands.run import with_folder
from nglab.errors import InputError
from nglab.runs.table import RunRecord, read_run
from nglab.settings.composing import aside
from nglab.sweeps.application import run_command
from nglab.sweeps.job import RunFailed


def run(arguments: str | Sequence[str]) -> RunRecord | list[RunRecord]:
    """What `nglab run ARGUMENTS` does, in this process: the run's record, or of a sweep (`-m`) those of its jobs.

    `arguments` are words, or one line of them: `group=option`, `key=value`, `out=FOLDER`, `-m`. The run leaves its
    folder, under outputs/ where none is named; its record has `metrics` (a table of rows × columns), `summary`,
    `config` and `folder`. Losses are means over examples of −log r(y|z), times are seconds. A run that diverges is a
    result, as its summary says. A Hydra state and a logging that there are already stay as they are.

    Raises InputError where an argument is wrong, before any work; what a run itself raises is raised.

    Source: the command line's own; `nglab run --help` explains the keys, whose formulas are their methods'.

    >>> import nglab as ng
    >>> ng.run(["arch=bottleneck", "optimizer=sdg"])
    Traceback (most recent call last):
    nglab.errors.InputError: optimizer=sdg: no such option; did you mean sgd?
    """
    words = (
        shlex.split(arguments) if isinstance(arguments, str) else [str(word) for word in arguments]
    )
    with left_as_found():
        try:
            folders = run_command(list(with_folder(words)))
        except (SystemExit, RunFailed) as left:
            raise reason(left) from None
    if not folders:
        raise InputError(
            f"{' '.join(words)}: trains nothing: must be overrides, with -m for a sweep"
        )
    records = [read_run(folder) for folder in folders]
    sweep = {"-m", "--multirun"} & set(words) or len(records) > 1  # a file may make it one
    return records if sweep else records[0]


def reason(left: BaseException) -> BaseException:
    """What the command line has told its user, and left the process for."""
    while isinstance(left, SystemExit | RunFailed) and (left.__cause__ or left.__context__):
        left = left.__cause__ or left.__context__ or left
    return left


@contextmanager
def left_as_found() -> Iterator[None]:
    """Hydra's state, the root logger and sys.argv."""
    root, arguments = logging.getLogger(), sys.argv
    handlers, level = list(root.handlers), root.level
    try:
        with aside():
            yield
    finally:
        sys.argv = arguments
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
