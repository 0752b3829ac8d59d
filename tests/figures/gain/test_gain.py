"""The gain map: what is trained, what is read off, what is drawn."""

import numpy as np
import pandas as pd
import pytest

from nglab import cli
from nglab.errors import InputError
from nglab.figures.gain.compute_gain import GAIN, GainPanel
from nglab.figures.gain.draw_gain import (
    best_rates,
    expected_rates,
    fitted_power,
    inner,
    ngd_passes,
    place,
    sgd_map,
    short,
    to_markdown,
)
from nglab.figures.panels import panels_of
from nglab.settings.composing import compose

INF = np.inf
GAINS, RATES, LAYERS = [0.8, 0.9, 1.0], [0.01, 0.02, 0.04, 0.08], 3


def made_up() -> pd.DataFrame:
    """Runs whose best rate is 0.02 g⁻⁴; at twice the best rate they diverge."""
    about = {
        "panel": "A",
        "arch": "square",
        "layers": LAYERS,
        "paper_learning_rate": 0.04,
        "minimum_loss": 1e-5,
    }
    about |= {"train_examples": 1000, "passes": 5}
    rows = []
    for gain in GAINS:
        best = 0.02 * gain**-4
        for seed in range(3):
            for rate in RATES:
                loss = (
                    INF
                    if rate >= 2 * best
                    else 1e-5 * (1 + 10 * (seed + 1) * abs(np.log(rate / best)))
                )
                rows.append(
                    about
                    | {
                        "gain": gain,
                        "seed": seed,
                        "method": "SGD",
                        "learning_rate": rate,
                        "final_test_loss": loss,
                    }
                )
            taken = INF if gain == 0.8 and seed == 2 else 2000 + 100 * seed
            rows.append(
                about
                | {
                    "gain": gain,
                    "seed": seed,
                    "method": "NGD",
                    "learning_rate": 1.0,
                    "examples": taken,
                }
            )
    return pd.DataFrame(rows)


def test_the_map_is_of_medians_and_its_best_rates_are_found() -> None:
    losses = sgd_map(made_up())
    assert list(losses.index) == GAINS and list(losses.columns) == RATES
    assert losses.loc[1.0, 0.02] == pytest.approx(1) and np.isinf(losses.loc[1.0, 0.04])
    assert list(best_rates(losses)) == [0.04, 0.04, 0.02]


def test_the_expected_line_and_the_fitted_power() -> None:
    best = pd.Series([0.02 * g**-4 for g in GAINS], GAINS)
    np.testing.assert_allclose(expected_rates(best, best.index, LAYERS), best)
    assert list(inner(pd.Series([0.01, 0.02, 0.08], GAINS), RATES)) == [0.02]
    assert fitted_power(best) == pytest.approx(-4)


def test_ngds_passes_and_what_never_arrived() -> None:
    passes = ngd_passes(made_up())
    assert passes.loc[1.0].to_dict() == {"low": 2.0, "median": 2.1, "high": 2.2}
    assert np.isinf(passes.loc[0.8, "high"])


def test_rates_stand_evenly_in_their_logarithm() -> None:
    np.testing.assert_allclose(place(np.array([0.01, 0.08, 0.16]), RATES), [0.5, 3.5, 4.5])


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (1.234, "1.2"),
        (56.4, "56"),
        (116, "116"),
        (7910, "7.9k"),
        (123_000, "123k"),
        (5.5e6, "5.5M"),
        (INF, ""),
        (np.nan, ""),
    ],
)
def test_numbers_are_short(loss: float, text: str) -> None:
    assert short(loss) == text


def test_files_and_table(tmp_path) -> None:
    files = GAIN.write(made_up(), tmp_path)
    assert {f.name for f in files} == {
        f"gain.{kind}" for kind in ("png", "pdf", "svg", "csv", "md")
    }
    assert all(f.stat().st_size > 0 for f in files)
    text = to_markdown(made_up())
    assert "| A | 1 | 0.02 | 1 | 0.04 | ∞ | 2.1 (2 to 2.2) |" in text
    assert "| A | 3 | -4 |" in text


def test_what_is_trained() -> None:
    panel = panels_of(compose(["panels=[C]", "seeds=2"], "gain"), GainPanel)["C"]
    trials = list(panel.trials("C"))
    assert len(trials) == 2 * len(panel.gains) * (len(panel.rates) + 1)
    assert len({trial.place for trial in trials}) == len(trials)
    assert {"init.gain=0.9", "optimizer.lr=0.02", "arch=bottleneck"} <= {
        w for t in trials for w in t.words
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["panels=[E]"], "panels=E: must be one of A, B, C"),
        (["seeds=0"], "seeds=0: must be a whole number, 1 or more"),
        (["panel.A.gains=[1.0,-1.0]"], "panel.A.gains="),
    ],
)
def test_wrong_settings_are_named(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        panels_of(compose(words, "gain"), GainPanel)


@pytest.mark.usefixtures("in_process")
def test_the_command_trains_and_draws_and_goes_on(tmp_path, capsys) -> None:
    words = ["gain", "panels=A", "seeds=1", "panel.A.gains=[0.9,1.0]", "panel.A.rates=[0.01,50.0]",
             "panel.A.passes=0.1", "panel.A.ngd_passes=0.2", f"out={tmp_path}"]  # fmt: skip
    assert cli.main(words) == 0
    table = pd.read_csv(tmp_path / "gain.csv")
    assert len(table) == 6 and set(table.layers) == {16}
    assert np.isinf(table.final_test_loss[table.learning_rate == 50]).all()
    before = (tmp_path / "gain.csv").read_bytes()
    capsys.readouterr()
    assert cli.main(words) == 0
    assert "gain.png" in capsys.readouterr().out
    assert (tmp_path / "gain.csv").read_bytes() == before
