"""The look of every figure, and the few pieces that several of them draw."""

import logging
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from nglab.plotting.loss_axis import power_of_ten

logging.getLogger("fontTools").setLevel(logging.WARNING)  # a PDF logs each font table it drops

RC: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Helvetica", "Arial"],
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelpad": 2.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.4,
    "ytick.minor.size": 1.4,
    "lines.linewidth": 1.2,
    "legend.fontsize": 6.5,
    "legend.title_fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "legend.borderaxespad": 0.2,
    "savefig.dpi": 220,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
    "svg.hashsalt": "nglab",
}
styled = matplotlib.rc_context(RC)
"""Decorator: draw and save with these settings, leaving matplotlib's own as they were."""

METHOD_COLOURS = {"SGD": "#000000", "NGD": "#d62728"}
FLOOR_COLOUR = "#8c8c8c"
PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f7f7f"]
DASHES = ["-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1))]
DATELESS: dict[str, dict[str, None]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}


def save(figure: Figure, stem: Path, formats: Iterable[str]) -> list[Path]:
    """Write `stem.<format>` for each format, cropped; the same figure gives the same bytes."""
    paths = [stem.with_name(f"{stem.name}.{format}") for format in formats]
    for path in paths:
        options: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.04}
        figure.savefig(path, metadata=DATELESS.get(path.suffix[1:]), **options)
    return paths


def finite_or_inf(loss: ArrayLike) -> np.ndarray:
    """A loss that is not a number is as bad as an infinite one."""
    values = np.asarray(loss, dtype=float)
    return np.where(np.isfinite(values), values, np.inf)


def spread(runs: Sequence[pd.DataFrame], x: str) -> pd.DataFrame:
    """Least, median and greatest test loss over runs: `low, median, high`, indexed by `x`.

    The runs are read off at the evaluation points of the longest one, up to the end of the
    shortest, log loss being interpolated linearly. A run that ended in a loss that is not finite
    has diverged: from there on it counts as infinite in the median, and not at all in the others.
    """
    grid = common_grid(runs, x)
    losses = np.stack([loss_at(run, x, grid) for run in runs])
    table = pd.DataFrame(losses.T, index=pd.Index(grid, name=x))
    going = table.where(np.isfinite)
    columns = {"low": going.min(axis=1), "median": table.median(axis=1), "high": going.max(axis=1)}
    return pd.DataFrame(columns)


def common_grid(runs: Sequence[pd.DataFrame], x: str) -> np.ndarray:
    whole = [run for run in runs if np.isfinite(run.test_loss.iloc[-1])]
    end = min(run[x].iloc[-1] for run in whole) if whole else max(run[x].iloc[-1] for run in runs)
    longest = max(runs, key=len)[x].to_numpy(dtype=float)
    return np.union1d(longest[longest < end], [end])


def loss_at(run: pd.DataFrame, x: str, grid: np.ndarray) -> np.ndarray:
    """One run's test loss at the points `grid` of column `x`."""
    place, loss = run[x].to_numpy(dtype=float), run.test_loss.to_numpy(dtype=float)
    shown = np.isfinite(loss) & (loss > 0)
    if not shown.any():
        return np.full(len(grid), np.inf)
    found = np.exp(np.interp(grid, place[shown], np.log(loss[shown])))
    diverged = not np.isfinite(loss[-1])
    return np.where(diverged & (grid > place[shown][-1]), np.inf, found)


def log_loss_axis(axes: Axes, limits: tuple[float, float], floors: Iterable[float]) -> None:
    """Log axis over `limits`, labelled within decades where it spans few; dashed `floors`."""
    axes.set_yscale("log")
    axes.set_ylim(*limits)
    for floor in floors:
        axes.axhline(floor, color=FLOOR_COLOUR, linestyle=(0, (4, 2)), linewidth=0.9, zorder=1)
    if np.log10(limits[1] / limits[0]) < 2:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
    else:
        axes.yaxis.set_major_formatter(power_of_ten)


