"""The gain map from a table, a row a run: see compute_gain.py and `nglab.figures.swept`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from nglab.figures.over_seeds import in_words, infinite, over_seeds
from nglab.plotting import style
from nglab.plotting.markdown import number, pipe_table

FORMATS = ("png", "pdf", "svg")
SHADES, DIVERGED = "YlGnBu_r", "0.86"
LIMITS = LogNorm(1, 1e5)
MIDDLE = 100  # × the floor: below it the shade is dark and the number white
CAPTION = (
    "Shade and number: SGD's test loss after {passes} passes ÷ the smallest possible one, median over {seeds} seeds;"
    " grey: diverged. Box: the best rate of each gain.\n"
    "Dotted: the paper's rate. Dashed: best rate ∝ $g^{{-2(L-1)}}$, as F scales, through the boxes within the grid."
    " Right: passes of NGD to 1.1 × the floor; a line spans the seeds."
)


def sgd_map(runs: pd.DataFrame) -> pd.DataFrame:
    """SGD's loss ÷ the smallest possible one, median over seeds, ∞ where it diverged: a row a gain, a column a rate."""
    sgd = runs[runs.method == "SGD"]
    return sgd.assign(times=sgd.final_test_loss / sgd.minimum_loss).pivot_table(
        index="gain", columns="learning_rate", values="times", aggfunc="median"
    )


def best_rates(losses: pd.DataFrame) -> pd.Series:
    """The rate of the least loss at each gain; where all diverged, none."""
    return losses[np.isfinite(losses).any(axis=1)].idxmin(axis=1)


def inner(best: pd.Series, rates: Sequence[float]) -> pd.Series:
    """Those that are not at an end of the grid, beyond which a better one may lie."""
    return best[(best > min(rates)) & (best < max(rates))]


def expected_rates(best: pd.Series, gains: pd.Index, layers: int) -> pd.Series:
    """k g^−2(L−1) at the gains: the curvature F scales as g^2(L−1); k is the geometric mean of what `best` says."""
    power = -2.0 * (layers - 1)
    scale = np.exp(np.mean(np.log(best / best.index.to_numpy(dtype=float) ** power)))
    return pd.Series(scale * gains.to_numpy(dtype=float) ** power, gains)


def fitted_power(best: pd.Series) -> float:
    """The p of best rate ∝ g^p, by least squares on the logarithms."""
    return float(np.polyfit(np.log(best.index.to_numpy(dtype=float)), np.log(best), 1)[0])


def ngd_passes(runs: pd.DataFrame) -> pd.DataFrame:
    """Passes of NGD to the floor at each gain: `low, median, high` over seeds, ∞ where it was not reached."""
    ngd = runs[runs.method == "NGD"]
    taken = ngd.assign(taken=ngd.examples / ngd.train_examples)
    return over_seeds(taken.groupby("gain").taken)


@style.styled
def draw_gain(runs: pd.DataFrame, stem: Path) -> list[Path]:
    """A pair a panel: SGD's map over rate and gain, and beside it NGD's passes to the floor. Returns the files."""
    panels = sorted(runs.panel.unique())
    figure = Figure(figsize=(0.6 + 2.9 * len(panels), 2.7), layout="constrained")
    columns = figure.subplots(
        1, 2 * len(panels), squeeze=False, gridspec_kw={"width_ratios": [3, 1] * len(panels)}
    )[0]
    for (axes, beside), panel in zip(columns.reshape(-1, 2), panels, strict=True):
        rows = runs[runs.panel == panel]
        draw_map(axes, rows)
        draw_ngd(beside, ngd_passes(rows), float(rows[rows.method == "NGD"].passes.max()))
        axes.set_title(f"{panel}  {style.heading(rows.arch.iloc[0])}: SGD", loc="left")
    columns[0].set_ylabel("gain g of the initial weights")
    bar = figure.colorbar(
        ScalarMappable(LIMITS, SHADES), ax=columns.tolist(), extend="max", pad=0.01
    )
    bar.set_label("SGD's loss ÷ smallest possible")
    seeds, passes = runs.seed.nunique(), runs[runs.method == "SGD"].passes.iloc[0]
    figure.supxlabel(CAPTION.format(seeds=seeds, passes=f"{passes:g}"), fontsize=6.5, color="0.3")
    return style.save(figure, stem, FORMATS)


