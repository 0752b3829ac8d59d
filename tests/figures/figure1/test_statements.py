"""What the paper says in words, measured on curves made up here."""

import math

import numpy as np
import pandas as pd
import pytest

from nglab.figures.figure1.statements import (
    ahead,
    at_papers_rate,
    fell,
    passes_to_floor,
    runs_of,
    slowest,
    slowing,
    statements_of,
    statements_table,
)

INF, NAN = math.inf, math.nan


def a_run(losses, method="SGD", seed=0, floor=NAN, panel="D", seconds=1.0):
    """A row half a pass; 1000 examples and `seconds` a row."""
    n = np.arange(len(losses))
    return pd.DataFrame({
        "panel": panel, "method": method, "seed": seed, "step": n, "passes": n / 2, "examples_seen": 1000 * n,
        "train_seconds": seconds * n, "test_loss": losses, "minimum_loss": floor,
    })  # fmt: skip


def a_grid(losses, paper, chosen):
    rows = [(rate, loss) for rate, of_seeds in losses.items() for loss in of_seeds]
    table = pd.DataFrame(rows, columns=["learning_rate", "final_test_loss"])
    return table.assign(panel="D", paper_learning_rate=paper, chosen=table.learning_rate == chosen)


def test_the_floor_is_reached_at_the_first_row_there():
    assert passes_to_floor(a_run([4, 1, 1.11e-5, 1.09e-5, 2e-5], floor=1e-5)) == 1.5
    assert passes_to_floor(a_run([4, 1, 1.11e-5], floor=1e-5)) == INF


def test_a_run_too_short_to_be_there_says_nothing():
    soon, never = a_run([4, 1e-5], floor=1e-5), a_run([4] * 21, floor=1e-5)
    assert slowest({0: soon, 1: a_run([4, 1, 1e-5], floor=1e-5)}) == 1
    assert slowest({0: soon, 1: never}) == INF
    assert math.isnan(slowest({0: soon, 1: a_run([4] * 20, floor=1e-5)}))
    assert math.isnan(slowest({}))


def test_slowing_is_the_last_passs_decades_over_the_firsts():
    steep = a_run([100, 30, 1, 0.9, 0.8, 0.8, 0.8])  # 2 decades, 0.097, 0
    even = a_run([1000, 0, 100, 0, 10, 0, 1])
    assert slowing({0: steep}) == pytest.approx(0)
    assert slowing({0: even}) == pytest.approx(1)
    assert slowing({0: a_run([100, 1, 10, 1, 10**0.5])}) == pytest.approx(0.5)
    assert slowing({0: steep, 1: even, 2: a_run([1, INF])}) == pytest.approx(0.5)
    assert math.isnan(slowing({0: a_run([100, 1]), 1: a_run([1, 2, 3, 4, 5])}))


@pytest.mark.parametrize(
    ("losses", "expected"),
    [([4, 5, 1], True), ([4, 5], False), ([4, NAN], False), ([4, INF], False), ([4, 0], False)],
)
def test_a_loss_fell_that_ended_finite_below_its_start(losses, expected):
    assert fell(a_run(losses)) is expected


def test_ngd_is_compared_where_sgds_loss_ends():
    sgd = {0: a_run([100, 10, 1, 1]), 1: a_run([100, 10]), 2: a_run([100, INF])}
    ngd = {s: a_run([100, 10, 1, 0.1], "NGD", seconds=3.0) for s in range(3)}
    assert ahead(ngd, {0: sgd[0]}, "examples") == pytest.approx(1)  # at a loss of 1 both after 2000
    assert ahead(ngd, {0: sgd[0]}, "seconds") == pytest.approx(3)
    assert ahead(ngd, {1: a_run([100, 95, 90, 10])}, "examples") == pytest.approx(1 / 3)
    assert ahead(ngd, sgd, "seconds") == pytest.approx(3)
    assert math.isnan(ahead(ngd, {2: sgd[2]}, "seconds"))
    assert ahead({0: a_run([100, 50], "NGD")}, {0: sgd[0]}, "examples") == INF


def test_the_papers_rate_is_compared_with_the_one_chosen():
    losses = {0.01: [1.0, 2.0, 3.0], 0.02: [4.0, 8.0, NAN], 0.04: [INF, INF, 1.0]}
    assert at_papers_rate(a_grid(losses, 0.02, 0.01)) == 4
    assert at_papers_rate(a_grid(losses, 0.04, 0.01)) == INF
    assert at_papers_rate(a_grid(losses, 0.01, 0.01)) == 1
    assert math.isnan(at_papers_rate(a_grid(losses, 0.08, 0.01)))


def test_each_panel_has_the_statements_that_are_made_of_it():
    grid = a_grid({0.01: [1.0]}, 0.01, 0.01)
    runs = [a_run([100, 10, 1, 0.9, 0.8]), a_run([100, 1, 0.5, 0.4, 0.3], "NGD", seconds=2.0)]
    without_floor = dict(statements_of(pd.concat(runs), grid))
    with_floor = dict(statements_of(pd.concat(runs).assign(minimum_loss=0.3), grid))
    assert without_floor.keys() - with_floor.keys() == {
        "NGD ahead in data efficiency", "NGD only modestly ahead in wall-clock time",
    }  # fmt: skip
    (few,) = with_floor.keys() - without_floor.keys()
    assert with_floor[few].measured == 2 and with_floor[few].holds
    too_short = dict(statements_of(pd.concat(runs).assign(minimum_loss=0.1), grid))[few]
    assert math.isnan(too_short.measured)
    assert without_floor["SGD's rate by grid search"].measured == 1
    assert all(check.holds for check in without_floor.values())
    assert list(runs_of(pd.concat(runs), "NGD")[0].test_loss) == [100, 1, 0.5, 0.4, 0.3]


def test_the_table_says_what_holds_and_what_was_not_measured():
    runs = pd.concat([a_run([100, 10]), a_run([100, 20], "NGD")])
    grid = a_grid({0.01: [1.0], 0.02: [3.0]}, 0.02, 0.01)
    header, _, rate, slowed, examples, seconds, *_ = statements_table(runs, grid).splitlines()
    assert header == "| panel | statement | number | expected | measured | verdict |"
    assert rate.endswith("| ≤ 1 | 3 | does not hold |")
    assert slowed.endswith("| – | not measured |")
    assert examples.endswith("| ∞ | does not hold |") and seconds.endswith("does not hold |")
