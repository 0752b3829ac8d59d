"""One run's loss against examples and against seconds."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from nglab.plotting import style


@style.styled
def save_loss_figure(
    metrics: pd.DataFrame, minimum_loss: float | None, path: Path, circumstances: Mapping[str, Any]
) -> None:
    """One run's test loss against examples and against seconds; what is not finite is left out.

    `circumstances`: of the run's summary, `stacked` and `concurrent` say what else its seconds were spent on.
    """
    metrics = metrics.reindex(columns=["examples_seen", "train_seconds", "test_loss"])
    floors = style.positive([minimum_loss])
    figure, left, right = loss_axes()
    for axes in (left, right):  # the figure before this one, whatever became of it, leaves nothing
        for line in list(axes.lines):
            line.remove()
        axes.relim()
        axes.set_xlim(-0.055, 0.055, auto=True)  # matplotlib's own, where nothing is finite
    limits = style.loss_limits([metrics.test_loss], floors)
    style.log_loss_axis(left, limits, floors)
    style.log_loss_axis(right, limits, floors)
    # a sweep draws hundreds of these: half of the time went into minor ticks
    left.yaxis.set_minor_locator(NullLocator())
    look: dict[str, Any] = {"color": "black", "marker": "." if len(metrics) < 30 else None, "ms": 4}
    left.plot(metrics.examples_seen / 1000, metrics.test_loss.where(np.isfinite), **look)
    right.plot(metrics.train_seconds, metrics.test_loss.where(np.isfinite), **look)
    left.set(xlabel=style.EXAMPLES, ylabel="test loss")
    right.set(xlabel=seconds_label([circumstances]))
    figure.savefig(path, dpi=150)


@cache
def loss_axes() -> tuple[Figure, Axes, Axes]:
    """The axes of every run's loss figure: making them anew would take as long as drawing them."""
    figure = Figure(figsize=(5.6, 2.3))
    left, right = figure.subplots(1, 2, sharey=True)
    figure.subplots_adjust(left=0.1, right=0.98, bottom=0.18, top=0.95, wspace=0.08)
    return figure, left, right


def seconds_label(summaries: Sequence[Mapping[str, Any]]) -> str:
    """The axis of the clock; it says where runs were trained together or may have been beside one another."""
    most = max(summary.get("stacked", 1) for summary in summaries)
    if most > 1:
        return f"seconds, shared by {most} stacked runs"
    beside = any(summary.get("concurrent") for summary in summaries)
    return "seconds, of runs beside others" if beside else style.SECONDS
