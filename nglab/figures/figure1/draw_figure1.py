"""Figure 1 of Bernacchia, Lengyel & Hennequin (2018) and what goes with it, from tables.

`curves`, a row an evaluation: `panel, arch, widths, method, seed, learning_rate,
initial_damping, step, examples_seen, passes, train_seconds, test_loss, minimum_loss, status`; method is "SGD" or "NGD",
widths are whole as "20-30-20", minimum_loss is empty where there is none, initial_damping where the method has none.
`grid`, a row an SGD run: `panel, arch, learning_rate, seed, final_test_loss, minimum_loss, chosen,
paper_learning_rate`; final_test_loss is not finite where the run diverged.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nglab.plotting import style
from nglab.plotting.loss_axis import EXAMPLES, SECONDS, loss_limits, positive
from nglab.plotting.markdown import pipe_table
from nglab.plotting.style import heading
from nglab.runs.folder import FLOOR_FACTOR

METHODS = ("SGD", "NGD")
PAPER_BATCH_SIZE = {"SGD": 20, "NGD": 1000}
PAPER_NGD_RATE = 1.0
SLOW = 8  # × longer on the clock: on a linear axis the other method would be a sliver
FORMATS = ("png", "pdf", "svg")


@style.styled
def draw_figure1(curves: pd.DataFrame, grid: pd.DataFrame, stem: Path) -> list[Path]:
    """A column a panel: sketch, test loss against examples, against seconds; returns the files."""
    panels = sorted(curves.panel.unique())
    figure = Figure(figsize=(0.35 + 1.9 * len(panels), 4.1))
    axes = figure.subplots(
        3, len(panels), squeeze=False,
        gridspec_kw={"height_ratios": [0.3, 1, 1], "hspace": 0.42, "wspace": 0.36},
    )  # fmt: skip
    for column, panel in zip(axes.T, panels, strict=True):
        draw_panel(column, curves[curves.panel == panel])
    axes[1, 0].set_ylabel("test loss")
    axes[2, 0].set_ylabel("test loss")
    seeds = curves.groupby("panel").seed.nunique()
    figure.text(0.5, 0.0, caption(seeds), ha="center", va="top", fontsize=6.5, color="0.3")
    return style.save(figure, stem, FORMATS)


def caption(seeds: pd.Series) -> str:
    """How to read the lines; `seeds` is the number of them, indexed by panel."""
    floor = "Dashed: smallest possible loss."
    if seeds.max() == 1:
        return f"One seed. {floor}"
    differ = ", ".join(f"{panel}: {number}" for panel, number in seeds.items())
    over = seeds.iloc[0] if seeds.nunique() == 1 else f"({differ})"
    end = "\n" if len(seeds) < 3 else " "
    bands = "bands: least to greatest, diverged runs aside"
    return f"Lines: median over {over} seeds; {bands}.{end}{floor}"


def draw_panel(column: Sequence[Axes], rows: pd.DataFrame) -> None:
    sketch, by_examples, by_seconds = column
    draw_sketch(sketch, rows)
    methods = list(runs_by_method(rows))
    losses = [run.test_loss for _, method_runs in methods for run in method_runs]
    floors = positive(rows.minimum_loss.dropna())
    for axes in (by_examples, by_seconds):
        style.log_loss_axis(axes, loss_limits(losses, floors), floors)
    for method, method_runs in methods:
        look: dict[str, Any] = {"color": style.METHOD_COLOURS[method]}
        label = legend_label(method, rows)
        style.draw_spread(by_examples, method_runs, "examples_seen", label, unit=1000, **look)
        style.draw_spread(by_seconds, method_runs, "train_seconds", **look)
    by_examples.set_xlabel(EXAMPLES)
    by_examples.legend(loc="upper right", bbox_to_anchor=(1.04, 1.05), handlelength=1)
    seconds_axis(by_seconds, methods)


def runs_by_method(rows: pd.DataFrame) -> Iterator[tuple[str, list[pd.DataFrame]]]:
    for method in METHODS:
        chosen = rows[rows.method == method]
        if len(chosen):
            yield method, [run.sort_values("step") for _, run in chosen.groupby("seed")]


def legend_label(method: str, rows: pd.DataFrame) -> str:
    chosen = rows[rows.method == method]
    rates = sorted(chosen.learning_rate.unique())
    statuses = chosen.groupby("seed").status.first()
    diverged = (statuses == "diverged").sum()
    lost = f"\n{diverged}/{len(statuses)} diverged" if diverged else ""
    return f"{method}, α = {', '.join(f'{rate:g}' for rate in rates)}{lost}"


def seconds_axis(axes: Axes, methods: Sequence[tuple[str, list[pd.DataFrame]]]) -> None:
    """Linear; log where one method takes so much longer that the other could not be seen."""
    ends = [style.common_grid(runs, "train_seconds")[-1] for _, runs in methods]
    axes.set_xlabel(SECONDS)
    if max(ends) <= SLOW * min(ends):
        axes.xaxis.set_major_locator(MaxNLocator(4))
        return
    first = [run.train_seconds[run.train_seconds > 0].min() for _, runs in methods for run in runs]
    axes.set(xscale="log", xlim=(min(first), 1.3 * max(ends)))


def draw_sketch(axes: Axes, rows: pd.DataFrame) -> None:
    """The network as a row of bars, one a layer, as high as the layer is wide."""
    widths = np.array([int(width) for width in rows.widths.iloc[0].split("-")])
    heights = np.maximum(widths / widths.max(), 0.03)
    layers = np.arange(len(widths))
    axes.fill_between(layers, heights / 2, -heights / 2, color="0.88", linewidth=0)
    axes.bar(layers, heights, bottom=-heights / 2, width=0.4, color="0.35")
    axes.set(xlim=(-0.7, len(widths) - 0.3), ylim=(-0.5, 0.5))
    axes.axis("off")
    panel, arch = rows.panel.iloc[0], rows.arch.iloc[0]
    axes.text(0, 1.2, panel, transform=axes.transAxes, fontsize=10, fontweight="bold")
    axes.text(0.13, 1.2, heading(arch), transform=axes.transAxes, fontsize=7.5)
    text: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": 6, "color": "0.35"}
    axes.text(0.5, -0.12, describe_widths(widths.tolist()), transform=axes.transAxes, **text)


def describe_widths(widths: list[int]) -> str:
    """Number of layers, and the widths at the ends and where it turns: "12 layers, 200–2–200"."""
    narrow, wide = min(widths), max(widths)
    turn = narrow if narrow < widths[0] else wide
    ends = f"of {wide}" if narrow == wide else f"· {widths[0]}–{turn}–{widths[-1]}"
    return f"{len(widths) - 1} layers {ends}"


@style.styled
def draw_learning_rates(grid: pd.DataFrame, stem: Path) -> list[Path]:
    """SGD's final test loss against its rate, chosen and paper's marked; returns the files."""
    panels = sorted(grid.panel.unique())
    figure = Figure(figsize=(0.35 + 1.9 * len(panels), 2.1))
    columns = figure.subplots(1, len(panels), squeeze=False, gridspec_kw={"wspace": 0.36})[0]
    for axes, panel in zip(columns, panels, strict=True):
        draw_rate_panel(axes, grid[grid.panel == panel])
    columns[0].set_ylabel("SGD's final test loss")
    entries: dict[str, Any] = {}
    for axes in columns:
        handles, labels = axes.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    figure.legend(
        entries.values(), entries.keys(),
        loc="upper center", bbox_to_anchor=(0.5, -0.19), ncols=len(entries),
    )  # fmt: skip
    return style.save(figure, stem, FORMATS)


def draw_rate_panel(axes: Axes, rows: pd.DataFrame) -> None:
    floors = positive(rows.minimum_loss.dropna())
    each = rows.final_test_loss.to_numpy(dtype=float)[:, None]
    style.log_loss_axis(axes, loss_limits(each, floors), floors)
    axes.axvline(
        rows.paper_learning_rate.iloc[0], color="0.35", ls=":", lw=1, label="paper's rate", zorder=1
    )
    median = style.draw_rates(axes, rows, "black", "median over seeds")
    chosen = median[median.index.isin(rows.learning_rate[rows.chosen])]
    ring: dict[str, Any] = {"ms": 7, "mew": 1.2, "mfc": "none", "mec": "#0072b2", "zorder": 4}
    axes.plot(chosen.index, chosen, "o", label="chosen", **ring)
    style.mark_diverged(axes, rows)
    style.mark_zero(axes, rows)
    style.log_rate_axis(axes, [*rows.learning_rate, *rows.paper_learning_rate])
    axes.set_title(f"{rows.panel.iloc[0]}  {heading(rows.arch.iloc[0])}", loc="left", pad=11)


def table(curves: pd.DataFrame, grid: pd.DataFrame) -> pd.DataFrame:
    """A row a panel and method; medians and ranges (`_min`, `_max`) are over seeds.

    `examples_to_floor` and `seconds_to_floor` are those of the first evaluation with a test loss of
    at most FLOOR_FACTOR × minimum_loss: ∞ where there was none, NaN where there is no minimum_loss.
    A final loss that is not finite is ∞.
    """
    paper = grid.groupby("panel").paper_learning_rate.first()
    rows = []
    for (panel, method), chosen in curves.groupby(["panel", "method"], sort=False):
        paper_rate = paper.get(panel, np.nan) if method == "SGD" else PAPER_NGD_RATE
        rows.append(
            {"panel": panel, "arch": chosen.arch.iloc[0], "method": method}
            | reached(chosen)
            | {"paper_learning_rate": paper_rate, "paper_batch_size": PAPER_BATCH_SIZE[method]}
        )
    order = {"by": ["panel", "method"], "ascending": [True, False]}
    return pd.DataFrame(rows).sort_values(**order, ignore_index=True)


def reached(rows: pd.DataFrame) -> dict[str, Any]:
    """What the runs of one panel and method were, and what they reached."""
    runs = pd.DataFrame([one_run(run.sort_values("step")) for _, run in rows.groupby("seed")])
    final, last = runs.final_test_loss, rows.sort_values("step").iloc[-1]
    return {
        "learning_rate": last.learning_rate,
        "initial_damping": last.initial_damping,
        "batch_size": round(last.examples_seen / last.step) if last.step else np.nan,
        "passes": last.passes,
        "seeds": len(runs),
        "diverged": int(runs.diverged.sum()),
        **summarise("final_test_loss", final),
        "times_minimum": (final / runs.minimum_loss).median(),
        "seeds_at_floor": int(np.isfinite(runs.examples_to_floor).sum()),
        **summarise("examples_to_floor", runs.examples_to_floor),
        **summarise("seconds_to_floor", runs.seconds_to_floor),
    }


def summarise(name: str, values: pd.Series) -> dict[str, float]:
    return {name: values.median(), f"{name}_min": values.min(), f"{name}_max": values.max()}


def one_run(run: pd.DataFrame) -> dict[str, float]:
    minimum = float(run.minimum_loss.astype(float).iloc[0])
    at_floor = run[run.test_loss <= FLOOR_FACTOR * minimum]
    never = np.nan if np.isnan(minimum) else np.inf
    return {
        "final_test_loss": float(style.finite_or_inf(run.test_loss.iloc[-1])),
        "minimum_loss": minimum,
        "diverged": bool(run.status.iloc[0] == "diverged"),
        "examples_to_floor": at_floor.examples_seen.iloc[0] if len(at_floor) else never,
        "seconds_to_floor": at_floor.train_seconds.iloc[0] if len(at_floor) else never,
    }


def to_markdown(table: pd.DataFrame) -> str:
    """The table for people, the paper's settings in the last two columns, and how to read it."""
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]
    return f"{pipe_table([readable(row) for row in rows])}\n\n{READING}\n"


