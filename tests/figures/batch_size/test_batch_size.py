"""Steps and examples against the batch size: what is trained, what is read off, what is drawn."""

import numpy as np
import pandas as pd
import pytest

from nglab import cli
from nglab.errors import InputError
from nglab.figures.batch_size.compute_batch_size import BATCH_SIZE, BatchPanel
from nglab.figures.batch_size.draw_batch_size import critical_batch, medians, to_markdown
from nglab.figures.panels import panels_of
from nglab.settings.composing import compose

INF = np.inf


def made_up(minimum: float = 1e-5) -> pd.DataFrame:
    """steps = 50 + 10000 / M for one method; the other gets there at M ≥ 250 alone."""
    rows = []
    for method, batch, seed in (
        (m, b, s) for m in ("ngd", "line") for b in (50, 250, 1000) for s in range(3)
    ):
        steps = INF if method == "line" and batch < 250 else 50 + 10_000 / batch + seed
        rows.append(
            {
                "panel": "A",
                "arch": "square",
                "method": method,
                "batch_size": batch,
                "seed": seed,
                "passes": 1.0,
            }
            | {
                "minimum_loss": minimum,
                "final_test_loss": 2e-5,
                "steps": steps,
                "examples": steps * batch,
            }
        )
    return pd.DataFrame(rows)


def test_medians_are_over_seeds_in_the_order_of_the_batches() -> None:
    steps = medians(made_up(), "steps")
    assert steps.loc[("ngd", 250)].to_dict() == {"low": 90, "median": 91, "high": 92}
    assert np.isinf(steps.loc[("line", 50), "median"])


def test_the_critical_batch_is_the_least_examples_over_the_least_steps() -> None:
    """Of steps = 50 (1 + M*/M) it would be M* = 200, were all batches tried."""
    found = critical_batch(made_up())
    assert found.loc["ngd", "at_batch"] == 50 and found.loc["ngd", "at_batch_of_steps"] == 1000
    assert found.loc["ngd", "critical"] == pytest.approx(251 * 50 / 61)
    assert found.loc["line", "at_batch"] == 250
    nothing = made_up()
    nothing[["steps", "examples"]] = INF
    assert critical_batch(nothing).empty


@pytest.mark.parametrize("minimum", [1e-5, np.nan])
def test_files_and_table(tmp_path, minimum: float) -> None:
    files = BATCH_SIZE.write(made_up(minimum), tmp_path)
    assert {f.name for f in files} == {
        f"batch_size.{kind}" for kind in ("png", "pdf", "svg", "csv", "md")
    }
    assert all(f.stat().st_size > 0 for f in files)


def test_what_the_table_says() -> None:
    text = to_markdown(made_up())
    assert "| A | ngd | 250 | 91 (90 to 92) | 22,800 (22,500 to 23,000) | 3 of 3 | 2e-05 |" in text
    assert "| A | line | 50 | ∞ | ∞ | 0 of 3 |" in text


def test_what_is_trained() -> None:
    panels = panels_of(compose(["panels=[A,D]", "seeds=2"], "batch_size"), BatchPanel)
    trials = list(panels["A"].trials("A"))
    assert len(trials) == 2 * len(panels["A"].methods) * len(panels["A"].passes)
    assert len({trial.place for trial in trials}) == len(trials)
    small = next(
        t for t in trials if t.about["batch_size"] == 60 and t.about["method"] == "layerwise"
    )
    assert (
        "train.eval_every_examples=300" in small.words
        and "optimizer/step_rule=layerwise" in small.words
    )
    assert "optimizer.damping.initial=0.1" in next(panels["D"].trials("D")).words


def test_wrong_settings_are_named() -> None:
    with pytest.raises(InputError, match=r"panel\.A\.passes="):
        panels_of(compose(["panel.A.passes={60: -1}"], "batch_size"), BatchPanel)


@pytest.mark.usefixtures("in_process")
def test_the_command_trains_and_draws(tmp_path) -> None:
    few = "panel.A.passes={60: 0.02, 125: 0.02, 250: 0.025, 500: 0.05, 1000: 0.1, 2000: 0.2, 4000: 0.4}"
    words = ["batch_size", "panels=A", "seeds=1", few, f"out={tmp_path}"]
    assert cli.main(words) == 0
    table = pd.read_csv(tmp_path / "batch_size.csv")
    assert len(table) == 21 and np.isinf(table.steps).all()
