import math

import pandas as pd
import pytest
from omegaconf import OmegaConf

from nglab.errors import InputError
from nglab.figures.figure1.compute_figure1 import figure1, read_panels
from nglab.figures.race import run_race as module
from nglab.runs import run as run_module
from nglab.settings.composing import compose

TINY = ["data.train_examples=2000", "data.test_examples=200"]

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(module, "calibrate", lambda: 2.0)
    config = compose(["figure1=smoke", "panels=[A]"], "figure1")
    config.panel.A.update(passes=1, grid_passes=0.5, seeds=2, rates=[0.01, 50.0, 0.04])
    OmegaConf.update(config, "panel.A.overrides", TINY, force_add=True)
    return config


def test_figure1_from_nothing_and_then_from_what_is_there(tiny, tmp_path, monkeypatch):
    files = figure1(tiny, tmp_path)
    assert {"figure1.png", "figure1.pdf", "figure1.svg", "figure1.csv", "figure1.md",
            "learning_rates.png", "learning_rates.csv"} <= {f.name for f in files}  # fmt: skip
    assert all(f.stat().st_size > 100 for f in files)
    grid = pd.read_csv(tmp_path / "learning_rates.csv")
    assert len(grid) == 6 and (grid[grid.learning_rate == 50].final_test_loss == math.inf).all()
    medians = grid.groupby("learning_rate").final_test_loss.median()
    assert set(grid.learning_rate[grid.chosen]) == {medians.idxmin()}
    curves = pd.read_csv(tmp_path / "figure1.csv")
    assert set(zip(curves.method, curves.seed, strict=True)) == {
        (m, s) for m in ("SGD", "NGD") for s in (0, 1)
    }
    start = curves[curves.step == 0].groupby("seed").test_loss.nunique()
    assert (start == 1).all()  # both methods start from the same parameters

    def fail(*args):
        raise AssertionError("trained again")

    monkeypatch.setattr(module, "run", fail)
    monkeypatch.setattr(run_module, "run_together", fail)
    figure1(tiny, tmp_path)
    again = pd.read_csv(tmp_path / "figure1.csv")
    pd.testing.assert_frame_equal(curves, again)


def test_a_stop_loses_at_most_the_run_in_hand(tiny, tmp_path, monkeypatch):
    real, made = module.run, []

    def stop_at_the_third(config, folder):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(folder)
        return real(config, folder)

    monkeypatch.setattr(module, "run", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        figure1(tiny, tmp_path)
    monkeypatch.setattr(
        module, "run", lambda config, folder: made.append(folder) or real(config, folder)
    )
    figure1(tiny, tmp_path)
    assert len(made) == 4


def test_wrong_panels_and_seeds_are_named():
    with pytest.raises(InputError, match="panels=E: must be one of A, B, C, D"):
        read_panels(compose(["panels=[A,E]"], "figure1"))
    with pytest.raises(InputError, match="seeds=0"):
        read_panels(compose(["seeds=0"], "figure1"))


def test_a_method_that_does_not_run_in_a_panel_is_wrong(tiny, tmp_path):
    tiny.panels = ["A", "B"]
    OmegaConf.update(tiny, "panel.B.ngd", ["optimizer.lr=7"], force_add=True)
    with pytest.raises(InputError, match="lr=7: must be a number, above 0 and below 2"):
        figure1(tiny, tmp_path / "here")
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("preset", ["smoke", "default", "paper"])
def test_every_preset_has_every_panel(preset):
    panels = read_panels(compose([f"figure1={preset}"], "figure1"))
    assert list(panels) == ["A", "B", "C", "D"]
    assert [p.paper_rate for p in panels.values()] == [0.08, 0.08, 0.02, 0.04]


def test_settings_of_ngd_alone_reach_no_other_method():
    problem = read_panels(compose(["figure1=default"], "figure1"))["D"].problem("D")
    assert "optimizer.damping.initial=0.1" in problem.command("ngd", 0)
    assert not [word for word in problem.command("sgd", 0) if "damping" in word]
