"""Medians and bands over runs, on numbers that can be worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from nglab.plotting import style
from nglab.plotting.loss_axis import loss_limits

INF, NAN = float("inf"), float("nan")


def run(x: list[float], loss: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"x": x, "test_loss": loss})


def test_median_and_range_at_shared_points() -> None:
    runs = [run([0, 1, 2], [4, 2, 1]), run([0, 1, 2], [5, 3, 2]), run([0, 1, 2], [9, 9, 9])]
    curve = style.spread(runs, "x")
    assert curve.index.tolist() == [0, 1, 2]
    assert curve["median"].tolist() == pytest.approx([5, 3, 2])
    assert curve.low.tolist() == pytest.approx([4, 2, 1])
    assert curve.high.tolist() == pytest.approx([9, 9, 9])


def test_runs_of_different_length_are_read_off_in_log_loss_up_to_the_shortest() -> None:
    curve = style.spread([run([0, 2, 4], [1, 1e-2, 1e-4]), run([0, 3], [1, 1e-3])], "x")
    assert curve.index.tolist() == [0, 2, 3]
    assert curve["median"].tolist() == pytest.approx([1, 1e-2, 1e-3])


def test_a_diverged_run_counts_as_infinite_in_the_median_alone() -> None:
    runs = [run([0, 1], [4, INF]), run([0, 1, 2], [4, 2, 1]), run([0, 1, 2], [4, 3, 2])]
    curve = style.spread(runs, "x")
    assert curve["median"].tolist() == pytest.approx([4, 3, 2])
    assert curve.high.tolist() == pytest.approx([4, 3, 2])


def test_where_most_runs_diverged_the_median_is_infinite() -> None:
    runs = [run([0, 1], [4, NAN]), run([0, 1], [4, INF]), run([0, 1, 2], [4, 2, 1])]
    curve = style.spread(runs, "x")
    assert np.isinf(curve["median"].loc[[1, 2]]).all()
    assert curve.low.tolist() == pytest.approx([4, 2, 1])


def test_a_run_without_a_finite_loss() -> None:
    assert style.spread([run([0, 1], [NAN, INF])], "x")["median"].tolist() == [INF, INF]


def test_limits_hold_losses_and_floors_but_not_an_explosion() -> None:
    low, high = loss_limits([[4, 1e20, INF], [0.5]], [1e-5])
    assert low < 1e-5
    assert 4 < high < 100
    assert loss_limits([[], [NAN]], []) == (0.1, 1.0)


def test_limits_hold_every_final_loss() -> None:
    low, high = loss_limits(np.array([[1e-3], [5.0], [INF]]), [])
    assert low < 1e-3
    assert high > 5


def test_diverged_seeds_are_counted_at_their_rate() -> None:
    rates, losses = [0.1, 0.1, 0.2, 0.2, 0.2], [1.0, 2.0, INF, NAN, 3.0]
    final = pd.DataFrame({"learning_rate": rates, "final_test_loss": losses})
    axes = Figure().subplots()
    median = style.draw_rates(axes, final, "black")
    style.mark_diverged(axes, final)
    assert median[0.1] == 1.5
    assert np.isnan(median[0.2])
    assert [text.get_text() for text in axes.texts] == ["2/3"]
