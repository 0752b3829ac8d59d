"""The report of a race, from made-up tables."""

from pathlib import Path

import pandas as pd
import pytest
from made_up_race import METHODS, Tables, race_tables

from nglab.figures.race.race_report import (
    divergences,
    drift,
    race_markdown,
    reached,
    winner,
    with_interval,
    write_race,
)
from nglab.plotting.markdown import number

INF = float("inf")
CALIBRATION = pd.DataFrame({"when": ["10:00", "10:40"], "what": ["start", "end"], "seconds": [2.0, 2.1]})  # fmt: skip
FACTS, RULES = {"processor": "one of two cores"}, {"tuning runs a method": 36}


def report(tables: Tables, calibration: pd.DataFrame = CALIBRATION) -> str:
    return race_markdown(tables.times, tables.chosen, tables.tuning, FACTS, calibration, RULES)


def test_the_report_says_who_won_and_by_what_rules() -> None:
    text = report(race_tables(METHODS, "ABCDK", 5, ["kfac_jax"]))
    for part in ("## A: square", "### 1.1 × floor", "## K: MNIST classifier", "### test error 2 %",
                 "| *kfac_jax*, not tuned here |", "By examples: **", "within noise: ", "of 5 |",
                 "- processor: one of two cores", "drifted by 5.0%", "- tuning runs a method: 36",
                 "| A | ngd | examples | lr=0.04 batch_size=80 | lr |"):  # fmt: skip
        assert part in text
    assert "**kfac_jax**" not in text
    for table in text.split("\n\n"):
        if table.startswith("|"):
            assert len({line.count("|") for line in table.splitlines()}) == 1


def test_the_winners_cell_is_bold() -> None:
    tables = race_tables(["sgd", "ngd"], "A", 3)
    own = tables.times.query("target == '10 × floor'").copy()
    own[["examples", "steps", "seconds"]] = [[1234.0, 12.0, 0.5]] * len(own)
    own.loc[own.method == "sgd", "examples"] = 5000.0
    own.loc[own.method == "ngd", "seconds"] = INF
    text = race_markdown(own, tables.chosen, tables.tuning, FACTS, CALIBRATION, RULES)
    assert "| ngd | **1.23** | 12 | – | 1, – | 3 of 3, 0 of 3 |" in text
    assert "| sgd | 5 | 12 | **0.5** | 4.05, 1 | 3 of 3 |" in text
    assert "| ngd | lr=0.02 batch_size=40 | lr=0.02 batch_size=40 |" in text
    assert "By examples: **ngd**. By seconds: **sgd**." in text


def test_one_method_and_one_seed_which_never_arrived() -> None:
    tables = race_tables(["kfac"], "A", 1)
    text = report(tables, CALIBRATION[:0])
    assert "| A | 10 × floor | not reached | not reached |" in text
    assert "None." in text
    assert "Not calibrated." in text
    assert "| kfac | 6 of 30; 1 of 1 |" in text


def test_winner_in_words() -> None:
    rows = pd.DataFrame({"method": ["a", "b", "c", "d"], "seconds_verdict": ["tie", "winner", "", "tie"]})  # fmt: skip
    assert winner(rows, "seconds") == "**b**; within noise: a, d"
    assert winner(rows[1:3], "seconds") == "**b**"
    assert winner(rows[2:3], "seconds") == "not reached"


@pytest.mark.parametrize(
    ("median", "low", "high", "text"),
    [
        (52000, 48000, 60000, "52 (48–60)"),
        (52000, 52000, 52000, "52"),
        (52000, 48000, INF, "52 (48–∞)"),
        (INF, 48000, INF, "–"),
        (INF, INF, INF, "–"),
    ],
)
def test_interval_in_words(median: float, low: float, high: float, text: str) -> None:
    row = {"examples": median, "examples_low": low, "examples_high": high}
    assert with_interval(row, "examples", 1000) == text


def test_seeds_reached_once_where_both_clocks_agree() -> None:
    row = {"examples_reached": 5, "examples_seeds": 5, "seconds_reached": 5, "seconds_seeds": 5}
    assert reached(row) == "5 of 5"
    assert reached(row | {"seconds_reached": 3}) == "5 of 5, 3 of 5"


def test_a_run_that_diverged_counts_once_whatever_its_targets_and_clocks() -> None:
    tables = race_tables(["sgd", "ngd"], "AD", 5)
    settled = tables.tuning.assign(status="finished")
    header, _, row = divergences(tables.times, settled).splitlines()
    assert header == "| tuning; reporting | A | D |"
    assert row == "| ngd | 0 of 30; 1 of 5 | 0 of 30; 1 of 5 |"
    assert divergences(tables.times.assign(status="finished"), settled) == "None."


def test_drift_is_the_longest_over_the_shortest() -> None:
    assert drift(pd.DataFrame({"seconds": [2.0, 1.9, 2.2]})) == pytest.approx(2.2 / 1.9 - 1)
    assert drift(pd.DataFrame({"seconds": []})) == 0


def test_three_digits() -> None:
    values = [0.012345, 52.04, 999.4, 999.6, 12345.0, INF]
    assert [*map(number, values)] == ["0.0123", "52", "999", "1,000", "12,300", "–"]


def test_everything_is_written_and_the_tables_can_be_read_back(tmp_path: Path) -> None:
    tables = race_tables(["sgd", "ngd", "kfac"], "AK", 2, ["torch adam"])
    given = (tables.curves, tables.times, tables.tuning, tables.chosen)
    files = write_race(*given, FACTS, CALIBRATION, RULES, tmp_path / "race")
    names, kinds = ("figure3", "profiles", "sensitivity"), ("png", "pdf", "svg")
    pictures = [f"{name}.{kind}" for name in names for kind in kinds]
    csv = ["curves.csv", "race.csv", "tuning.csv", "settings.csv"]
    assert sorted(file.name for file in files) == sorted([*pictures, *csv, "race.md"])
    assert sorted(file.name for file in (tmp_path / "race").iterdir()) == sorted(
        f.name for f in files
    )
    again = [pd.read_csv(tmp_path / "race" / name) for name in csv]
    assert race_markdown(again[1], again[3], again[2], FACTS, CALIBRATION, RULES) == report(tables)
