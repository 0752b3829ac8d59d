"""Loss curves as a page draws them: few points, few digits, one list of places for all the runs that share it."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from nglab.figures.comparison import Line
from nglab.plotting.style import spread
from nglab.runs.table import RunRecord

POINTS, LEAST, MOST = 40_000, 40, 200
"""Of all curves together, and of one."""

Numbers = list[float | None]


def points_each(curves: int) -> int:
    """How many points a curve is given, where there are so many.

    >>> points_each(3), points_each(1000)
    (200, 40)
    """
    return max(LEAST, min(MOST, POINTS // max(1, curves)))


def kept(rows: int, most: int) -> list[int]:
    """The rows that are drawn: all, or the first, the last and at most `most` in all, denser at the beginning.

    Half of them are evenly spaced, half by equal factors, for an axis that is logarithmic.
    """
    if rows <= most:
        return list(range(rows))
    even = np.linspace(0, rows - 1, most // 2)
    growing = np.geomspace(1, rows - 1, most - most // 2)
    return np.unique(np.rint(np.concatenate([even, growing])).astype(int)).tolist()


def short(values: Iterable[float]) -> Numbers:
    """Whole numbers as they are, others by four digits; None where JSON knows no such number."""
    return [four_digits(value) for value in values]


def four_digits(value: float) -> float | None:
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) else float(f"{value:.4g}")


class Places:
    """Lists of examples seen, each kept once: most runs of a sweep are evaluated at the same."""

    def __init__(self) -> None:
        self.lists: list[Numbers] = []
        self._numbers: dict[tuple[float | None, ...], int] = {}

    def number(self, values: Numbers) -> int:
        number = self._numbers.setdefault(tuple(values), len(self.lists))
        if number == len(self.lists):
            self.lists.append(values)
        return number


def of_run(record: RunRecord, most: int, places: Places) -> dict[str, Any]:
    """`x`: the number of its list of examples, `s`: seconds, `y`: test losses."""
    rows = kept(len(record.columns["step"]), most)
    examples, seconds, losses = (
        short(record.columns[name][row] for row in rows)
        for name in ("examples_seen", "train_seconds", "test_loss")
    )
    return {"x": places.number(examples), "s": seconds, "y": losses}


def of_line(line: Line, most: int) -> dict[str, Any]:
    """Against examples and against seconds: places, medians over the runs, the least and the greatest losses."""
    return {
        "examples": median(line, "examples_seen", most),
        "seconds": median(line, "train_seconds", most),
    }


def median(line: Line, x: str, most: int) -> Sequence[Numbers]:
    table = spread(line.runs, x)
    table = table.iloc[kept(len(table), most)]
    return [
        short(table.index.tolist()),
        *(short(table[name]) for name in ("median", "low", "high")),
    ]
