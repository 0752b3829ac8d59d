"""The pictures of a race: what they say, and that no odd race breaks them."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_race import METHODS, Tables, race_tables
from matplotlib.figure import Figure

from nglab.figures.race.draw_profiles import draw_profile, draw_profiles
from nglab.figures.race.draw_race import (
    caption,
    diverged,
    draw_clock,
    draw_race,
    target_levels,
    thinned,
)
from nglab.figures.race.draw_sensitivity import (
    draw_sensitivity,
    first_key,
    hardest,
    sensitivities,
    sensitivity,
)
from nglab.figures.race.race_looks import race_looks, staggered
from nglab.figures.race.race_statistics import profile

INF, NAN = float("inf"), float("nan")


@pytest.fixture(scope="module")
def whole() -> Tables:
    return race_tables(METHODS, "ABCDK", 5, ["kfac_jax"])


@pytest.fixture(scope="module")
def small() -> Tables:
    return race_tables(["kfac"], "A", 1)


def test_any_two_of_twelve_methods_differ_in_two_of_colour_dash_and_marker() -> None:
    looks = race_looks(METHODS, ["kfac_jax", "torch adam"])
    for one, other in combinations(METHODS, 2):
        a, b = looks[one], looks[other]
        same = [a[key] == b[key] for key in ("color", "linestyle")]
        assert sum([*same, (a["marker"], a["fillstyle"]) == (b["marker"], b["fillstyle"])]) <= 1
    assert len({look["markevery"] for look in staggered(looks).values()}) == len(looks)


def test_the_figure_says_what_was_run(whole: Tables, tmp_path: Path) -> None:
    looks = race_looks(METHODS, ["kfac_jax"])
    files = draw_race(whole.curves, whole.times, looks, tmp_path / "figure3")
    assert [file.suffix for file in files] == [".png", ".pdf", ".svg"]
    svg = files[2].read_text()
    for text in (*METHODS, "kfac_jax", "MNIST autoencoder", "all start at 5", "test error (%)", "targets",
                 "test loss", "wall-clock time (seconds)", "smallest possible loss"):  # fmt: skip
        assert f"{text}</" in svg
    assert "median over 5 seeds" in svg
    assert "diagonal_fisher on A 1 of 5, B 1 of 5" in svg


def test_lines_are_medians_from_the_first_evaluation_on(whole: Tables) -> None:
    rows = whole.curves.query("problem == 'A' and method == 'adam' and tuned_for == 'seconds'")
    axes = Figure().subplots()
    axes.set_ylim(1e-6, 10)
    draw_clock(axes, rows, "examples", race_looks(["adam", "never run"]))
    (line,) = axes.lines
    medians = rows[rows.step > 0].groupby("examples_seen").test_loss.median()
    drawn = medians.index.isin(np.round(1000 * np.asarray(line.get_xdata())))
    assert drawn[[0, -1]].all()
    np.testing.assert_allclose(line.get_ydata(), medians[drawn])


def test_of_crowded_evaluations_the_last_of_each_part_of_a_decade_is_drawn() -> None:
    run = pd.DataFrame({"x": np.arange(1, 1001)})
    shown = thinned(run, "x").x.to_numpy()
    assert shown[[0, 1, 2, -1]].tolist() == [1, 2, 3, 1000]
    assert (np.diff(np.floor(12 * np.log10(shown))) >= 1).all()
    assert len(shown[shown >= 100]) == 13  # of one decade, and the thousand itself


def test_targets_of_the_floor_lie_above_it() -> None:
    times = pd.DataFrame({"column": ["times_floor", "test_loss"] * 2, "value": [1.5, 3.0] * 2})
    assert target_levels(times, [2.0]) == [3.0, 3.0]
    assert target_levels(times, []) == [3.0]


def test_the_caption_counts_each_run_once(whole: Tables, small: Tables) -> None:
    assert diverged(whole.curves).startswith("diagonal_fisher on A 1 of 5, B 1 of 5")
    assert caption(small.curves).startswith("One seed.")
    assert caption(small.curves).endswith("Diverged: kfac on A 1 of 1.")
    assert "Diverged" not in caption(small.curves.assign(status="finished"))


def draw_all(tables: Tables, folder: Path) -> list[Path]:
    beside = tables.times.tuned_for == "none"
    looks = race_looks(tables.times.method[~beside].unique(), tables.times.method[beside].unique())
    return [
        *draw_race(tables.curves, tables.times, looks, folder / "figure3"),
        *draw_profiles(tables.times, looks, folder / "profiles"),
        *draw_sensitivity(tables.tuning, tables.chosen, looks, folder / "sensitivity"),
    ]


@pytest.mark.parametrize("problem", "AK")
def test_one_method_and_one_seed_which_diverged(problem: str, tmp_path: Path) -> None:
    files = draw_all(race_tables(["kfac"], problem, 1), tmp_path)
    assert "no target was reached</" in files[5].read_text()
    assert all(file.stat().st_size for file in files)


def test_two_methods_without_those_beside_of_which_none_arrived(tmp_path: Path) -> None:
    tables = race_tables(["sgd", "ngd"], "BK", 2)
    tables.times[["examples", "steps", "seconds"]] = INF
    tables.tuning[["examples", "steps", "seconds"]] = INF
    assert len(draw_all(tables, tmp_path)) == 9


def test_profiles_leave_out_who_is_beside_the_race(whole: Tables, tmp_path: Path) -> None:
    looks = race_looks(METHODS, ["kfac_jax"])
    svg = draw_profiles(whole.times, looks, tmp_path / "profiles")[2].read_text()
    assert "layerwise</" in svg
    assert "kfac_jax" not in svg


def test_a_profile_is_a_step_at_each_ratio(whole: Tables) -> None:
    rows = profile(whole.times, "examples").query("method == 'kfac'")
    axes = Figure().subplots()
    draw_profile(axes, rows, race_looks(["kfac"]))
    (line,) = axes.lines
    assert line.get_drawstyle() == "steps-post"
    np.testing.assert_allclose(line.get_xdata()[:-1], rows.tau)
    np.testing.assert_allclose(line.get_ydata()[:-1], rows.share)


def tuning(**columns: list) -> pd.DataFrame:
    """A tuning run a row, of one method, to one target unless `columns` say otherwise."""
    n = len(columns["lr"])
    rows = {"problem": "A", "method": "m", "seed": 1, "target": "t", "value": 1.0, "final": 3.0,
            "chosen": False, "schedule": "cosine", "setting": [f"s{i}" for i in range(n)]}  # fmt: skip
    return pd.DataFrame(rows | columns)


def test_sensitivity_is_the_best_of_the_other_settings_over_the_least() -> None:
    rows = tuning(lr=[0.1, 0.1, 0.2, 0.2, 0.4], cost=[8.0, 6, 4, 5, INF])
    own = sensitivity(rows, "lr", 0.2, True)
    assert own.cost.to_dict() == pytest.approx({0.5: 1.5, 1.0: 1.0, 2.0: INF})
    assert own.reached


def test_sensitivity_takes_medians_over_tuning_seeds() -> None:
    lr, cost = [1.0, 1.0, 1.0, 2.0, 2.0, 2.0], [2.0, 4, 9, 1, 12, INF]
    rows = tuning(lr=lr, setting=list("aaabbb"), cost=cost)
    assert sensitivity(rows, "lr", 1.0, True).cost.to_dict() == {1.0: 1.0, 2.0: 3.0}


def test_sensitivity_where_no_target_was_reached_is_that_of_the_final_value() -> None:
    own = sensitivity(tuning(lr=[1.0, 2.0], cost=[INF, INF], final=[2.0, 6.0]), "lr", 1.0, True)
    assert (own.cost.to_dict(), own.reached) == ({1.0: 1.0, 2.0: 3.0}, False)


def test_the_hardest_target_reached() -> None:
    targets = {"target": ["easy", "hard", "hardest"], "value": [9.0, 3.0, 1.0]}
    three = targets | {"lr": [1.0] * 3, "setting": ["s"] * 3}
    assert hardest(tuning(**three, cost=[1.0, 2.0, INF])) == ("hard", True)
    assert hardest(tuning(**three, cost=[INF, INF, INF])) == ("hardest", False)


def test_the_first_key_tuned_is_a_number_and_not_the_batch() -> None:
    rows = tuning(batch_size=[10], lr=[NAN], cost=[1.0])
    rows = rows.assign(damping=0.1, setting="batch_size=10 damping=0.1")
    assert first_key(rows) == "damping"
    assert first_key(rows.drop(columns="damping")) == ""


def test_only_methods_that_tune_a_key_have_a_sensitivity() -> None:
    rows = tuning(lr=[1.0, 2.0], cost=[1.0, 2.0], chosen=[True, False])
    chosen = pd.DataFrame({"method": ["m"], "unsettled": ["batch_size, lr"]})
    assert sensitivities(rows, chosen, {"m": "batch_size"}) == {}
    assert not sensitivities(rows, chosen, {"m": "lr"})["m"].settled
    assert sensitivities(rows, chosen.assign(unsettled=NAN), {"m": "lr"})["m"].settled


def test_a_race_tuned_for_one_clock(tmp_path: Path) -> None:
    tables = race_tables(["sgd", "ngd"], "A", 2)
    given = (tables.curves, tables.times, tables.chosen)
    seconds = [table[table.tuned_for == "seconds"] for table in given]
    looks = race_looks(["sgd", "ngd"])
    svg = draw_race(seconds[0], seconds[1], looks, tmp_path / "figure3")[2].read_text()
    assert "Settings tuned for seconds." in svg
    svg = draw_sensitivity(tables.tuning, seconds[2], looks, tmp_path / "s")[2].read_text()
    assert "least number of seconds to target" in svg
