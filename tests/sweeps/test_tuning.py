"""`hydra/sweeper=optuna`: what it chooses, by which launcher, how it goes on, and what it refuses."""

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

import nglab as ng
from nglab import cli
from nglab.runs import run as run_module
from nglab.runs.config import Config
from nglab.runs.table import RunRecord, find_runs, read_run

optuna = pytest.importorskip("optuna")

from nglab.sweeps.search_space import distribution  # noqa: E402

SMALL = ["arch=mlp", "arch.widths=[5,4,3]", "data.train_examples=90", "data.test_examples=20",
         "optimizer=sgd", "optimizer.batch_size=20", "train.passes=3"]  # fmt: skip
TUNED = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=6"]
RATE = "optimizer.lr=tag(log,interval(1e-3,1e3))"

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nglab.sweeps.workers.available_cores", lambda: 1)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    """The rates of each stack that is trained."""
    found: list[list[float]] = []
    original = run_module.run_together

    def noted(configs: list[Config], *rest: Any, **more: Any) -> list[dict[str, Any]]:
        found.append([config.optimizer.lr for config in configs])
        return original(configs, *rest, **more)

    monkeypatch.setattr(run_module, "run_together", noted)
    return found


def nglab(*words: str) -> int:
    try:
        return cli.main(["run", *TUNED, *SMALL, *words])
    except SystemExit as leaving:
        return int(leaving.code or 0)


def runs(folder: str) -> list[RunRecord]:
    return [read_run(one) for one in find_runs([Path(folder)])]


def rates(folder: str) -> list[float]:
    return [record.config.optimizer.lr for record in runs(folder)]


def test_trials_are_ordinary_runs_and_the_best_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert nglab(RATE, "out=t") == 0
    records = runs("t")
    assert [record.folder.name for record in records] == list("012345")
    losses = [
        record.summary["final_test_loss"] if record.summary["status"] == "finished" else math.inf
        for record in records
    ]
    best = min(range(6), key=losses.__getitem__)
    diverged = [f"#{i}" for i in range(6) if math.isinf(losses[i])]
    assert 0 < len(diverged) < 6
    left = OmegaConf.load("t/optimization_results.yaml")
    rate = records[best].config.optimizer.lr
    assert left == {
        "name": "optuna",
        "best_params": {"optimizer.lr": rate},
        "best_value": losses[best],
    }
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last.startswith(
        f"best of 6 trials: final_test_loss {losses[best]:.4g} with optimizer.lr={rate}"
    )
    assert last.endswith(f"{Path('t').absolute()}/{best}; diverged: {' '.join(diverged)}")
    assert cli.main(["list", "t"]) == cli.main(["collect", "t", "out=t.csv"]) == 0
    assert cli.main(["plot", "t", "out=pictures"]) == 0


def test_a_batch_is_trained_as_one_stack(trained: list[list[float]]) -> None:
    batches = ["hydra.sweeper.n_jobs=4", RATE]
    assert nglab(*batches, "hydra/launcher=stacked", "out=together") == 0
    assert [len(stack) for stack in trained] == [4, 2]
    assert nglab(*batches, "out=alone") == 0
    assert rates("together") == rates("alone")
    assert [r.summary["status"] for r in runs("together")] == [
        r.summary["status"] for r in runs("alone")
    ]


def test_the_sampler_learns(trained: list[list[float]]) -> None:
    """Drawn at random, fewer of the later trials come near the best rate."""
    words = ["hydra.sweeper.n_trials=16", RATE]
    assert nglab(*words, "out=tpe") == 0
    assert nglab(*words, "hydra/sweeper/sampler=random", "out=random") == 0
    best = min(runs("tpe"), key=lambda record: record.summary["final_test_loss"] or math.inf)
    near = [
        sum(0.1 < rate / best.config.optimizer.lr < 10 for rate in rates(folder)[8:])
        for folder in ("tpe", "random")
    ]
    assert near[0] > near[1]


@contextmanager
def stopped_at_trial_3(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ctrl-C comes when trial 3 is to be trained."""
    original = run_module.run_together

    def interrupted(configs: list[Config], folders: list[Path], *rest: Any, **more: Any) -> Any:
        if folders[0].name == "3":
            raise KeyboardInterrupt
        return original(configs, folders, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "run_together", interrupted)
        yield


