"""Performance profiles of a race: on what share of the workloads a method wins, or comes near to winning."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nglab.figures.race.race_looks import Looks, legend_below, staggered
from nglab.figures.race.race_statistics import BESIDE, profile
from nglab.plotting import style

FORMATS = ("png", "pdf", "svg")
APART = 0.006
CAPTION = (
    "Performance profiles (Dolan & Moré 2002): of the workloads (problem and target) that a method reached,\n"
    "the share on which each method's median time is at most τ × the least. Lines are set apart by half a percent."
)


@style.styled
def draw_profiles(times: pd.DataFrame, looks: Looks, stem: Path) -> list[Path]:
    """By examples and by seconds; methods beside the race are left out. Returns the files."""
    figure = Figure(figsize=(7, 2.8))
    panels = figure.subplots(1, 2, sharey=True, gridspec_kw={"wspace": 0.08})
    racing = set(times.method[times.tuned_for != BESIDE])
    looks = {name: look for name, look in looks.items() if name in racing}
    for axes, clock in zip(panels, ("examples", "seconds"), strict=True):
        draw_profile(axes, profile(times, clock), looks)
        axes.set_title(f"by {clock}", loc="left")
    panels[0].set_ylabel("share of workloads")
    legend_below(figure, looks, CAPTION)
    return style.save(figure, stem, FORMATS)


def draw_profile(axes: Axes, rows: pd.DataFrame, looks: Looks) -> None:
    """One step function a method, from τ = 1 to a little beyond the last change; many would coincide."""
    axes.set(xscale="log", ylim=(-0.05, 1.05), xlabel="τ, time over the least")
    if rows.empty:
        axes.text(0.5, 0.5, "no target was reached", transform=axes.transAxes, ha="center")
        return
    end = max(1.1 * rows.tau.max(), 2.0)
    for i, (method, look) in enumerate(staggered(looks).items()):
        own = rows[rows.method == method]
        share = own.share.to_numpy() + APART * ((len(looks) - 1) / 2 - i)
        axes.step([*own.tau, end], [*share, share[-1]], where="post", clip_on=False, **look)
    axes.set_xlim(0.97, end)
    style.log_ticks(axes)
