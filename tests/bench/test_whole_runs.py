import math

import pandas as pd
import pytest
import torch
from same_process import SameProcess

from nglab.bench import whole_runs
from nglab.bench.kfac_jax_optimizer import RULES, settings_like
from nglab.bench.kfac_jax_training import kfac_jax_optimizer, train_one
from nglab.bench.whole_runs import end_of_run, middle, nglab_run
from nglab.runs.config import check
from nglab.settings.composing import compose


def small(**more):
    sizes = ["data.train_examples=500", "data.test_examples=100", "arch.widths=[4,3,3,2]"]
    return check(
        compose(
            [
                "arch=mlp",
                "optimizer=sgd",
                *sizes,
                "train.passes=1",
                *(f"{k}={v}" for k, v in more.items()),
            ]
        )
    )


def test_a_run_ends_at_its_target(monkeypatch):
    losses = [4.0, 2e-5, 1.05e-5, 1.0e-5]  # A's smallest possible loss is 1e-5
    seen = []

    def run(config):
        seen.append((config.dtype, config.seed))
        for k, loss in enumerate(losses):
            yield {"examples_seen": 100 * k, "train_seconds": 0.1 * k, "test_loss": loss}

    monkeypatch.setitem(whole_runs.CONTENDERS, "made up", run)
    end = end_of_run("made up", "A", 3, "float32")
    assert end["at_target"] and end["examples"] == 200 and end["target"] == pytest.approx(1.1e-5)
    losses[2:] = [math.nan, 0.0]
    end = end_of_run("made up", "A", 3, "float32")
    assert not end["at_target"] and end["examples"] == 200
    assert seen == [("float32", 3)] * 2


def test_medians_count_a_run_that_never_arrives_as_endless():
    ends = pd.DataFrame({
        "at_target": [True, True, False], "examples": [10, 30, 99], "seconds": [1.0, 3.0, 9.0],
        "loss": [1.0, 1.0, 4.0], "target": 2.0,
    })  # fmt: skip
    row = middle(ends)
    assert row["seconds"] == 3 and row["examples"] == 30
    assert row["at_target"] == 2 and row["runs"] == 3 and row["over_target"] == 0.5
    assert middle(ends[1:])["seconds"] == math.inf
    assert middle(ends.assign(error=[None, "broken", None])) == {"error": "broken"}


def test_every_seed_goes_through_the_contenders_the_other_way(monkeypatch):
    asked = []

    def end(name, panel, seed, dtype):
        asked.append(name + str(seed))
        return {"at_target": True, "examples": 1, "seconds": 1.0, "loss": 1.0, "target": 1.0}

    monkeypatch.setattr(whole_runs, "CONTENDERS", dict.fromkeys("ab"))
    monkeypatch.setattr(whole_runs, "end_of_run", end)
    rows = whole_runs.whole_runs(SameProcess("lifted"), {"A": 2}, torch.float64)
    assert asked == ["a0", "b0", "b1", "a1"]
    assert list(rows.contender) == ["a", "b"] and list(rows.runs) == [2, 2]


def test_who_cannot_run_is_told():
    assert "KeyError" in end_of_run("nobody", "A", 0, "float32")["error"]


def test_kfac_jax_starts_where_nglab_does_and_learns():
    pytest.importorskip("kfac_jax")
    config = small(dtype="float64", seed=2)
    optimizer = kfac_jax_optimizer(config, settings_like("kfac", RULES))
    ours, theirs = nglab_run("sgd", config), train_one(optimizer, config, 50, 1)
    first, *_, last = theirs
    assert first["test_loss"] == pytest.approx(next(ours)["test_loss"], rel=1e-12)
    assert last["test_loss"] < 0.5 * first["test_loss"] and last["examples_seen"] == 500
    assert last["train_seconds"] > 0
