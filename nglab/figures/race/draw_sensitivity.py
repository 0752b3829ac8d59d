"""What a method loses where a tuned value is not the best one: from the tuning runs of a race.

`tuning`, a row a run and target, and `chosen`, a row a problem, method and clock: see `nglab.figures.race.race_report`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nglab.figures.race.race_looks import Looks, legend_below
from nglab.plotting import style

FIXED = ["problem", "method", "setting", "seed", "target", "column", "value", "status", "final", "examples", "steps",
         "seconds", "chosen_for"]  # fmt: skip
BATCH = "batch_size"
FORMATS = ("png", "pdf", "svg")
CAPTION = (
    "Examples to the hardest target that a method reached in tuning, over its least (thin: it reached none, and this is\n"
    "its final value), the best over its other settings; medians over tuning seeds. At the top edge: not reached.\n"
    "Filled: the value chosen for examples; open: chosen, though not all its neighbours were tried."
)


@dataclass(frozen=True)
class Sensitivity:
    """One method's cost at every value of one key, `cost` ÷ the least, indexed by value ÷ the chosen one."""

    cost: pd.Series
    reached: bool
    settled: bool


@style.styled
def draw_sensitivity(
    tuning: pd.DataFrame, chosen: pd.DataFrame, looks: Looks, stem: Path
) -> list[Path]:
    """A column a problem; above: each method's first tuned number, below: its batch size. Returns the files."""
    problems = sorted(tuning.problem.unique())
    keys = {name: first_key(part) for name, part in tuning.groupby("method")}
    figure = Figure(figsize=(0.4 + 2.2 * len(problems), 4.6))
    axes = figure.subplots(2, len(problems), squeeze=False, sharey="col", gridspec_kw={"hspace": 0.3})
    for column, problem in zip(axes.T, problems, strict=True):
        rows = tuning[tuning.problem == problem]
        own = chosen[(chosen.problem == problem) & (chosen.tuned_for == "examples")]
        draw_panel(column[0], sensitivities(rows, own, keys), looks)
        draw_panel(column[1], sensitivities(rows, own, dict.fromkeys(keys, BATCH)), looks)
        column[0].set_title(f"{problem}  {style.heading(own.arch.iloc[0])}", loc="left", pad=9)
        column[0].set_xlabel("first tuned number ÷ chosen")
        column[1].set_xlabel("batch size ÷ chosen")
    for row in axes:
        row[0].set_ylabel("examples ÷ least")
    named = {f"{name}: {key or BATCH}": looks[name] for name, key in keys.items()}
    legend_below(figure, named, CAPTION)
    return style.save(figure, stem, FORMATS)


def first_key(rows: pd.DataFrame) -> str:
    """The first tuned key of a method whose values are numbers, the batch size aside; "" where there is none."""
    names = [name for name in rows.columns if name not in [*FIXED, BATCH]]
    tuned = (name for name in names if rows[name].notna().any())
    return next((name for name in tuned if numbers(rows[name]).notna().all()), "")


def numbers(values: pd.Series) -> pd.Series:
    """A tuned key's values as numbers, NaN where one is a word; rows of other methods are left out."""
    return pd.to_numeric(values.dropna(), errors="coerce")


def sensitivities(
    tuning: pd.DataFrame, chosen: pd.DataFrame, keys: Mapping[str, str]
) -> dict[str, Sensitivity]:
    """Of one problem: each method's sensitivity to its key of `keys`, where it tunes one and a setting was chosen."""
    found = {}
    for method, rows in tuning.groupby("method"):
        key = keys[str(method)]
        best = rows[rows.chosen_for.fillna("").str.contains("examples")]
        if key in rows and rows[key].notna().any() and len(best):
            unsettled = ", ".join(chosen.unsettled[chosen.method == method].fillna(""))
            settled = key not in unsettled.split(", ")
            found[str(method)] = sensitivity(rows, key, float(best[key].iloc[0]), settled)
    return found


def sensitivity(rows: pd.DataFrame, key: str, best: float, settled: bool) -> Sensitivity:
    """One method on one problem; `best` is the chosen value of `key`."""
    target, reached = hardest(rows)
    costs = rows[rows.target == target].assign(value=rows[key].astype(float) / best)
    measure = "examples" if reached else "final"
    medians = costs.groupby(["value", "setting"])[measure].median().groupby("value").min()
    least = medians.min()
    return Sensitivity(medians / least if np.isfinite(least) else medians, reached, settled)


def hardest(rows: pd.DataFrame) -> tuple[str, bool]:
    """The target of least value that the median run of some setting reached; else the least of all, and False."""
    medians = rows.groupby(["target", "value", "setting"]).examples.median()
    least = medians.groupby(["target", "value"]).min().sort_index(level="value")
    reached = least[np.isfinite(least)]
    return (reached if len(reached) else least).index[0][0], len(reached) > 0


def draw_panel(axes: Axes, found: Mapping[str, Sensitivity], looks: Looks) -> None:
    """A line a method; all touch 1."""
    axes.set(xscale="log", yscale="log")
    top: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False, "linestyle": ""}
    for method, own in found.items():
        look = {**looks[method], "linewidth": looks[method]["linewidth"] if own.reached else 0.5}
        finite = own.cost[np.isfinite(own.cost)]
        axes.plot(finite.index, finite, **look | {"ms": 2.2})
        never = own.cost.index.difference(finite.index)
        axes.plot(never, np.ones(len(never)), **look | top)
        ring = {"mfc": look["color"] if own.settled else "white", "mec": look["color"], "mew": 0.8}
        axes.plot(1.0, finite.get(1.0, np.nan), **look | ring | {"linestyle": "", "zorder": 4})
