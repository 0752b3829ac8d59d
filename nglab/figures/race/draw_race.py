"""Figure 3: the test loss of every method against examples and against seconds, a column a problem.

`curves`, a row an evaluation, and `times`, a row a problem, target, method and seed: see race_report.py.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nglab.figures.race.race_looks import Looks, legend_below, staggered
from nglab.figures.race.race_statistics import BESIDE, rows_of
from nglab.plotting import style
from nglab.plotting.loss_axis import EXAMPLES, SECONDS, loss_limits, positive

CLOCKS = {
    "examples": ("examples_seen", 1000, EXAMPLES),
    "seconds": ("train_seconds", 1, SECONDS),
}
FLOOR: dict[str, Any] = {"color": style.FLOOR_COLOUR, "linestyle": (0, (4, 2)), "linewidth": 0.9}
TARGET: dict[str, Any] = {"color": "black", "linestyle": (0, (0.8, 2)), "linewidth": 0.7}
PER_DECADE = 12
FORMATS = ("png", "pdf", "svg")


@style.styled
def draw_race(curves: pd.DataFrame, times: pd.DataFrame, looks: Looks, stem: Path) -> list[Path]:
    """Above: the runs tuned for examples; below: those tuned for seconds; returns the files.

    Where a target is a test error the error is drawn. Medians over seeds, in a faint band from least to greatest.
    """
    problems = sorted(curves.problem.unique())
    figure = Figure(figsize=(0.4 + 2.2 * len(problems), 5.0))
    axes = figure.subplots(
        2, len(problems), squeeze=False, sharey="col", gridspec_kw={"hspace": 0.28, "wspace": 0.32}
    )
    for column, problem in zip(axes.T, problems, strict=True):
        draw_problem(column, curves[curves.problem == problem], times[times.problem == problem], looks)  # fmt: skip
    marks = {"smallest possible loss": FLOOR, "targets": TARGET}
    legend_below(figure, looks | marks, caption(curves))
    return style.save(figure, stem, FORMATS)


def draw_problem(
    column: Sequence[Axes], rows: pd.DataFrame, times: pd.DataFrame, looks: Looks
) -> None:
    measure = "test_error" if (times.column == "test_error").any() else "test_loss"
    rows = rows.assign(test_loss=rows[measure])  # what `style` draws
    floors = [] if measure == "test_error" else positive(rows.minimum_loss.dropna())
    targets = target_levels(times, floors)
    losses = [run.test_loss for run in runs_of(rows[rows.step > 0])]
    limits = loss_limits(losses, [*floors, *targets])
    for axes, clock in zip(column, CLOCKS, strict=True):
        style.log_loss_axis(axes, limits, floors)
        for level in targets:
            axes.axhline(level, zorder=1, **TARGET)
        draw_clock(axes, rows_of(rows, clock), clock, looks)
        axes.set_ylabel("test error (%)" if measure == "test_error" else "test loss")
    name_problem(column[0], rows)


def name_problem(axes: Axes, rows: pd.DataFrame) -> None:
    """The letter, the architecture, and where every method starts."""
    start = rows.test_loss[rows.step == 0].median()
    text: dict[str, Any] = {"transform": axes.transAxes, "va": "bottom"}
    axes.text(0, 1.09, rows.problem.iloc[0], fontsize=10, fontweight="bold", **text)
    axes.text(0.12, 1.095, style.heading(rows.arch.iloc[0]), fontsize=7.5, **text)
    axes.text(0, 1.02, f"all start at {start:.3g}", fontsize=6, color="0.35", **text)


def runs_of(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """The runs of one clock or of both, each by its steps."""
    keys = ["method", "tuned_for", "seed"]
    return [run.sort_values("step") for _, run in rows.groupby(keys, sort=False)]


def target_levels(times: pd.DataFrame, floors: Sequence[float]) -> list[float]:
    """Where the targets lie on the axis of the loss or error; each of several floors has its own."""
    targets = times[["column", "value"]].drop_duplicates()
    of_floor = targets.value[targets.column == "times_floor"]
    levels = [value * floor for value in of_floor for floor in floors]
    return [*levels, *targets.value[targets.column != "times_floor"]]


def draw_clock(axes: Axes, rows: pd.DataFrame, clock: str, looks: Looks) -> None:
    """Every method's median and band, from its first evaluation on, on two log axes."""
    x, unit, label = CLOCKS[clock]
    begun = rows[(rows.step > 0) & (rows[x] > 0)]
    for method, look in staggered(looks).items():
        if runs := [thinned(run, x) for run in runs_of(begun[begun.method == method])]:
            style.draw_spread(axes, runs, x, unit=unit, opacity=0.08, **look)
    axes.set(xscale="log", xlabel=label)
    style.log_ticks(axes)


def thinned(run: pd.DataFrame, x: str) -> pd.DataFrame:
    """The last evaluation in each part of a decade: all of a noisy run would be a blot where they crowd."""
    part = np.floor(np.log10(run[x].to_numpy(dtype=float)) * PER_DECADE)
    return run[~pd.Series(part, index=run.index).duplicated(keep="last")]


def caption(curves: pd.DataFrame) -> str:
    """How to read the lines, and which runs diverged."""
    seeds = curves.groupby("problem").seed.nunique()
    many = f"{seeds.min()}" if seeds.nunique() == 1 else f"{seeds.min()} to {seeds.max()}"
    over = f"Lines: median over {many} seeds; bands: least to greatest, diverged runs aside."
    lines = "One seed." if seeds.max() == 1 else over
    lost = diverged(curves)
    tuned = tuned_for(set(curves.tuned_for) - {BESIDE})
    drawn = f"At most {PER_DECADE} evaluations a decade are drawn."
    return f"{lines}\n{tuned} {drawn}" + (f"\nDiverged: {lost}." if lost else "")


def tuned_for(clocks: set[str]) -> str:
    if len(clocks) == 1:
        return f"Settings tuned for {next(iter(clocks))}."
    return "Above: settings tuned for examples; below: for seconds."


def diverged(curves: pd.DataFrame) -> str:
    """ "adam on A 1 of 5, B 2 of 5; sgd on C 1 of 5", of the distinct runs of each method."""
    runs = curves.drop_duplicates(["problem", "method", "setting", "seed"])
    counts = (runs.status == "diverged").groupby([runs.method, runs.problem]).agg(["sum", "size"])
    lost = counts[counts["sum"] > 0]
    return "; ".join(
        f"{method} on " + ", ".join(f"{key[1]} {n} of {of}" for key, n, of in part.itertuples())
        for method, part in lost.groupby(level=0)
    )