READING = (
    f"At the floor: test loss at most {FLOOR_FACTOR} × the smallest possible loss; examples and "
    "seconds are those of the first evaluation there. Medians over seeds, in brackets the least and"
    " the greatest; a final loss that is not finite, or a floor never reached, counts as ∞. The"
    " last two columns are the paper's settings (caption of its Figure 1); it prints no losses or"
    " times."
)


def readable(row: dict[str, Any]) -> dict[str, str]:
    thousand = {
        **row,
        **{key: row[key] / 1000 for key in row if key.startswith("examples_to_floor")},
    }
    return {
        "panel": row["panel"],
        "architecture": heading(row["arch"]),
        "method": row["method"],
        "α": number(row["learning_rate"]),
        "λ₀": number(row["initial_damping"]),
        "batch": number(row["batch_size"]),
        "passes": number(row["passes"]),
        "seeds": number(row["seeds"]),
        "diverged": number(row["diverged"]),
        "final test loss": with_range(row, "final_test_loss"),
        "× smallest possible": number(row["times_minimum"]),
        "seeds at the floor": number(row["seeds_at_floor"] if has_floor(row) else np.nan),
        "thousand examples to the floor": with_range(thousand, "examples_to_floor"),
        "seconds to the floor": with_range(row, "seconds_to_floor"),
        "paper: α": number(row["paper_learning_rate"]),
        "paper: batch": number(row["paper_batch_size"]),
    }


def has_floor(row: dict[str, Any]) -> bool:
    return not np.isnan(row["examples_to_floor"])


def with_range(row: dict[str, Any], name: str) -> str:
    """ "52 (48 to 60)"; the median alone where there is one seed or all agree."""
    median, low, high = (number(row[key]) for key in (name, f"{name}_min", f"{name}_max"))
    return median if low == high else f"{median} ({low} to {high})"


def number(value: float) -> str:
    """Three significant digits, "∞" and "–" for what is infinite and what does not apply."""
    if np.isnan(value):
        return "–"
    return "∞" if np.isinf(value) else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