def draw_map(axes: Axes, rows: pd.DataFrame) -> None:
    """A cell a gain and rate; rates and gains stand at whole numbers."""
    losses = sgd_map(rows)
    shown = np.ma.masked_invalid(losses.to_numpy())
    axes.pcolormesh(shown, cmap=SHADES, norm=LIMITS, edgecolors="white", linewidth=0.6)
    axes.set_facecolor(DIVERGED)
    rates, gains = list(losses.columns), list(losses.index)
    for (i, j), loss in np.ndenumerate(losses.to_numpy()):
        colour = "0.5" if not np.isfinite(loss) else "white" if loss < MIDDLE else "0.15"
        text: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 5, "color": colour}
        axes.text(j + 0.5, i + 0.5, short(loss), **text)
    best = best_rates(losses)
    for gain, rate in best.items():
        corner = (rates.index(rate), gains.index(gain))
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="black", linewidth=1.1))
    if len(settled := inner(best, rates)):
        expected = expected_rates(settled, losses.index, int(rows.layers.iloc[0]))
        heights = np.arange(len(gains)) + 0.5
        axes.plot(place(expected.to_numpy(), rates), heights, "k--", linewidth=0.8, alpha=0.8)
    paper = place(rows.paper_learning_rate.iloc[:1].to_numpy(), rates)[0]
    axes.axvline(paper, color="black", linestyle=":", linewidth=0.8, alpha=0.7)
    axes.set_xticks(np.arange(len(rates)) + 0.5, [f"{rate:g}" for rate in rates], rotation=45)
    axes.set_yticks(np.arange(len(gains)) + 0.5, [f"{gain:g}" for gain in gains])
    axes.set(xlim=(0, len(rates)), xlabel="learning rate α")
    axes.tick_params(length=0)


def place(values: np.ndarray, rates: list[float]) -> np.ndarray:
    """Where rates stand on an axis on which those tried are at ½, 1½, …; evenly in their logarithm beyond the ends."""
    logs = np.log(np.array(rates, dtype=float))
    return 0.5 + (np.log(values) - logs[0]) / (logs[-1] - logs[0]) * (len(rates) - 1)


def short(loss: float) -> str:
    """ "56", "4.2k", "8M"; nothing of a run that diverged."""
    if not np.isfinite(loss):
        return ""
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if loss >= unit:
            return f"{loss / unit:.2g}{name}" if loss < 100 * unit else f"{loss / unit:.0f}{name}"
    return f"{loss:.2g}" if loss < 10 else f"{loss:.0f}"


def draw_ngd(axes: Axes, passes: pd.DataFrame, longest: float) -> None:
    """A dot a gain, on the rows of the map."""
    heights = np.arange(len(passes)) + 0.5
    reached = np.isfinite(passes.high)
    colour = style.METHOD_COLOURS["NGD"]
    ends = passes.clip(upper=longest)
    axes.hlines(heights, ends.low, ends.high, color=colour, linewidth=1)
    axes.plot(passes["median"], heights, "o", color=colour, ms=3)
    axes.plot(np.full((~reached).sum(), longest), heights[~reached], "x", color="0.4", ms=3)
    axes.set(xlim=(0, 1.05 * longest), ylim=(0, len(passes)), xlabel="passes")
    axes.set_title("NGD", loc="left")
    axes.tick_params(axis="y", length=0, labelleft=False)


def to_markdown(runs: pd.DataFrame) -> str:
    """A row a panel and gain, then the powers of the best rate."""
    rows, powers = [], []
    for panel, own in runs.groupby("panel"):
        losses, passes = sgd_map(own), ngd_passes(own)
        best, paper = best_rates(losses), float(own.paper_learning_rate.iloc[0])
        settled = inner(best, losses.columns)
        for gain in losses.index:
            rows.append(
                {"panel": str(panel), "gain": f"{gain:g}"}
                | {"SGD's best rate": f"{best[gain]:g}" if gain in best else "–"}
                | {"its loss ÷ floor": infinite(losses.loc[gain].min())}
                | {"paper's rate": f"{paper:g}"}
                | {"its loss ÷ floor ": infinite(losses.loc[gain].get(paper, np.nan))}
                | {"NGD: passes to the floor": in_words(passes.loc[gain])}
            )
        powers.append(
            {"panel": str(panel), "layers": str(own.layers.iloc[0])}
            | {"best rate ∝ g^p, expected p": f"{-2 * (own.layers.iloc[0] - 1)}"}
            | {"measured p": number(fitted_power(settled)) if len(settled) > 1 else "–"}
            | {"gain at which the paper's rate is best": near_paper(settled, own)}
        )
    return f"{pipe_table(rows)}\n\n{pipe_table(powers)}\n"


def near_paper(best: pd.Series, own: pd.DataFrame) -> str:
    """By the line through the best rates: the g of k g^−2(L−1) = the paper's rate."""
    if best.empty:
        return "–"
    layers, paper = int(own.layers.iloc[0]), float(own.paper_learning_rate.iloc[0])
    at_one = float(expected_rates(best, pd.Index([1.0]), layers).iloc[0])
    return f"{(at_one / paper) ** (1 / (2 * (layers - 1))):.3f}"
