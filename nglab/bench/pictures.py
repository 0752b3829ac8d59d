"""The measurements of `nglab bench` as pictures, from the rows of `bench.csv`."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from nglab.bench.timing import VENDOR
from nglab.plotting import style

FORMATS = ("png", "svg")
OURS, OTHERS = style.METHOD_COLOURS["NGD"], "#8c8c8c"


@style.styled
def draw(rows: pd.DataFrame, folder: Path) -> list[Path]:
    """A picture for each measurement that was made; returns the files."""
    files = []
    for name, (whats, draw_one) in PICTURES.items():
        some = rows[rows.what.isin(whats) & rows.ms.notna()] if "ms" in rows else rows[:0]
        if len(some):
            files += style.save(draw_one(some, name), folder / f"bench_{name}", FORMATS)
    return files


def draw_steps(rows: pd.DataFrame, what: str) -> Figure:
    """Bars: how many times nglab's time each contender takes; a row a precision, a column a panel.

    Diamonds are steps where MKL's vendor check is not lifted, as multiples of nglab's where it is.
    """
    rows = rows.assign(ratio=rows.ms / nglabs_time(rows)).drop_duplicates(
        ["dtype", "panel", "contender"]
    )
    dtypes, panels = (list(dict.fromkeys(rows[column])) for column in ("dtype", "panel"))
    names = {dtype: contenders(rows[rows.dtype == dtype]) for dtype in dtypes}
    heights = [0.4 + 0.17 * len(names[dtype]) for dtype in dtypes]
    figure = Figure(figsize=(0.6 + 1.7 * len(panels), sum(heights)))
    spaces = {"wspace": 0.25, "hspace": 0.75 / max(heights)}
    grid = figure.subplots(len(dtypes), len(panels), squeeze=False, sharey="row",
                           height_ratios=heights, gridspec_kw=spaces)  # fmt: skip
    for dtype, line in zip(dtypes, grid, strict=True):
        for panel, axes in zip(panels, line, strict=True):
            some = rows[(rows.dtype == dtype) & (rows.panel == panel)].set_index("contender").ratio
            ratio, vendor = (
                some.reindex([name + ending for name in names[dtype]]) for ending in ("", VENDOR)
            )
            bars(axes, ratio, vendor)
            axes.plot(
                vendor,
                range(len(vendor)),
                "D",
                color="black",
                ms=2,
                mfc="white",
                mew=0.5,
                label="MKL as its vendor has it",
            )
            axes.set_title(f"{panel}, {dtype}", loc="left", fontweight="bold")
    for axes in grid[-1]:
        axes.set_xlabel(f"{what.upper()} step, × nglab's time")
    if rows.contender.str.endswith(VENDOR).any():
        figure.legend(*(some[:1] for some in axes.get_legend_handles_labels()), loc="upper center",
                      bbox_to_anchor=(0.5, 0.0))  # fmt: skip
    return figure


def nglabs_time(rows: pd.DataFrame) -> pd.Series:
    """For each row that of `nglab` in the same measurement."""
    same = ["what", "dtype", "panel"]
    times = rows[rows.contender == "nglab"].set_index(same).ms
    return pd.Series(times.reindex(pd.MultiIndex.from_frame(rows[same])).to_numpy(), rows.index)


def contenders(rows: pd.DataFrame) -> list[str]:
    """Those of the first process, the first on top."""
    return [name for name in dict.fromkeys(rows.contender) if not name.endswith(VENDOR)][::-1]


def bars(axes: Axes, ratio: pd.Series, vendor: pd.Series) -> None:
    """Their lengths written to the right of bar and diamond; nglab's has its own colour."""
    colours = [OURS if name == "nglab" else OTHERS for name in ratio.index]
    axes.barh(ratio.index, ratio, color=colours, height=0.7)
    axes.axvline(1, color=OURS, linewidth=0.6, alpha=0.5, zorder=0)
    ends = ratio.where(~(vendor.to_numpy() > ratio), vendor.to_numpy())
    for place, (value, end) in enumerate(zip(ratio, ends, strict=True)):
        text = f"  {value:.2g}" if value == value else ""
        axes.text(end, place, text, va="center", fontsize=5.5)


def draw_parts(rows: pd.DataFrame, what: str) -> Figure:
    """A stacked bar a panel: the share of each part of the NGD step, in the first precision."""
    rows = rows[rows.dtype == rows.dtype.iloc[0]]
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


PICTURES: dict[str, tuple[set[str], Callable[[pd.DataFrame, str], Figure]]] = {
    "sgd": ({"sgd"}, draw_steps),
    "ngd": ({"ngd", "libraries"}, draw_steps),
    "parts": ({"parts"}, draw_parts),
    "scaling": ({"scaling"}, draw_sweeps),
    "solvers": ({"solvers"}, draw_sweeps),
}
"""name → the measurements in it, and who draws."""
