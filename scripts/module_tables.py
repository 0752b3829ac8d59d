"""The tables of `compare_modules.py`, made of the rows of its file."""

import math
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from nglab.plotting.markdown import number, pipe_table


def loss_at(curve: pd.DataFrame, clock: str, mark: float, column: str = "loss") -> float:
    """The last loss (or error) up to then; infinite where the run's loss ends at twice its first or is not finite."""
    last = curve[column][curve[clock] <= mark + 1e-9].iloc[-1]
    diverged = not curve.loss.iloc[-1] < 2 * curve.loss.iloc[0]
    return math.inf if diverged else float(last)


def cell(rows: pd.DataFrame, clock: str, mark: float) -> str:
    """The median over the seeds: loss, and in brackets the error in percent where there is one."""
    runs = [curve for _, curve in rows.groupby("seed")]
    loss = pd.Series([loss_at(curve, clock, mark) for curve in runs]).median()
    if rows.error.isna().all():
        return number(loss)
    error = pd.Series([loss_at(curve, clock, mark, "error") for curve in runs]).median()
    return f"{number(loss)} ({number(error)})"


def by_clock(
    rows: pd.DataFrame, chosen: Mapping[str, str], clock: str, marks: Sequence[float]
) -> str:
    """A line a method: its settings and what it has reached at each of the marks."""
    lines = []
    for method, settings in chosen.items():
        own = rows[(rows.method == method) & (rows.settings == settings)]
        reached = {f"{clock}: {mark:g}": cell(own, clock, mark) for mark in marks}
        lines.append({"": method, **reached, "best of the search": settings})
    return pipe_table(lines)


def varied(rows: pd.DataFrame, marks: Mapping[str, float]) -> str:
    """A line a change of settings."""
    lines = []
    for settings, curve in rows.groupby("settings", sort=False):
        reached = {f"{clock}: {mark:g}": cell(curve, clock, mark) for clock, mark in marks.items()}
        total = curve.seconds.iloc[-1] / curve.passes.iloc[-1]
        lines.append({"": str(settings), **reached, "seconds a pass": number(total)})
    return pipe_table(lines)


def searched(rows: pd.DataFrame, marks: Mapping[str, float]) -> Iterator[str]:
    """All runs of a search, a line each."""
    for method, own in rows.groupby("method", sort=False):
        yield f"**{method}**\n\n{varied(own, marks)}"
