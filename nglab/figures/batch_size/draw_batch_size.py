"""Steps and examples to the floor against the batch size, from a table, a row a run: see compute_batch_size.py."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from nglab.figures.over_seeds import in_words, over_seeds
from nglab.figures.race.race_looks import Looks, legend_below, race_looks
from nglab.plotting import style
from nglab.plotting.markdown import number, pipe_table

FORMATS = ("png", "pdf", "svg")
GUIDE: dict[str, Any] = {"color": "0.88", "linewidth": 0.8, "zorder": 1}
CAPTION = (
    "To a test loss of 1.1 × the smallest possible: median over seeds, a bar from least to greatest;\n"
    "nothing where the median never is there. Grey: steps ∝ 1/M, and as many examples at any M."
)


def medians(runs: pd.DataFrame, column: str) -> pd.DataFrame:
    """`low, median, high` over seeds, a row a method and batch size."""
    return over_seeds(runs.groupby(["method", "batch_size"], sort=False)[column])


def critical_batch(runs: pd.DataFrame) -> pd.DataFrame:
    """The least steps and the least examples of each method, at which batch, and M* = examples ÷ steps of the two.

    As McCandlish et al. (2018) have it: up to about M* twice the batch halves the steps, beyond it the examples double.
    """
    rows = {}
    for method, own in runs.groupby("method", sort=False):
        steps, examples = (
            own.groupby("batch_size")[name].median() for name in ("steps", "examples")
        )
        if not np.isfinite(examples.min()):
            continue
        rows[str(method)] = {
            "least_examples": examples.min(),
            "at_batch": examples.idxmin(),
            "least_steps": steps.min(),
            "at_batch_of_steps": steps.idxmin(),
            "critical": examples.min() / steps.min(),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


@style.styled
def draw_batch_size(runs: pd.DataFrame, stem: Path) -> list[Path]:
    """A column a panel: steps above, examples below; the loss where there is no floor. Returns the files."""
    panels = sorted(runs.panel.unique())
    looks = race_looks(list(dict.fromkeys(runs.method)))
    figure = Figure(figsize=(0.5 + 1.75 * len(panels), 3.6))
    axes = figure.subplots(2, len(panels), squeeze=False, sharex="col")
    figure.subplots_adjust(wspace=0.32, hspace=0.12, bottom=0.2)
    for column, panel in zip(axes.T, panels, strict=True):
        rows = runs[runs.panel == panel]
        title = f"{panel}  {style.heading(rows.arch.iloc[0])}"
        if rows.minimum_loss.notna().all():
            draw_needed(column[0], rows, "steps", looks, power=-1)
            draw_needed(column[1], rows, "examples", looks, power=0)
            column[0].set_title(title, loc="left")
        else:
            column[0].axis("off")
            draw_needed(column[1], rows, "final_test_loss", looks, power=None)
            column[1].set_ylabel(f"loss after {rows.passes.iloc[0]:g} pass")
            column[1].set_title(title, loc="left")
        label_batches(column, rows)
    axes[0, 0].set_ylabel("steps to the floor")
    axes[1, 0].set_ylabel("10³ examples to the floor")
    legend_below(figure, looks, CAPTION)
    return style.save(figure, stem, FORMATS)


def draw_needed(
    axes: Axes, rows: pd.DataFrame, column: str, looks: Looks, power: float | None
) -> None:
    """A line a method, where its median is finite; grey guides ∝ M^power."""
    found = medians(rows, column) / (1000 if column == "examples" else 1)
    for method in dict.fromkeys(rows.method):
        own = found.loc[method].sort_index()
        seen = own[np.isfinite(own["median"])]
        ends = [
            seen["median"] - seen.low,
            seen.high.where(np.isfinite, seen["median"]) - seen["median"],
        ]
        bars: dict[str, Any] = {"elinewidth": 0.7, "capsize": 0, "zorder": 3}
        axes.errorbar(seen.index, seen["median"], ends, **looks[method], **bars)
    axes.set(xscale="log", yscale="log")
    if not np.isfinite(found["median"]).any():
        axes.set_ylim(1, 10)
    elif power is not None:
        draw_guides(axes, sorted(rows.batch_size.unique()), power)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")


def draw_guides(axes: Axes, batches: Sequence[int], power: float) -> None:
    """Lines ∝ M^power all over the axes, whose limits stay."""
    low, high = axes.get_ylim()
    ends = np.array([batches[0], batches[-1]], dtype=float)
    for start in np.geomspace(low * ends[0] ** -power / 100, high * ends[1] ** -power * 100, 25):
        axes.plot(ends, start * ends**power, **GUIDE)
    axes.set_ylim(low, high)


def label_batches(column: Sequence[Axes], rows: pd.DataFrame) -> None:
    batches = sorted(rows.batch_size.unique())
    column[-1].set_xticks(batches, [str(b) for b in batches], rotation=45)
    column[-1].xaxis.set_minor_locator(NullLocator())
    column[-1].set_xlabel("batch size M")


def to_markdown(runs: pd.DataFrame) -> str:
    """A row a panel, method and batch size; then the critical batches."""
    rows, critical = [], []
    for panel, own in runs.groupby("panel"):
        columns = ("steps", "examples", "final_test_loss")
        found = {name: medians(own, name) for name in columns}
        for method, batch in found["steps"].index:
            seen = own[(own.method == method) & (own.batch_size == batch)]
            needed = {"steps to the floor": "–", "examples to the floor": "–", "seeds there": "–"}
            if seen.minimum_loss.notna().all():
                words = [in_words(found[name].loc[(method, batch)]) for name in columns[:2]]
                there = f"{np.isfinite(seen.steps).sum()} of {len(seen)}"
                needed = dict(zip(needed, [*words, there], strict=True))
            loss = number(found["final_test_loss"].loc[(method, batch), "median"])
            about = {"panel": str(panel), "method": method, "M": str(batch)}
            rows.append(about | needed | {"final test loss": loss})
        for method, least in critical_batch(own).iterrows():
            critical.append(
                {"panel": str(panel), "method": str(method)}
                | {"least examples": number(least.least_examples), "at M": f"{least.at_batch:g}"}
                | {
                    "least steps": number(least.least_steps),
                    "at M ": f"{least.at_batch_of_steps:g}",
                }
                | {"critical batch": number(least.critical)}
            )
    parts = [pipe_table(critical)] if critical else []
    return "\n\n".join([*parts, pipe_table(rows)]) + "\n"