def test_the_same_command_goes_on_where_it_was_stopped(
    monkeypatch: pytest.MonkeyPatch, trained: list[list[float]]
) -> None:
    assert nglab(RATE, "out=whole") == 0
    with stopped_at_trial_3(monkeypatch):
        assert nglab(RATE, "out=stopped") == 130
    before = {p: p.stat().st_mtime_ns for p in Path("stopped").glob("[012]/**/*")}
    assert nglab(RATE, "out=stopped") == 0
    assert {p: p.stat().st_mtime_ns for p in Path("stopped").glob("[012]/**/*")} == before
    assert rates("stopped") == rates("whole")
    assert nglab(RATE, "hydra.sweeper.n_trials=8", "out=whole") == 0
    assert len(trained) == 6 + 6 + 2 and rates("whole")[:6] == rates("stopped")


def test_a_folder_of_other_trials_is_refused_and_left(capsys: pytest.CaptureFixture[str]) -> None:
    assert nglab(RATE, "out=t") == 0
    before = {p: p.stat().st_mtime_ns for p in Path("t").rglob("*")}
    assert nglab(RATE, "hydra.sweeper.sampler.seed=1", "out=t") == 2
    assert (
        "0 holds a run already, of another configuration (optimizer.lr=" in capsys.readouterr().err
    )
    assert {p: p.stat().st_mtime_ns for p in Path("t").rglob("*")} == before


def test_a_study_in_a_database_is_gone_on_with(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = [
        RATE,
        "hydra.sweeper.storage=sqlite:///study.db",
        "hydra.sweeper.study_name=mine",
        "out=t",
    ]
    with stopped_at_trial_3(monkeypatch):
        assert nglab(*kept) == 130
    asked = OmegaConf.load("t/3/.hydra/config.yaml").optimizer.lr
    assert nglab(*kept) == 0
    assert len(set(rates("t"))) == 6 and rates("t")[3] == asked
    assert nglab(*kept, "hydra.sweeper.n_trials=7") == 0
    study = optuna.load_study(study_name="mine", storage="sqlite:///study.db")
    assert [trial.params["optimizer.lr"] for trial in study.trials] == rates("t")
    assert {trial.state.name for trial in study.trials} == {"COMPLETE"}
    assert nglab(*kept, "arch.widths=[5,3]") == 2
    assert "holds a study of another sweep (" in capsys.readouterr().err


def test_a_run_that_fails_ends_it_and_is_trained_again(monkeypatch: pytest.MonkeyPatch) -> None:
    original = run_module.build_for

    def unlucky(configs: list[Config]) -> Any:
        if len(list(Path("t").iterdir())) > 2:
            raise ZeroDivisionError("unlucky")
        return original(configs)

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "build_for", unlucky)
        assert nglab(RATE, "out=t") == 1
    assert [record.summary["status"] for record in runs("t")][-1] == "failed"
    assert nglab(RATE, "out=t") == 0
    assert len(runs("t")) == 6 and "failed" not in {r.summary["status"] for r in runs("t")}


def test_what_is_to_be_small_may_be_the_way_to_the_floor() -> None:
    words = ["train.passes=40", "train.eval_every_examples=40", "data.noise_variance=1"]
    asked = [
        "optimizer.lr=0.01,0.1",
        "hydra.sweeper.n_trials=4",
        "hydra.sweeper.objective=examples_to_floor",
    ]
    assert nglab(*words, *asked, "out=t") == 0
    reached = [record.summary["examples_to_floor"] or math.inf for record in runs("t")]
    assert OmegaConf.load("t/optimization_results.yaml").best_value == min(reached)