def log_ticks(axes: Axes) -> None:
    """Label a log x axis whose limits are set: at 1, 2, 5, at 1, 3, or at whole decades, by how many it spans."""
    low, high = axes.get_xlim()
    decades = math.log10(high / low)
    subs = (1, 2, 5) if decades < 1.3 else (1, 3) if decades < 2.2 else (1,)
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_minor_formatter("")
    axes.xaxis.set_major_formatter("{x:g}" if decades < 5 else power_of_ten)


def draw_spread(
    axes: Axes,
    runs: Sequence[pd.DataFrame],
    x: str,
    label: str = "",
    unit: float = 1,
    opacity: float = 0.2,
    **look: Any,
) -> None:
    """Median line, min–max band of that opacity, in limits already set; an infinite median leaves at the top."""
    curve = spread(runs, x).clip(upper=10 * axes.get_ylim()[1])
    if len(runs) > 1:
        band: dict[str, Any] = {
            "color": look.get("color"),
            "alpha": opacity,
            "linewidth": 3 * opacity,
            "zorder": 2,
        }
        axes.fill_between(curve.index / unit, curve.low, curve.high, **band)
    marker = "o" if len(curve) == 1 else None
    look = {"marker": marker, "ms": 3, "zorder": 3} | look
    axes.plot(curve.index / unit, curve["median"], label=label, **look)


def heading(arch: str) -> str:
    """The architecture's name as words: "MNIST autoencoder"."""
    return arch.replace("_", " ").replace("mnist", "MNIST")


def draw_rates(axes: Axes, final: pd.DataFrame, color: Any, label: str = "") -> pd.Series:
    """Final test loss against rate: a faint dot a run, a line through the medians (returned).

    In limits already set, below which there is 0: such a loss stands on the lower edge.
    """
    loss = pd.Series(finite_or_inf(final.final_test_loss), index=final.learning_rate.to_numpy())
    bottom = axes.get_ylim()[0]
    seen = loss[np.isfinite(loss)].clip(lower=bottom)
    axes.plot(seen.index, seen, "o", ms=2.6, mew=0, color=color, alpha=0.35, zorder=2)
    median = loss.groupby(level=0).median().where(np.isfinite)
    axes.plot(
        median.index,
        median.clip(lower=bottom),
        "-",
        marker=".",
        ms=4,
        color=color,
        label=label,
        zorder=3,
    )
    return median


def mark_diverged(axes: Axes, final: pd.DataFrame) -> None:
    """A cross at the top edge of a rate at which runs diverged, and how many of how many did."""
    diverged = ~np.isfinite(final.final_test_loss.astype(float))
    counts = diverged.groupby(final.learning_rate.astype(float)).agg(["sum", "size"])
    top, label = axes.get_xaxis_transform(), "diverged (of all runs)"
    for rate, (number, of) in counts[counts["sum"] > 0].iterrows():
        axes.plot(rate, 0.97, "x", ms=4, mew=1, color="#d55e00", transform=top, label=label)
        axes.text(
            rate, 1.01, f"{number}/{of}", transform=top, ha="center", va="bottom", fontsize=5.5
        )
        label = ""


def mark_zero(axes: Axes, final: pd.DataFrame) -> None:
    """A triangle on the lower edge at a rate at which a loss is 0, which a log axis has no place for."""
    zero = sorted(set(final.learning_rate[final.final_test_loss == 0].astype(float)))
    if zero:
        look: dict[str, Any] = {"ms": 4, "mew": 0, "color": "#009e73", "zorder": 4}
        edge: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False}
        axes.plot(zero, [0.0] * len(zero), "v", label="a loss of 0", **look, **edge)


def seconds_axis(axes: Axes) -> None:
    """Ticks few enough for labels as long as those of milliseconds."""
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))


def log_rate_axis(axes: Axes, rates: Iterable[float]) -> None:
    """Log axis with a tick at every rate that was tried, the labels thinned where they are many."""
    ticks = sorted({float(rate) for rate in rates})
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(ticks[:: 1 + len(ticks) // 10]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:.3g}")
    axes.tick_params(axis="x", rotation=45 if len(ticks) > 3 else 0)
    axes.margins(x=0.08)
    axes.set_xlabel("learning rate α")
