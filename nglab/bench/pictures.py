"""The measurements of `nglab bench` as pictures, from the rows of `bench.csv`."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from nglab.plotting import style

FORMATS = ("png", "svg")
OURS, OTHERS = style.METHOD_COLOURS["NGD"], "#8c8c8c"


@style.styled
def draw(rows: pd.DataFrame, folder: Path) -> list[Path]:
    """A picture for each measurement that was made; returns the files."""
    files = []
    for what, draw_one in {
        "sgd": draw_steps, "ngd": draw_steps, "parts": draw_parts,
        "scaling": draw_sweeps, "solvers": draw_sweeps,
    }.items():  # fmt: skip
        some = rows[(rows.what == what) & rows.ms.notna()]
        if len(some):
            files += style.save(draw_one(some, what), folder / f"bench_{what}", FORMATS)
    return files


def draw_steps(rows: pd.DataFrame, what: str) -> Figure:
    """Bars: how many times nglab's time each contender takes, a panel beside the other."""
    names = list(dict.fromkeys(rows.contender))[::-1]
    figure, panels = columns_of(rows, 0.35 + 0.17 * len(names), sharey=True)
    for axes, (panel, some) in panels:
        ratio = some.set_index("contender").over_nglab.reindex(names)
        axes.barh(names, ratio, color=[OURS if n == "nglab" else OTHERS for n in names], height=0.7)
        axes.axvline(1, color=OURS, linewidth=0.6, alpha=0.5, zorder=0)
        for place, value in enumerate(ratio):
            axes.text(
                value, place, f" {value:.2g}" if value == value else "", va="center", fontsize=5.5
            )
        axes.set_title(panel, loc="left", fontweight="bold")
        axes.set_xlabel(f"{what.upper()} step, × nglab's time")
    return figure


def draw_parts(rows: pd.DataFrame, what: str) -> Figure:
    """A stacked bar a panel: the share of each part of the NGD step."""
    shares = rows.pivot_table(index="panel", columns="contender", values="share", sort=False)
    shares = shares.drop(columns="whole step")
    figure = Figure(figsize=(5.2, 0.6 + 0.32 * len(shares)))
    axes, left = figure.subplots(), pd.Series(0.0, shares.index)
    colours = [*style.PALETTE, "#b3b3b3", "#f0e442"]
    for name, colour in zip(shares, colours, strict=False):
        axes.barh(shares.index, shares[name], left=left, color=colour, label=name, height=0.7)
        left = left + shares[name]
    axes.invert_yaxis()
    axes.set_xlabel("share of nglab's NGD step")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def draw_sweeps(rows: pd.DataFrame, what: str) -> Figure:
    """Time against what is varied, both logarithmic, a line a contender."""
    names = list(dict.fromkeys(rows.contender))
    figure, panels = columns_of(rows, 1.7, sharey=what == "scaling")
    for axes, (panel, some) in panels:
        for name, line in some.groupby("contender", sort=False):
            colour = style.PALETTE[names.index(str(name))]
            axes.plot(line.setting, line.ms, marker="o", ms=2.5, color=colour, label=str(name))
        axes.set_xscale("log")
        axes.set_yscale("log")
        ticks = sorted(set(some.setting))
        axes.xaxis.set_major_locator(FixedLocator(ticks[:: 1 + len(ticks) // 6]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel(panel if what == "scaling" else f"{panel}: width n")
    panels[0][0].set_ylabel("milliseconds")
    lines = {str(line.get_label()): line for axes, _ in panels for line in axes.lines}
    axes.legend(lines.values(), lines.keys(), loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def columns_of(
    rows: pd.DataFrame, height: float, sharey: bool
) -> tuple[Figure, list[tuple[Axes, tuple[str, pd.DataFrame]]]]:
    """A figure with a column for each `panel` of the rows."""
    groups = [(str(panel), some) for panel, some in rows.groupby("panel", sort=False)]
    figure = Figure(figsize=(0.6 + 1.7 * len(groups), height))
    axes = figure.subplots(
        1, len(groups), squeeze=False, sharey=sharey, gridspec_kw={"wspace": 0.25}
    )
    return figure, list(zip(axes[0], groups, strict=True))