@pytest.mark.parametrize("sampler", ["tpe", "gp", "random"])
def test_every_sampler_chooses_without_a_word(
    sampler: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "hydra.sweeper.n_trials=7",
        "hydra.sweeper.n_jobs=2",
        f"hydra/sweeper/sampler={sampler}",
    ]
    assert nglab(*words, RATE, "init.gain=interval(0.8,1.2)", "out=t") == 0
    assert len(set(rates("t"))) == 7 and capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "batch", [["hydra.sweeper.n_jobs=1"], ["hydra.sweeper.n_jobs=4", "hydra/launcher=stacked"]]
)
def test_it_finds_the_rate_of_sgd_on_the_square_network(batch: list[str]) -> None:
    """Within a step of Figure 1's grid of factors of 2, whose best is 0.04; 0.08 diverges."""
    words = [
        "-m",
        "hydra/sweeper=optuna",
        "hydra.sweeper.n_trials=12",
        "hydra.sweeper.sampler.seed=1",
        *batch,
    ]
    rate = "optimizer.lr=tag(log,interval(1e-3,1))"
    assert cli.main(["run", *words, "arch=square", "optimizer=sgd", rate, "out=t"]) == 0
    assert 0.02 < OmegaConf.load("t/optimization_results.yaml").best_params["optimizer.lr"] < 0.08
    assert "diverged" in {record.summary["status"] for record in runs("t")}


