"""What a method loses where a tuned value is not the best one: from the tuning runs of a race.

`tuning`, a row a run and target, and `chosen`, a row a problem, method and clock: see race_report.py.
"""

from collections.abc import Mapping, Sequence
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
         "seconds", "chosen_for", "cost", "chosen"]  # fmt: skip
BATCH = "batch_size"
FULL = 62.0  # points², the disc of the best value
GREY = "0.6"
NEVER: dict[str, Any] = {"color": "0.35", "linestyle": "", "marker": "x", "ms": 3, "mew": 0.7}
RING: dict[str, Any] = {
    "linestyle": "",
    "marker": "o",
    "ms": 10,
    "mfc": "none",
    "mec": "black",
    "mew": 0.7,
}
FORMATS = ("png", "pdf", "svg")
CAPTION = (
    "A disc is a value tried, 1 the value chosen; its area is the method's least number of {clock} to target over\n"
    "what is needed there at the best of the other settings: half of it, twice the {clock}. Medians over tuning\n"
    "seeds, to the hardest target that the method reached in tuning; in grey, where it reached none: its final value."
)


@dataclass(frozen=True)
class Sensitivity:
    """One method's cost ÷ the least at every value of one key, indexed by value ÷ the chosen one.

    `reached`: the cost is a time to target, not a final value. `settled`: the chosen value's neighbours were tried.
    """

    cost: pd.Series
    reached: bool
    settled: bool


@style.styled
def draw_sensitivity(
    tuning: pd.DataFrame, chosen: pd.DataFrame, looks: Looks, stem: Path
) -> list[Path]:
    """A column a problem, a line a method; above: its first tuned number, below: its batch size. Returns the files."""
    clock = "examples" if (chosen.tuned_for == "examples").any() else "seconds"
    own_choice = tuning.chosen_for.astype(object).fillna("").str.contains(clock)
    tuning = tuning.assign(cost=tuning[clock], chosen=own_choice)
    chosen = chosen[chosen.tuned_for == clock]
    problems = sorted(tuning.problem.unique())
    firsts = {name: first_key(tuning[tuning.method == name]) for name in looks}
    firsts = {name: key for name, key in firsts.items() if (tuning.method == name).any()}
    figure = Figure(figsize=(0.4 + 1.8 * len(problems), 1.7 + 0.32 * len(firsts)))
    axes = figure.subplots(
        2, len(problems), squeeze=False, sharex="row", sharey="row", gridspec_kw={"wspace": 0.08}
    )
    bottom, top = 0.85 / figure.get_figheight(), 1 - 0.25 / figure.get_figheight()
    figure.subplots_adjust(bottom=bottom, top=top, hspace=0.5 / (0.1 + 0.16 * len(firsts)))
    for column, problem in zip(axes.T, problems, strict=True):
        rows = tuning[tuning.problem == problem]
        own = chosen[chosen.problem == problem]
        for panel, keys in zip(column, (firsts, dict.fromkeys(firsts, BATCH)), strict=True):
            draw_panel(panel, list(firsts), sensitivities(rows, own, keys), looks)
        column[0].set_title(f"{problem}  {style.heading(own.arch.iloc[0])}", loc="left")
        column[0].set_xlabel("first number tuned ÷ chosen")
        column[1].set_xlabel("batch size ÷ chosen")
    axes[0, 0].set_yticks(range(len(firsts)), [f"{name}: {key}" for name, key in firsts.items()])
    axes[1, 0].set_yticks(range(len(firsts)), firsts)
    legend_below(figure, size_legend(), CAPTION.format(clock=clock))
    return style.save(figure, stem, FORMATS)


def first_key(rows: pd.DataFrame) -> str:
    """The first tuned key of a method whose values are numbers, the batch size aside; "" where there is none."""
    in_order = [pair.partition("=")[0] for pair in next(iter(rows.setting), "").split()]
    tuned = (name for name in in_order if name in rows and name not in [*FIXED, BATCH])
    return next((name for name in tuned if numbers(rows[name]).notna().all()), "")


def numbers(values: pd.Series) -> pd.Series:
    """A tuned key's values as numbers, NaN where one is a word; rows of other methods are left out."""
    return pd.to_numeric(values.dropna(), errors="coerce")


def sensitivities(
    tuning: pd.DataFrame, chosen: pd.DataFrame, keys: Mapping[str, str]
) -> dict[str, Sensitivity]:
    """Of one problem: each method's sensitivity to its key of `keys`, where it tunes one and a setting was chosen.

    `tuning` has `cost`, the time to target, and `chosen`, whether the setting is the one chosen.
    """
    found = {}
    for method, rows in tuning.groupby("method"):
        key = keys[str(method)]
        best = rows[rows.chosen]
        if key in rows and rows[key].notna().any() and len(best):
            unsettled = ", ".join(
                chosen.unsettled[chosen.method == method].astype(object).fillna("")
            )
            settled = key not in unsettled.split(", ")
            found[str(method)] = sensitivity(rows, key, float(best[key].iloc[0]), settled)
    return found


def sensitivity(rows: pd.DataFrame, key: str, best: float, settled: bool) -> Sensitivity:
    """One method on one problem; `best` is the chosen value of `key`."""
    target, reached = hardest(rows)
    costs = rows[rows.target == target].assign(value=rows[key].astype(float) / best)
    measure = "cost" if reached else "final"
    medians = costs.groupby(["value", "setting"])[measure].median().groupby("value").min()
    least = medians.min()
    return Sensitivity(medians / least if np.isfinite(least) else medians, reached, settled)


def hardest(rows: pd.DataFrame) -> tuple[str, bool]:
    """The target of least value that the median run of some setting reached; else the least of all, and False."""
    medians = rows.groupby(["target", "value", "setting"]).cost.median()
    least = medians.groupby(["target", "value"]).min().sort_index(level="value")
    reached = least[np.isfinite(least)]
    return (reached if len(reached) else least).index[0][0], len(reached) > 0


def draw_panel(
    axes: Axes, methods: Sequence[str], found: Mapping[str, Sensitivity], looks: Looks
) -> None:
    """A line of discs a method, from the top down."""
    axes.set(xscale="log", ylim=(len(methods) - 0.4, -0.6))
    axes.axvline(1, color="0.8", linewidth=0.6, zorder=1)
    for i, method in enumerate(methods):
        if method not in found:
            continue
        own = found[method]
        colour = looks[method]["color"] if own.reached else GREY
        values = own.cost.index.to_numpy()
        axes.plot(values, np.full(len(values), i), color="0.85", linewidth=0.6, zorder=1)
        axes.scatter(values, np.full(len(values), i), s=FULL / own.cost, color=colour, lw=0)
        never = own.cost.index[~np.isfinite(own.cost)]
        axes.plot(never, np.full(len(never), i), **NEVER)
        if not own.settled:
            axes.plot(1, i, **RING)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.12)
    style.log_ticks(axes)


def size_legend() -> Looks:
    sizes = {"the least": 1, "2 × the least": 2, "5 ×": 5, "20 ×": 20}
    disc: dict[str, Any] = {"color": "black", "linestyle": "", "marker": "o", "mew": 0}
    discs = {label: disc | {"ms": (FULL / cost) ** 0.5} for label, cost in sizes.items()}
    return discs | {"not reached": NEVER, "chosen, not all its neighbours tried": RING}
