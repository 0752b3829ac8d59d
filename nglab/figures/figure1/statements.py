"""What the paper says of its Figure 1 in words, as numbers: what was expected, what was measured, whether it holds.

A run is a table with a row an evaluation, in order; `curves` and `grid` are those of `draw_figure1`.
"""

import math
from collections.abc import Iterator
from statistics import median

import numpy as np
import pandas as pd

from nglab.claims.claim import Check
from nglab.figures.figure1.draw_figure1 import number
from nglab.figures.race.race_protocol import Target
from nglab.figures.race.race_tables import first_time
from nglab.plotting.markdown import pipe_table
from nglab.plotting.style import finite_or_inf
from nglab.runs.folder import FLOOR_FACTOR

FEW = 10.0
"""Passes that are "only a few"."""

SLOWED = 1 / 3
"""The share of its first pass's decades that a method loses in its last one, once it has "slowed down dramatically"."""

MODEST = 3.0
"""How many times faster is "only modestly"."""

READING = (
    "What the paper says of its Figure 1 in words (§5; the rates: its caption), with what was taken to be meant before"
    " it was measured. Between two evaluations the logarithm of the loss is taken to be linear. Seconds are of runs"
    " made one at a time in one process, both methods of a seed before the next. Runs of few passes do not settle a"
    " statement."
)


def statements_table(curves: pd.DataFrame, grid: pd.DataFrame) -> str:
    """The statements in Markdown, a row each."""
    rows = [
        {
            "panel": panel,
            "statement": said,
            "number": check.what,
            "expected": check.expected,
            "measured": number(check.measured),
            "verdict": verdict(check),
        }
        for panel, rows in curves.groupby("panel")
        for said, check in statements_of(rows, grid[grid.panel == panel])
    ]
    return f"{pipe_table(rows)}\n\n{READING}\n"


def verdict(check: Check) -> str:
    if math.isnan(check.measured):
        return "not measured"
    return "holds" if check.holds else "does not hold"


def statements_of(rows: pd.DataFrame, grid: pd.DataFrame) -> Iterator[tuple[str, Check]]:
    """The paper's words on a panel, each with its number."""
    sgd, ngd = (runs_of(rows, method) for method in ("SGD", "NGD"))
    yield (
        "SGD's rate by grid search",
        Check(
            "SGD's median final loss at the paper's rate ÷ at the best of ours",
            at_papers_rate(grid),
            most=1,
        ),
    )
    yield (
        "SGD fast at first, then slowed down dramatically",
        Check(
            "decades of loss lost in SGD's last pass ÷ in its first, median",
            slowing(sgd),
            most=SLOWED,
        ),
    )
    if rows.minimum_loss.notna().any():
        yield (
            "NGD at the smallest loss after only a few passes",
            Check(
                f"passes to {FLOOR_FACTOR} × the smallest loss, NGD's slowest seed",
                slowest(ngd),
                most=FEW,
            ),
        )
        return
    yield (
        "NGD ahead in data efficiency",
        Check(
            "examples to SGD's final loss, NGD ÷ SGD, median", ahead(ngd, sgd, "examples"), most=1
        ),
    )
    yield (
        "NGD only modestly ahead in wall-clock time",
        Check(
            "seconds to SGD's final loss, NGD ÷ SGD, median",
            ahead(ngd, sgd, "seconds"),
            least=1 / MODEST,
            most=1,
        ),
    )


def runs_of(rows: pd.DataFrame, method: str) -> dict[int, pd.DataFrame]:
    """The runs of a method, by seed."""
    chosen = rows[rows.method == method]
    return {int(str(seed)): run.sort_values("step") for seed, run in chosen.groupby("seed")}


def at_papers_rate(grid: pd.DataFrame) -> float:
    """SGD's median final loss at the paper's rate over that at the rate chosen; NaN where the paper's was not tried."""
    losses = grid.assign(final=finite_or_inf(grid.final_test_loss.to_numpy(dtype=float)))
    at_paper = losses[np.isclose(losses.learning_rate, losses.paper_learning_rate)]
    return float(at_paper.final.median() / losses[losses.chosen].final.median())


def passes_to_floor(run: pd.DataFrame) -> float:
    """Passes until the test loss is first at FLOOR_FACTOR × the smallest possible one; ∞ where it never is."""
    reached = run[run.test_loss <= FLOOR_FACTOR * run.minimum_loss]
    return float(reached.passes.iloc[0]) if len(reached) else math.inf


def slowest(runs: dict[int, pd.DataFrame]) -> float:
    """The most `passes_to_floor`; NaN where a run that was not there yet has ended before FEW passes."""
    passes = [
        math.nan if math.isinf(reached) and run.passes.iloc[-1] < FEW else reached
        for run, reached in ((run, passes_to_floor(run)) for run in runs.values())
    ]
    return float(np.max(passes)) if passes else math.nan


def decades_lost(run: pd.DataFrame, start: float) -> float:
    """log₁₀ of the test loss after `start` passes over that after one more."""
    before, after = (
        run.test_loss[run.passes <= passes + 1e-9].iloc[-1] for passes in (start, start + 1)
    )
    return float(np.log10(before / after))


def slowing(runs: dict[int, pd.DataFrame]) -> float:
    """Decades lost in the last pass over those in the first, the median of the runs of two or more that `fell`."""
    shares = [
        np.divide(decades_lost(run, run.passes.iloc[-1] - 1), decades_lost(run, 0))
        for run in runs.values()
        if run.passes.iloc[-1] >= 2 and fell(run)
    ]
    return float(median(shares)) if shares else math.nan


def fell(run: pd.DataFrame) -> bool:
    """Whether it ended below its start."""
    return bool(0 < run.test_loss.iloc[-1] < run.test_loss.iloc[0])  # False for a NaN


def ahead(ngd: dict[int, pd.DataFrame], sgd: dict[int, pd.DataFrame], clock: str) -> float:
    """NGD's `clock` to the loss that SGD ends with over SGD's own, the median of the seeds where SGD's loss `fell`."""
    ratios = []
    for seed in ngd.keys() & sgd.keys():
        if fell(sgd[seed]):
            target = Target("test_loss", float(sgd[seed].test_loss.iloc[-1]))
            times = [first_time(run, target)[clock] for run in (ngd[seed], sgd[seed])]
            ratios.append(times[0] / times[1])
    return median(ratios) if ratios else math.nan
