"""Time to target against brute force and cases that can be worked out by hand."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from made_up_race import METHODS, race_tables

from nglab.figures.race.race_statistics import interval, profile, resampled_medians, to_target

INF = float("inf")


def times(
    seconds: dict[str, list[float]], tuned_for: str = "", problem: str = "A", target: str = "t"
) -> pd.DataFrame:
    """A time a seed for each method, the same by every clock unless `tuned_for` is given."""
    rows = [
        {"problem": problem, "arch": "square", "target": target, "column": "test_loss", "value": 1.0,
         "method": method, "tuned_for": clock, "setting": f"lr={len(method)}", "seed": seed, "status": "finished",
         "examples": value, "steps": value, "seconds": value}
        for method, values in seconds.items()
        for clock in ([tuned_for] if tuned_for else ["examples", "seconds"])
        for seed, value in enumerate(values)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def verdict(seconds: dict[str, list[float]], drift: float = 0.0) -> dict[str, str]:
    return to_target(times(seconds), drift).set_index("method").seconds_verdict.to_dict()


def test_medians_and_counts() -> None:
    table = to_target(times({"a": [3, 1, 2], "b": [4, INF, 8], "c": [INF, INF, 1]}))
    by = table.set_index("method")
    assert by.seconds.tolist() == [2, 8, INF]
    assert by.seconds_ratio.tolist() == [1, 4, INF]
    assert by.examples_reached.tolist() == [3, 2, 1]
    assert (by.seconds_seeds == 3).all()
    assert by.seconds_setting.tolist() == ["lr=1"] * 3


def test_each_clock_is_read_from_the_runs_tuned_for_it() -> None:
    both = pd.concat([times({"a": [10, 10]}, "examples"), times({"a": [4, 4]}, "seconds")])
    (row,) = to_target(both).to_dict("records")
    assert (row["examples"], row["steps"], row["seconds"]) == (10, 10, 4)


def test_where_one_clock_was_tuned_for_its_runs_serve_both() -> None:
    (row,) = to_target(times({"a": [10, 10]}, "examples")).to_dict("records")
    assert (row["examples"], row["seconds"], row["seconds_verdict"]) == (10, 10, "winner")


def test_interval_of_the_median_is_that_of_all_resamples() -> None:
    values = np.array([1.0, 2.0, 4.0, 7.0, 30.0])
    exact = np.sort([np.median(draw) for draw in product(values, repeat=5)])  # all 3125 resamples
    low, high = interval(values)
    assert low == exact[int(0.025 * len(exact))] == 1
    assert high == exact[int(0.975 * len(exact))] == 30


@pytest.mark.parametrize(
    ("values", "ends"), [([5.0], (5, 5)), ([1.0, 2, 3, 4, INF], (1, INF)), ([INF, INF], (INF, INF))]
)
def test_ends_of_the_interval(values: list[float], ends: tuple[float, float]) -> None:
    assert interval(np.array(values)) == ends


def test_resamples_are_paired() -> None:
    values = np.array([1.0, 5, 9, 2, 4])
    both = resampled_medians(np.stack([values, 10 * values], axis=1))
    assert (both[:, 1] == 10 * both[:, 0]).all()


def test_share_of_resamples_decides_a_tie() -> None:
    """Against all 6⁶ resamples: who is faster on one seed of six is at or below in 1 % of them, on three in a third."""
    draws = np.array(list(product(range(6), repeat=6)))
    fast = np.array([1.0, 2, 3, 4, 5, 6])
    one, three = (
        fast + np.array([9, 9, 9, 9, 9, -0.5]),
        fast + np.array([-0.5, 2, -0.5, 2, -0.5, 2]),
    )
    for other, tie in ((one, ""), (three, "tie")):
        medians = (np.median(values[draws], axis=1) for values in (other, fast))
        assert (np.mean(np.less_equal(*medians)) >= 0.05) == bool(tie)
        assert verdict({"a": fast.tolist(), "b": other.tolist()}) == {"a": "winner", "b": tie}


def test_a_pair_that_differs_on_every_seed_by_little_is_no_tie() -> None:
    fast = [10.0, 20.0, 5.0, 40.0]
    assert verdict({"a": fast, "b": [1.01 * t for t in fast]}) == {"a": "winner", "b": ""}
    assert verdict({"a": fast, "b": [1.01 * t for t in fast]}, 0.02) == {"a": "winner", "b": "tie"}


def test_drift_is_of_seconds_alone() -> None:
    row = to_target(times({"a": [10.0], "b": [10.1]}), 0.02).iloc[1]
    assert (row.seconds_verdict, row.examples_verdict, row.steps_verdict) == ("tie", "", "")


def test_equal_medians_are_a_tie() -> None:
    assert verdict({"b": [2.0], "a": [2.0]}) == {"a": "winner", "b": "tie"}


def test_nobody_wins_where_nobody_arrived() -> None:
    assert verdict({"a": [INF, INF], "b": [INF, INF]}) == {"a": "", "b": ""}


def test_who_never_arrived_does_not_tie_with_who_sometimes_did() -> None:
    assert verdict({"a": [1, 1, 1, INF, INF], "b": [INF] * 5}) == {"a": "winner", "b": ""}


def test_who_is_beside_the_race_wins_nothing() -> None:
    both = pd.concat([times({"a": [3.0, 3.0]}), times({"b": [1.0, 1.0]}, "none")])
    table = to_target(both).set_index("method")
    assert table.examples_verdict.to_dict() == {"a": "winner", "b": "beside"}
    assert table.seconds_ratio["b"] == pytest.approx(1 / 3)
    alone = to_target(times({"b": [1.0]}, "none")).iloc[0]
    assert alone.seconds_verdict == "beside"
    assert np.isnan(alone.seconds_ratio)


def test_the_order_of_rows_does_not_matter() -> None:
    table = race_tables(METHODS, "ABCDK", 5, ["kfac_jax"]).times
    shuffled = table.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(to_target(table), to_target(shuffled))
    for clock in ("examples", "seconds"):
        pd.testing.assert_frame_equal(profile(table, clock), profile(shuffled, clock))


def test_profile_counts_workloads() -> None:
    workloads = [
        {"a": [1.0], "b": [2.0]},
        {"a": [6.0], "b": [3.0]},
        {"a": [INF], "b": [4.0]},
        {"a": [INF], "b": [INF]},
    ]
    table = pd.concat(times(w, target=f"t{i}") for i, w in enumerate(workloads))
    for method, expected in (("a", [1 / 3, 2 / 3]), ("b", [2 / 3, 1])):
        rows = profile(table, "seconds").set_index("method").loc[method]
        assert rows.tau.tolist() == [1, 2]
        assert rows.share.tolist() == pytest.approx(expected)


def test_a_method_whose_setting_for_a_clock_does_not_arrive_takes_its_other() -> None:
    parts = [
        times({"a": [INF, INF, 3.0], "b": [9.0, 9.0, 9.0]}, "seconds"),
        times({"a": [5.0, 6.0, INF], "b": [1.0, 1.0, 1.0]}, "examples").assign(setting="x"),
    ]
    table = to_target(pd.concat(parts)).set_index("method")
    assert table.seconds.to_dict() == {"a": 6.0, "b": 9.0}
    assert table.seconds_setting["a"] == "x" != table.seconds_setting["b"]
    assert table.seconds_verdict["a"] == "winner"


def test_profile_against_brute_force() -> None:
    table = race_tables(METHODS, "ABCDK", 5, ["kfac_jax"]).times
    for clock in ("examples", "seconds"):
        each = table[table.tuned_for != "none"]
        median = (
            each.groupby(["problem", "target", "method", "tuned_for"])[clock].median().unstack()
        )
        other = median[({"examples", "seconds"} - {clock}).pop()]
        median = median[clock].where(median[clock] < INF, other)
        shown = profile(table, clock)
        assert set(shown.method) == set(METHODS)
        for row in shown.iloc[::7].itertuples():
            ratios = []
            for workload in {key[:2] for key in median.index}:
                best = min(median[(*workload, name)] for name in METHODS)
                if best < INF:
                    ratios.append(median[(*workload, row.method)] / best)
            assert row.share == np.mean([ratio <= row.tau for ratio in ratios])


def test_profile_where_nobody_arrived() -> None:
    assert profile(times({"a": [INF]}), "examples").empty