def test_a_batch_beside_one_another() -> None:
    """By joblib, in processes; the same command again trains nothing."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    two = ["hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=2"]
    words = [*TUNED, *SMALL, RATE, *two, "out=t", "hydra/launcher=joblib"]
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    command = [sys.executable, "-m", "nglab", "run", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(record.summary["concurrent"] for record in runs("t"))
    before = {p: p.stat().st_mtime_ns for p in Path("t").glob("[01]/**/*")}
    assert cli.main(["run", *words]) == 0
    assert {p: p.stat().st_mtime_ns for p in Path("t").glob("[01]/**/*")} == before


def test_a_program_gets_the_trials() -> None:
    records = ng.run([*TUNED, *SMALL, RATE, "out=t"])
    assert isinstance(records, list)
    assert [record.folder.name for record in records] == list("012345")


def test_every_kind_of_choice_in_a_file_and_on_the_command_line() -> None:
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/search.yaml").write_text(
        "# @package _global_\n"
        "defaults:\n"
        "  - override /hydra/sweeper: optuna\n"
        "  - override /hydra/launcher: stacked\n"
        "hydra:\n"
        "  mode: MULTIRUN\n"
        "  sweeper:\n"
        "    n_trials: 5\n"
        "    n_jobs: 5\n"
        "    params:\n"
        "      optimizer.lr: tag(log,interval(1e-3,1e-1))\n"
        "      optimizer/schedule: constant,cosine\n"
        "      seed: range(3,6)\n"
    )
    words = [
        "--config-dir",
        "mine",
        "experiment=search",
        "optimizer.batch_size=int(interval(5,30))",
    ]
    assert cli.main(["run", *[w for w in SMALL if "batch_size" not in w], *words, "out=t"]) == 0
    configs = [record.config for record in runs("t")]
    assert all(
        1e-3 <= c.optimizer.lr <= 1e-1 and 5 <= c.optimizer.batch_size <= 30 for c in configs
    )
    assert {c.optimizer.schedule.name for c in configs} <= {"constant", "cosine"}
    assert {c.seed for c in configs} <= {3, 4, 5} and len(configs) == 5


DRAWN = {
    "a=x,y": ("CategoricalDistribution", {"choices": ("x", "y")}),
    "a=10,null,'b c'": ("CategoricalDistribution", {"choices": ("10", "null", "'b c'")}),
    "a=range(1,5)": ("IntDistribution", {"low": 1, "high": 4, "step": 1, "log": False}),
    "a=range(6,0,-2)": ("IntDistribution", {"low": 2, "high": 6, "step": 2}),
    "a=range(0.5,2,0.5)": ("FloatDistribution", {"low": 0.5, "high": 1.5, "step": 0.5}),
    "a=interval(0,1)": ("FloatDistribution", {"low": 0.0, "high": 1.0, "log": False}),
    "a=tag(log,interval(1e-4,1))": ("FloatDistribution", {"low": 1e-4, "high": 1.0, "log": True}),
    "a=int(interval(1,9))": ("IntDistribution", {"low": 1, "high": 9, "log": False}),
    "a=tag(log,int(interval(1,9)))": ("IntDistribution", {"low": 1, "high": 9, "log": True}),
}  # fmt: skip


@pytest.mark.parametrize("word", DRAWN)
def test_what_a_value_is_drawn_from(word: str) -> None:
    kind, attributes = DRAWN[word]
    drawn = distribution(OverridesParser.create().parse_override(word))
    assert type(drawn).__name__ == kind
    assert {name: getattr(drawn, name) for name in attributes} == attributes


REFUSED = {
    "": "hydra/sweeper=optuna: nothing to choose; give a range, 'optimizer.lr=tag(log,interval(1e-3,1))'",
    "optimizer.lr=interval(-1,1)": "optimizer.lr=-1.0: must be a number, above 0",
    "optimizer.batch_size=int(interval(10,100))": "optimizer.batch_size=100: must be at most data.train_examples=90",
    "optimizer.batch_size=interval(10,50)": "optimizer.batch_size=10.0: must be a whole number",
    "optimizer=sgd,nope": "optimizer=nope: no such option",
    "optimizer.lr=interval(1,0.1)": "optimizer.lr=interval(1,0.1): `low <= high` must hold",
    "optimizer.lr=tag(log,range(1,5)) optimizer.lr=tag(log,interval(0,1))": "optimizer.lr=0.0: must be a number",
    f"{RATE} hydra.sweeper.n_trials=0": "hydra.sweeper.n_trials=0: must be a whole number, 1 or more",
    f"{RATE} hydra.sweeper.n_jobs=1.5": "hydra.sweeper.n_jobs=1.5: must be a whole number, 1 or more",
    f"{RATE} hydra.sweeper.objective=loss": "hydra.sweeper.objective=loss: must be one of final_test_loss, ",
    f"{RATE} hydra.sweeper.params=x": "hydra.sweeper.params=x: must be a mapping of keys to values",
    f"{RATE} hydra.sweeper.sampler=null": "hydra.sweeper.sampler=None: must be a class of optuna.samplers",
    f"{RATE} hydra.sweeper.sampler.seed=x": "hydra.sweeper.sampler.seed=x: must be a whole number, 0 or more or null",
    f"{RATE} +hydra.sweeper.sampler.sede=1": "hydra.sweeper.sampler: optuna.samplers.TPESampler: ",
    f"{RATE} hydra.sweeper.sampler._target_=optuna.samplers.TPE": "hydra.sweeper.sampler: optuna.samplers.TPE: ",
    f"{RATE} hydra/sweeper/sampler=tpee": "hydra/sweeper/sampler=tpee: no such option; did you mean tpe?",
    f"{RATE} hydra.sweeper.n_trial=3": "hydra.sweeper.n_trial: no such key",
    f"{RATE} hydra/sweeper=basic": "hydra/sweeper=optuna is named already",
}  # fmt: skip


@pytest.mark.parametrize("line", REFUSED)
def test_wrong_settings_are_refused_before_any_work(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nglab(*line.split()) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("nglab: ") and shown.count("\n") == 1
    assert REFUSED[line] in shown
    assert not list(Path.cwd().iterdir())


def test_a_database_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    for storage in ("sqlite:///nowhere/study.db", "nonsense"):
        assert nglab(RATE, f"hydra.sweeper.storage='{storage}'", "out=t") == 2
        shown = capsys.readouterr().err
        assert f"hydra.sweeper.storage={storage}: " in shown and "sqlite:///study.db" in shown


def test_without_optuna_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert nglab(RATE) == 2
    right = 'hydra/sweeper=optuna: Optuna is not installed: pip install "nglab[tuning]"'
    assert right in capsys.readouterr().err
    assert not list(Path.cwd().iterdir())


def test_hydras_own_sweeper_says_who_draws_from_intervals(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["run", "-m", *SMALL, RATE]) == 2
    assert (
        "give values, such as optimizer.lr=1,2,3, or choose hydra/sweeper=optuna"
        in capsys.readouterr().err
    )
