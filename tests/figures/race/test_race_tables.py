"""When a run first reached its targets, against curves with known answers."""

import math

import numpy as np
import pandas as pd
import pytest

from nglab.figures.race.race_protocol import Target
from nglab.figures.race.race_tables import TIMES, final_value, first_time, times_of, with_floor

INF, NAN = math.inf, math.nan
NEVER = dict.fromkeys(TIMES, INF)


def curve(*losses, step=10, batch=20, a_step=0.5):
    """An evaluation every `step` steps of `batch` examples."""
    steps = step * np.arange(len(losses))
    return pd.DataFrame({
        "step": steps, "examples_seen": batch * steps, "train_seconds": a_step * steps,
        "test_loss": losses,
    })  # fmt: skip


def steps_to(value, *losses):
    """Steps to a test loss; the examples and the seconds agree with them."""
    time = first_time(curve(*losses), Target("test_loss", value))
    assert time["examples"] == pytest.approx(20 * time["steps"])
    assert time["seconds"] == pytest.approx(0.5 * time["steps"])
    return time["steps"]


@pytest.mark.parametrize(
    ("value", "losses", "steps"),
    [
        (1.0, (8, 4, 2, 1, 0.5), 30),  # at an evaluation
        (3.0, (8, 4, 2, 1), 10 + 10 * math.log2(4 / 3)),
        (math.sqrt(8), (8, 4, 2, 1), 15),  # half of a factor of 2
        (8.0, (8, 4, 2), 0),  # at once
        (9.0, (8, 4, 2), 0),
        (0.5, (8, 4, 2, 1), INF),
        (2.0, (8, 1, 5, 0.5), 10 * math.log(4) / math.log(8)),  # the first time, not the last
        (2.0, (8, INF, 1), 20),  # no way from infinity: where it was seen
        (2.0, (8, NAN, 1), 20),
        (2.0, (8, NAN, INF), INF),
        (2.0, (8, 0), 10),  # no logarithm
        (2.0, (1, 5, 1), 0),
    ],
)
def test_the_first_time_at_or_below_a_loss(value, losses, steps):
    assert steps_to(value, *losses) == pytest.approx(steps)


@pytest.mark.parametrize("seed", range(5))
def test_of_an_exponential_curve_the_time_is_exact_at_any_evaluations(seed):
    rng = np.random.default_rng(seed)
    rate, step = rng.uniform(0.01, 0.1), int(rng.integers(1, 30))
    losses = 5 * np.exp(-rate * step * np.arange(200))
    time = first_time(curve(*losses, step=step), Target("test_loss", 0.7))
    assert time["steps"] == pytest.approx(math.log(5 / 0.7) / rate)


def test_the_easier_target_is_never_later():
    rng = np.random.default_rng(0)
    for _ in range(20):
        rows = curve(*rng.uniform(0.1, 10, 12))
        times = [first_time(rows, Target("test_loss", v))["steps"] for v in (5, 2, 1, 0.5)]
        assert times == sorted(times)


def test_the_floor_of_a_run():
    rows = with_floor(curve(8, 4, 2), 2.0)
    assert list(rows.times_floor) == [4, 2, 1] and set(rows.minimum_loss) == {2.0}
    assert first_time(rows, Target("times_floor", 1.0))["examples"] == 400
    nothing = with_floor(curve(8, 4, 2), None)
    assert nothing.times_floor.isna().all() and nothing.minimum_loss.isna().all()
    assert first_time(nothing, Target("times_floor", 10)) == NEVER


@pytest.mark.parametrize(
    ("losses", "status", "value"),
    [((8, 4), "finished", 4), ((8, 9), "diverged", INF), ((8, INF), "diverged", INF),
     ((8, NAN), "diverged", INF), ((8, NAN), "finished", INF)],
)  # fmt: skip
def test_the_final_value_of_a_diverged_run_is_infinite(losses, status, value):
    assert final_value(curve(*losses), "test_loss", status) == value


def test_a_row_a_target_with_what_the_run_was():
    targets = [Target("test_loss", 4), Target("test_error", 2.5)]
    rows = curve(8, 4, 2).assign(test_error=[90, 5, 3])
    table = times_of(rows, targets, {"method": "sgd", "seed": 3})
    assert list(table.target) == ["test loss 4", "test error 2.5 %"]
    assert list(table.value) == [4, 2.5] and list(table.column) == ["test_loss", "test_error"]
    assert list(table.steps) == [10, INF] and set(table.seed) == {3}
