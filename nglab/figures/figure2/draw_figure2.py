"""Figure 2 from a tidy table: `panel, widths, form, seed, time, loss, rate`; see compute_figure2.py."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nglab.plotting import style

LOOKS: dict[str, dict[str, Any]] = {
    "Eq. 10": {"color": style.PALETTE[1], "linewidth": 2.4, "alpha": 0.55, "zorder": 2},
    "shells": {"color": style.PALETTE[0], "linewidth": 0.9, "zorder": 3},
}
LINE: dict[str, Any] = {
    "color": "black",
    "linestyle": (0, (1.2, 1.6)),
    "linewidth": 1.0,
    "zorder": 4,
}
FORMATS = ("png", "pdf", "svg")


@style.styled
def draw_figure2(curves: pd.DataFrame, stem: Path) -> list[Path]:
    """A column a panel: loss over its start above, its rate of decay below; a line a seed. Returns the files."""
    panels = list(dict.fromkeys(curves.panel))
    figure = Figure(figsize=(0.35 + 1.75 * len(panels), 3.3))
    axes = figure.subplots(
        2, len(panels), squeeze=False, sharex=True, sharey="row",
        gridspec_kw={"height_ratios": [1.5, 1], "hspace": 0.14, "wspace": 0.12},
    )  # fmt: skip
    for letter, panel, column in zip("ABCD", panels, axes.T, strict=False):
        draw_panel(column, curves[curves.panel == panel], f"{letter}  {panel}")
    axes[0, 0].set_ylabel(r"$(h - h_{\min})\,/\,$start")
    axes[1, 0].set_ylabel("rate of decay")
    axes[0, 0].legend(handles=handles(), loc="lower left")
    seeds = curves.groupby("panel").seed.nunique().max()
    text = (
        f"Natural-gradient flow of deep linear networks, population averages. A line a seed, {seeds} seeds a panel. "
        "Rate: −d ln(h − h_min)/dt."
    )
    figure.text(0.5, -0.005, text, ha="center", va="top", fontsize=6.5, color="0.3")
    return style.save(figure, stem, FORMATS)


def draw_panel(column: np.ndarray, rows: pd.DataFrame, title: str) -> None:
    loss, rate = column
    times = np.sort(rows.time.unique())
    for (form, _), run in rows.groupby(["form", "seed"]):
        loss.plot(run.time, run.loss, **LOOKS[str(form)])
        rate.plot(run.time, run.rate, **LOOKS[str(form)])
    loss.plot(times, np.exp(-2 * times), **LINE)
    rate.plot(times, np.full_like(times, 2.0), **LINE)
    name_widths(loss, title, rows.widths.iloc[0])
    loss.set_yscale("log")
    loss.set_ylim(np.exp(-2 * times[-1]) / 1.6, 1.6)
    rate.set_ylim(0, 2.15)
    rate.set_yticks([0, 1, 2])
    rate.set_xlim(0, times[-1])
    rate.set_xlabel("time t")


def name_widths(axes: Axes, title: str, widths: str) -> None:
    axes.set_title(title, loc="left", fontweight="bold", pad=13)
    axes.text(0, 1.03, short(widths), transform=axes.transAxes, fontsize=5.8, color="0.3")


def short(widths: str) -> str:
    """All widths, or one where they are equal."""
    each = widths.split("-")
    return (
        f"{each[0]}, …, {each[0]} ({len(each) - 1} layers)"
        if len(set(each)) == 1
        else ", ".join(each)
    )


def handles() -> list[Line2D]:
    lines = [Line2D([], [], label=form, **look) for form, look in LOOKS.items()]
    return [*lines, Line2D([], [], label=r"$e^{-2t}$", **LINE)]
