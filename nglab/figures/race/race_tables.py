"""From the folders of runs to the race's tables: curves, and when each target was first reached."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nglab.figures.race.race_protocol import Target

TIMES = ("examples", "steps", "seconds")
"""What the time to a target is counted in, and the column of a curve that counts it."""

COUNTED_BY = {"examples": "examples_seen", "steps": "step", "seconds": "train_seconds"}


def with_floor(metrics: pd.DataFrame, minimum_loss: float | None) -> pd.DataFrame:
    """The rows of a run with `minimum_loss` and `times_floor`, NaN where there is no smallest possible loss."""
    floor = math.nan if minimum_loss is None else minimum_loss
    return metrics.assign(minimum_loss=floor, times_floor=metrics.test_loss / floor)


def first_time(rows: pd.DataFrame, target: Target) -> dict[str, float]:
    """When a run's `target.column` is first at or below `target.value`: examples, steps, seconds, ∞ where never.

    Between the evaluation there and the one before, the logarithm of the column is taken to be linear.
    """
    values = rows[target.column].to_numpy(dtype=float)
    reached = np.flatnonzero(values <= target.value)
    if not len(reached):
        return dict.fromkeys(TIMES, math.inf)
    at = int(reached[0])
    share = 1.0 if at == 0 else share_of_way(values[at - 1], values[at], target.value)
    before = max(0, at - 1)
    return {
        time: float(counted[before] + share * (counted[at] - counted[before]))
        for time, counted in ((t, rows[column].to_numpy()) for t, column in COUNTED_BY.items())
    }


def share_of_way(above: float, below: float, value: float) -> float:
    """Where between two losses, one above `value` and one not, the way between their logarithms meets it."""
    if not math.isfinite(above) or below <= 0:
        return 1.0
    return math.log(above / value) / math.log(above / below)


def final_value(rows: pd.DataFrame, column: str, status: str) -> float:
    """The last value of a column, ∞ where the run diverged."""
    last = float(rows[column].iloc[-1])
    return last if status == "finished" and math.isfinite(last) else math.inf


def times_of(
    rows: pd.DataFrame, targets: Sequence[Target], facts: Mapping[str, Any]
) -> pd.DataFrame:
    """A row a target: `facts` of the run, the target, and when it was reached."""
    return pd.DataFrame(
        [
            {**facts, "target": str(target), "column": target.column, "value": target.value}
            | first_time(rows, target)
            for target in targets
        ]
    )
