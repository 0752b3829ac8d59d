"""Figure 1 from made-up tables: what it says, and the numbers of its table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from nglab.figures.figure1.draw_figure1 import (
    caption,
    describe_widths,
    draw_figure1,
    draw_learning_rates,
    heading,
    seconds_axis,
    table,
    to_markdown,
)

INF, NAN = float("inf"), float("nan")
ARCH = {"A": ("square", "20-20-20-20"), "D": ("mnist_autoencoder", "784-400-50-400-784")}


def one_run(
    panel: str, method: str, seed: int, losses: list[float], second: float = 1.0
) -> pd.DataFrame:
    """A row every 1000 examples, `second` seconds apart."""
    n = np.arange(len(losses))
    return pd.DataFrame(
        {
            "panel": panel,
            "arch": ARCH[panel][0],
            "widths": ARCH[panel][1],
            "method": method,
            "seed": seed,
            "learning_rate": 0.04 if method == "SGD" else 1.0,
            "initial_damping": NAN if method == "SGD" else 0.01,
            "step": n * (50 if method == "SGD" else 1),
            "examples_seen": n * 1000,
            "passes": n / 10,
            "train_seconds": n * second,
            "train_loss": losses,
            "test_loss": losses,
            "minimum_loss": 1e-5 if panel == "A" else None,
            "status": "finished" if np.isfinite(losses[-1]) else "diverged",
        }
    )


@pytest.fixture
def curves() -> pd.DataFrame:
    runs = [
        one_run("A", "SGD", 0, [4, 1e-2, 1e-3, 1e-3]),
        one_run("A", "SGD", 1, [4, 1e-2, 1e-3, 3e-3]),
        one_run("A", "SGD", 2, [4, INF]),
        one_run("A", "NGD", 0, [4, 1e-3, 1.05e-5, 1e-5], 2.0),
        one_run("A", "NGD", 1, [4, 1e-3, 2e-5, 1e-5], 2.0),
        one_run("A", "NGD", 2, [4, 1e-5, 1e-5, 1e-5], 2.0),
        one_run("D", "SGD", 0, [50, 6, 5.5]),
        one_run("D", "NGD", 0, [50, 5, 4.5]),
    ]
    return pd.concat(runs, ignore_index=True)


@pytest.fixture
def grid() -> pd.DataFrame:
    rows = [
        {
            "panel": panel,
            "arch": arch,
            "learning_rate": rate,
            "seed": seed,
            "final_test_loss": INF if rate > 0.08 or (rate == 0.08 and seed) else rate / 10,
            "minimum_loss": 1e-5 if panel == "A" else None,
            "chosen": rate == 0.04,
            "paper_learning_rate": {"A": 0.08, "D": 0.04}[panel],
        }
        for panel, (arch, _) in ARCH.items()
        for rate in (0.02, 0.04, 0.08, 0.16)
        for seed in range(3)
    ]
    return pd.DataFrame(rows)


def test_the_figure_says_what_was_run(
    curves: pd.DataFrame, grid: pd.DataFrame, tmp_path: Path
) -> None:
    files = draw_figure1(curves, grid, tmp_path / "figure1")
    assert [file.name for file in files] == ["figure1.png", "figure1.pdf", "figure1.svg"]
    svg = files[2].read_text()
    for text in ("SGD, α = 0.04", "1/3 diverged", "NGD, α = 1", "square", "MNIST autoencoder"):
        assert f"{text}</" in svg
    for text in ("3 layers of 20", "4 layers · 784–50–784", "wall-clock time (seconds)"):
        assert f"{text}</" in svg
    assert "(A: 3, D: 1) seeds" in svg


def test_the_same_tables_give_the_same_bytes(
    curves: pd.DataFrame, grid: pd.DataFrame, tmp_path: Path
) -> None:
    first = draw_learning_rates(grid, tmp_path / "a")
    again = draw_learning_rates(grid, tmp_path / "b")
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in again]


@pytest.mark.parametrize("losses", [[4.0], [INF], [4.0, NAN], [4.0, 1e-5]])
def test_one_panel_one_seed_whatever_its_losses(
    losses: list[float], grid: pd.DataFrame, tmp_path: Path
) -> None:
    curves = pd.concat([one_run("A", method, 0, losses) for method in ("SGD", "NGD")])
    svg = draw_figure1(curves, grid, tmp_path / "figure1")[2].read_text()
    assert "One seed." in svg
    assert len(table(curves, grid)) == 2


def test_learning_rates_mark_what_diverged(grid: pd.DataFrame, tmp_path: Path) -> None:
    svg = draw_learning_rates(grid, tmp_path / "learning_rates")[2].read_text()
    for text in ("2/3", "3/3", "0.16", "chosen", "diverged (of all runs)"):
        assert f"{text}</" in svg
    assert "paper" in svg


def test_seconds_are_linear_unless_one_method_takes_much_longer() -> None:
    ngd, sgd = one_run("A", "NGD", 0, [4, 1]), one_run("A", "SGD", 0, [4, 1], 50.0)
    diverged = one_run("A", "SGD", 1, [4, INF], 0.01)
    linear, log = Figure().subplots(1, 2)
    seconds_axis(linear, [("SGD", [ngd, diverged]), ("NGD", [ngd])])
    seconds_axis(log, [("SGD", [sgd]), ("NGD", [ngd])])
    assert (linear.get_xscale(), log.get_xscale()) == ("linear", "log")


def test_table_of_medians(curves: pd.DataFrame, grid: pd.DataFrame) -> None:
    sgd, ngd = table(curves, grid).query("panel == 'A'").to_dict("records")
    assert (sgd["method"], sgd["learning_rate"], sgd["batch_size"]) == ("SGD", 0.04, 20)
    assert (sgd["seeds"], sgd["diverged"], sgd["seeds_at_floor"]) == (3, 1, 0)
    assert (sgd["final_test_loss"], sgd["final_test_loss_max"]) == (3e-3, INF)
    assert sgd["times_minimum"] == pytest.approx(300)
    assert sgd["examples_to_floor"] == INF
    assert (sgd["paper_learning_rate"], sgd["paper_batch_size"]) == (0.08, 20)
    assert (ngd["method"], ngd["learning_rate"], ngd["batch_size"]) == ("NGD", 1.0, 1000)
    assert (ngd["diverged"], ngd["seeds_at_floor"]) == (0, 3)
    assert (ngd["examples_to_floor"], ngd["seconds_to_floor"]) == (2000, 4.0)
    assert (ngd["examples_to_floor_min"], ngd["examples_to_floor_max"]) == (1000, 3000)
    assert (ngd["paper_learning_rate"], ngd["paper_batch_size"]) == (1.0, 1000)


def test_without_a_smallest_loss_there_is_no_floor(
    curves: pd.DataFrame, grid: pd.DataFrame
) -> None:
    rows = table(curves, grid).query("panel == 'D'")
    assert rows.final_test_loss.tolist() == [5.5, 4.5]
    assert rows[["times_minimum", "examples_to_floor", "seconds_to_floor"]].isna().all(axis=None)


def test_markdown(curves: pd.DataFrame, grid: pd.DataFrame) -> None:
    header, rule, sgd, ngd, _, mnist_ngd = to_markdown(table(curves, grid)).splitlines()[:6]
    assert len({line.count("|") for line in (header, rule, sgd, ngd, mnist_ngd)}) == 1
    assert header.endswith("| paper: α | paper: batch |")
    assert "| 0.003 (0.001 to ∞) | 300 | 0 | ∞ | ∞ | 0.08 | 20 |" in sgd
    assert "| 3 | 2 (1 to 3) | 4 (2 to 6) | 1 | 1,000 |" in ngd
    assert "| MNIST autoencoder | NGD |" in mnist_ngd
    assert "| 4.5 | – | – | – | – |" in mnist_ngd


def test_architectures_in_words() -> None:
    assert heading("mnist_autoencoder") == "MNIST autoencoder"
    assert describe_widths([20] * 17) == "16 layers of 20"
    assert describe_widths([20, 60, 100, 60, 20]) == "4 layers · 20–100–20"
    assert describe_widths([200, 80, 2, 80, 200]) == "4 layers · 200–2–200"


def test_caption_counts_seeds() -> None:
    assert "median over 8 seeds" in caption(pd.Series([8, 8], index=["A", "B"]))
    assert "median over (A: 8, D: 3) seeds" in caption(pd.Series([8, 3], index=["A", "D"]))
