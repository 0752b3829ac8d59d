"""Runs that are on disk, as tables."""

import warnings
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import pandas as pd

from nglab.errors import InputError
from nglab.runs import many, table
from nglab.runs.table import RunRecord
from nglab.settings.messages import a_kind

Folder = str | PathLike[str]


def as_paths(folders: Folder | Iterable[Folder]) -> list[Path]:
    """One folder or several, strings and paths alike."""
    if not isinstance(folders, str | PathLike | Iterable):
        raise InputError(f"folders: is {a_kind(folders)}: must be a folder, or a list of folders")
    return [Path(one) for one in ([folders] if isinstance(folders, str | PathLike) else folders)]


def left_out(text: str) -> None:
    """A damaged run is no error, where there are others."""
    warnings.warn(text, stacklevel=4)


def read_run(folder: Folder) -> RunRecord:
    """One run: `config`, `metrics` (a row an evaluation: the columns of `metrics.csv`), `summary` and `folder`.

    Losses are h = (1/N) Σ −log r(y|z), means over examples, as `train` has them; `train_seconds` are seconds of
    optimisation. A run that goes on still, or was killed, has the status "unfinished". Metrics have the shape
    rows × columns.

    Raises InputError where the folder does not hold a whole run.

    Source: the files are those of `nglab run`; no formula is applied to them.

    >>> import nglab as ng
    >>> ng.read_run("nowhere")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    nglab.errors.InputError: nowhere/metrics.csv is missing: ...
    """
    return table.read_run(Path(folder))


def read_runs(folders: Folder | Iterable[Folder]) -> pd.DataFrame:
    """The runs at or below one folder or several: a row a run, what was configured and what came out.

    The columns are `folder`, `status`, the configuration's dotted keys (`optimizer.lr`) and the summary's fields
    (`final_test_loss`, `train_seconds`, …), as `nglab collect` writes them; the shape is runs × columns. Losses are
    h = (1/N) Σ −log r(y|z), means over examples, times are in seconds. The rows of each run's `metrics.csv` are
    `read_run`'s.

    Raises InputError where a folder is none, holds no run, or is a run that is damaged; a damaged run below it is
    left out with a warning.

    Source: the files are those of `nglab run`; no formula is applied to them.

    >>> import nglab as ng
    >>> ng.read_runs("nowhere")
    Traceback (most recent call last):
    nglab.errors.InputError: nowhere is not a folder: give a run's folder, or one that holds runs
    """
    return many.collect(table.whole_runs(as_paths(folders), left_out))
