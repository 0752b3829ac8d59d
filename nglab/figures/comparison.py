"""Pictures of any runs: one run's loss, a comparison of many, final loss against learning rate."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nglab.errors import InputError
from nglab.plotting import style
from nglab.plotting.loss_axis import EXAMPLES, loss_limits, positive, seconds_label
from nglab.plotting.notebook_figure import NotebookFigure
from nglab.runs.many import describe, differing_keys, flatten
from nglab.runs.selection import is_number, order
from nglab.runs.table import RunRecord

PICTURES, FORMATS = ("comparison", "learning_rates"), ("png", "pdf")
FILES = [f"{name}.{kind}" for name in PICTURES for kind in FORMATS]
NAMES = ["arch.name", "optimizer.name"]
LEGEND_ROWS, LEGEND_ENTRIES = 20, 40
WIDTH, LEGEND_WIDTH, EMPTY_COLUMN, LETTER = 7.0, 2.5, 0.4, 0.051
"""Of the two panels, of the widest legend beside them, of its column without words, and of a letter, in inches."""


@dataclass(frozen=True)
class Line:
    """Runs that differ in nothing but their seed: one line of a picture."""

    config: dict[str, Any]
    records: list[RunRecord]

    @property
    def runs(self) -> list[pd.DataFrame]:
        return [record.metrics for record in self.records]

    def label(self, keys: Sequence[str]) -> str:
        """What differs, then how many runs, or what became of them: "sgd, lr=1 (3/8 diverged)"."""
        of, status = len(self.records), self.records[0].summary.get("status")
        diverged = sum(record.summary.get("status") == "diverged" for record in self.records)
        if diverged:
            note = "diverged" if of == 1 else f"{diverged}/{of} diverged"
        elif status != "finished":
            note = str(status)
        else:
            note = f"{of} runs" if of > 1 else ""
        text = describe(self.config, keys) or describe(self.config, NAMES)
        return f"{text} ({note})" if note else text


@style.styled
def plot_runs(runs: Sequence[RunRecord], out: Path) -> list[Path]:
    """Draw `comparison`, and `learning_rates` where something was run at three or more; returns the files.

    Earlier pictures are replaced. Raises InputError where no run has a row yet.
    """
    records = drawable(runs)
    configs = [flatten(record.settings) for record in records]
    keys = differing_keys(configs)
    out.mkdir(parents=True, exist_ok=True)
    written = draw_comparison(group(records, configs, keys), keys, out / PICTURES[0])
    final = final_losses(records, configs, [key for key in keys if key != "optimizer.lr"])
    if final.groupby("label").learning_rate.nunique().max() >= 3:
        floors = positive(record.summary.get("minimum_loss") for record in records)
        heading = title(configs[0], keys)
        written += draw_learning_rates(final, floors, heading, out / PICTURES[1])
    return written


@style.styled
def compare_runs(runs: Sequence[RunRecord]) -> Figure:
    """The picture `comparison`, for a notebook. Raises InputError where no run has a row yet."""
    records = drawable(runs)
    configs = [flatten(record.settings) for record in records]
    keys = differing_keys(configs)
    return comparison(group(records, configs, keys), keys)


def drawable(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """The runs that have rows; InputError where none has."""
    records = [record for record in runs if record.columns["step"]]
    if not records:
        raise InputError(
            "no run here has a row in its metrics.csv: plot once one has been evaluated"
        )
    return records


def group(
    records: Sequence[RunRecord], configs: Sequence[dict[str, Any]], keys: Sequence[str]
) -> list[Line]:
    """Gather the runs that agree on `keys`, in order; those that stopped early apart."""
    lines: dict[tuple[Any, ...], Line] = {}
    for record, config in zip(records, configs, strict=True):
        status = record.summary.get("status")
        early = "" if status in ("finished", "diverged") else status
        values = *(config.get(key) for key in keys), early
        lines.setdefault(values, Line(config, [])).records.append(record)
    return [lines[values] for values in sorted(lines, key=lambda values: [*map(order, values)])]


def final_losses(
    records: Sequence[RunRecord], configs: Sequence[dict[str, Any]], keys: Sequence[str]
) -> pd.DataFrame:
    """A row per run: `label, learning_rate, final_test_loss`, infinite where the run diverged."""
    rows = [
        {
            "label": describe(config, keys),
            "learning_rate": config.get("optimizer.lr"),
            "final_test_loss": float("inf")
            if record.summary.get("status") == "diverged"
            else record.metrics.test_loss.iloc[-1],
        }
        for record, config in zip(records, configs, strict=True)
    ]
    return pd.DataFrame(rows).dropna(subset="learning_rate")


def draw_comparison(lines: Sequence[Line], keys: Sequence[str], stem: Path) -> list[Path]:
    return style.save(comparison(lines, keys), stem, ("png", "pdf"))


def comparison(lines: Sequence[Line], keys: Sequence[str]) -> Figure:
    """Loss against examples and against seconds, a line for each setting."""
    floors = positive(r.summary.get("minimum_loss") for line in lines for r in line.records)
    figure = NotebookFigure(figsize=(WIDTH, 3.2))
    left, right = figure.subplots(1, 2, sharey=True, gridspec_kw={"wspace": 0.07})
    limits = loss_limits([run.test_loss for line in lines for run in line.runs], floors)
    for axes in (left, right):
        style.log_loss_axis(axes, limits, floors)
    for line, look in zip(lines, looks(lines, keys), strict=True):
        style.draw_spread(left, line.runs, "examples_seen", line.label(keys), unit=1000, **look)
        style.draw_spread(right, line.runs, "train_seconds", **look)
    style.seconds_axis(right)
    left.set(xlabel=EXAMPLES, ylabel="test loss")
    right.set(xlabel=seconds_label([r.summary for x in lines for r in x.records]))
    left.set_title(title(lines[0].config, keys), loc="left")
    legend(left, right, band=any(len(line.records) > 1 for line in lines))
    return figure


def looks(lines: Sequence[Line], keys: Sequence[str]) -> list[dict[str, Any]]:
    """Colours from dark to light where one number varies, else colours and dashes in turn."""
    values = [line.config.get(key) for key in keys for line in lines] if len(keys) == 1 else [None]
    if len(lines) > 2 and all(map(is_number, values)):
        shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.92, len(lines)))
        return [{"color": tuple(shade)} for shade in shades]
    return [method_look(line, keys) or cycled_look(i) for i, line in enumerate(lines)]


def method_look(line: Line, keys: Sequence[str]) -> dict[str, Any] | None:
    """SGD black and NGD red, as in the paper, where the method is all that differs."""
    colour = style.METHOD_COLOURS.get(describe(line.config, keys).upper())
    return {"color": colour} if colour else None


def cycled_look(i: int) -> dict[str, Any]:
    n = len(style.PALETTE)
    return {"color": style.PALETTE[i % n], "linestyle": style.DASHES[i // n % len(style.DASHES)]}


def title(config: dict[str, Any], keys: Sequence[str]) -> str:
    """What the runs have in common: "square, sgd"."""
    return describe(config, [name for name in NAMES if name not in keys])


def legend(left: Axes, right: Axes, band: bool) -> None:
    """The lines of `left`, listed to the right of both where there is room, else below; beyond 40 evenly thinned."""
    handles, labels = left.get_legend_handles_labels()
    step = -(-len(labels) // LEGEND_ENTRIES)
    notes = ["median; band: least to greatest"] if band else []
    notes += [f"{len(labels)} lines, one in {step} named"] if step > 1 else []
    beside = -(-len(labels[::step]) // LEGEND_ROWS)
    column = EMPTY_COLUMN + LETTER * max(map(len, labels))
    below = column * beside > LEGEND_WIDTH
    axes, place = (left, (0.0, -0.16)) if below else (right, (1.02, 1.0))
    axes.legend(
        handles[::step],
        labels[::step],
        ncols=max(1, int(WIDTH // column)) if below else beside,
        title="\n".join(notes) or None,
        alignment="left",
        loc="upper left",
        bbox_to_anchor=place,
    )


def draw_learning_rates(
    final: pd.DataFrame, floors: Sequence[float], heading: str, stem: Path
) -> list[Path]:
    """Final test loss against learning rate, both log: a dot a run, a line through the medians."""
    figure = Figure(figsize=(3.6, 2.8))
    axes = figure.subplots()
    each = final.final_test_loss.to_numpy()[:, None]
    style.log_loss_axis(axes, loss_limits(each, floors), floors)
    for i, (label, part) in enumerate(final.groupby("label", sort=False)):
        style.draw_rates(axes, part, cycled_look(i)["color"], str(label))
    style.mark_diverged(axes, final)
    style.mark_zero(axes, final)
    style.log_rate_axis(axes, final.learning_rate)
    axes.set(ylabel="final test loss")
    axes.set_title(heading, loc="left", pad=12)
    if any(axes.get_legend_handles_labels()[1]):
        axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0))
    return style.save(figure, stem, FORMATS)
