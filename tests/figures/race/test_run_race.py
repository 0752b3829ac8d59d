"""Small races from nothing to their tables: gone on with, stopped, killed, tuned by any launcher."""

import math
import os
import random
import signal
import time
from pathlib import Path
from typing import NamedTuple

import pages
import pandas as pd
import pytest
from omegaconf import OmegaConf

from nglab.errors import InputError
from nglab.figures.race import compute_race, race_results, run_race
from nglab.figures.race.compute_race import race
from nglab.runs import run as run_module
from nglab.runs.table import find_runs, read_run

pytestmark = pytest.mark.usefixtures("in_process", "quick")

LINEAR = ["arch.widths=[6,5,4]", "arch.activation=identity", "arch.bias=false",
          "data.noise_variance=0.1", "data.train_examples=400", "data.test_examples=100",
          "train.eval_every_examples=100"]  # fmt: skip
NONLINEAR = [*LINEAR, "arch.activation=tanh"]
GRIDS = {
    "sgd": {"lr": [0.05, 0.1, 0.2], "batch_size": [10, 20]},
    "ngd": {"damping.initial": [0.001, 0.01], "batch_size": [50, 100]},
    "ngd_exact": {"batch_size": [50, 100]},
}
OWN = [f"optimizer.batch_size={m}" for m in (20, 100)]


def problem(overrides=LINEAR, **more):
    return {
        "arch": "mlp",
        "passes": 2,
        "seeds": 2,
        "overrides": overrides,
        "tuning": {"settings": 2, "seeds": 1, "passes": 1},
        "targets": {"times_floor": [2, 1.5]},
        "methods": {"ngd": [OWN[1]], "ngd_exact": [OWN[1]]},
        "grids": GRIDS,
    } | more


def asked(methods=("sgd", "ngd"), **more):
    """The configuration of a race on one problem, A, or on those given."""
    problems = more.pop("problem", {"A": problem()})
    base = {"methods": list(methods), "problem": problems, "problems": list(problems)}
    rest = {"seeds": None, "tuned_for": ["examples", "seconds"], "first_tuning_seed": 1000}
    return OmegaConf.create({**base, **rest, "beside": []} | more)


class Written(NamedTuple):
    """What is handed over to be written and drawn."""

    curves: pd.DataFrame
    times: pd.DataFrame
    tuning: pd.DataFrame
    chosen: pd.DataFrame
    machine: dict[str, str]
    calibration: pd.DataFrame
    rules: dict[str, str]
    folder: Path


@pytest.fixture
def quick(monkeypatch):
    """Nothing is drawn, and no time is measured but that of the reported runs."""
    monkeypatch.setattr(compute_race, "write_race", Written)
    monkeypatch.setattr(run_race, "calibrate", lambda: 2.0)
    monkeypatch.setattr(
        "nglab.runs.picture.save_loss_figure", lambda metrics, floor, path, facts: path.touch()
    )
    monkeypatch.setattr("nglab.figures.race.step_times.seconds_a_step", lambda problem: 1e-3)


@pytest.fixture
def trained(monkeypatch):
    """The folders of the reported runs as they are trained; at the third, `trained.raises` is raised."""

    class Trained(list):
        raises = None

    folders, original = Trained(), run_race.run

    def counted(config, folder):
        if len(folders) == 2 and folders.raises:
            raise folders.raises
        folders.append(folder.relative_to(Path.cwd()))
        return original(config, folder)

    monkeypatch.setattr(run_race, "run", counted)
    return folders


def without_seconds(table):
    return table.drop(columns=[c for c in table if "seconds" in c])


def assert_same(one, other, **tolerance):
    pd.testing.assert_frame_equal(without_seconds(one), without_seconds(other), **tolerance)


def test_a_race_from_nothing_and_then_from_what_is_there(trained, monkeypatch):
    config = asked(problem={"A": problem(tuning={"settings": 3, "seeds": 2, "passes": 1})})
    first = race(config, Path("here"))
    assert len(trained) == first.curves.drop_duplicates(["method", "setting", "seed"]).shape[0]
    assert set(first.curves.seed) == {0, 1} and set(first.tuning.seed) == {1000, 1001}
    assert {read_run(f).config.seed for f in find_runs([Path("here/runs")])} == {0, 1}
    assert {read_run(f).config.seed for f in find_runs([Path("here/tuning")])} == {1000, 1001}
    assert list(first.chosen.runs) == [3] * 4 and set(first.chosen.step_seconds) == {1e-3}
    assert list(first.calibration["what"]) == ["start", "end"]
    assert first.rules == {
        "A": "tuned: 3 settings a method, seeds 1000–1001, 1 passes; reported: seeds 0–1, 2 passes"
    }
    assert_of_the_runs(first)

    def fail(*_, **more):
        raise AssertionError("trained or measured again")

    for place, name in ((run_race, "run"), (run_race, "calibrate"), (run_module, "run_together")):
        monkeypatch.setattr(place, name, fail)
    monkeypatch.setattr("nglab.figures.race.step_times.seconds_a_step", fail)
    again = race(config, Path("here"))
    for name in ("curves", "times", "tuning", "chosen", "calibration"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(again, name))


def test_what_was_trained_or_measured_of_another_problem_is_not_taken_for_ones_own(monkeypatch):
    race(asked(), Path("here"))
    kept = {folder: (folder / "metrics.csv").read_bytes() for folder in find_runs([Path("here")])}
    monkeypatch.setattr("nglab.figures.race.step_times.seconds_a_step", lambda problem: 2e-3)
    wider = [*LINEAR, "arch.widths=[6,7,4]"]
    written = race(asked(problem={"A": problem(wider)}), Path("here"))
    assert set(written.curves.widths) == {"6-7-4"}
    assert set(written.chosen.step_seconds) == {2e-3}
    assert all((folder / "metrics.csv").read_bytes() == rows for folder, rows in kept.items())
    again = race(asked(), Path("here"))
    assert set(again.curves.widths) == {"6-5-4"} and set(again.chosen.step_seconds) == {1e-3}


def assert_of_the_runs(written):
    """The tables say what is in the folders."""
    curves, times, keys = written.curves, written.times, ["method", "tuned_for", "seed"]
    assert set(curves.columns) >= {*race_results.NEEDED, "times_floor"}
    assert set(curves.widths) == {"6-5-4"} and set(curves.minimum_loss) == {0.5 * 4 * 0.1}
    assert times.groupby([*keys, "target"]).ngroups == len(times) == 2 * 2 * 2 * 2
    for (method, clock, seed), run in curves.groupby(keys):
        (setting,) = run.setting.unique()
        rows = read_run(Path("here/runs/A", method, setting.replace(" ", ","), str(seed))).metrics
        assert list(rows.test_loss) == list(run.test_loss)
        own = times.query(f"method == @method and tuned_for == '{clock}' and seed == @seed")
        hardest = own[own.value == 1.5].iloc[0]
        above = int((rows.test_loss > 1.5 * 0.2).cummin().sum()) - 1
        assert 0 <= above < len(rows) - 1
        assert rows.examples_seen[above] < hardest.examples <= rows.examples_seen[above + 1]
        assert rows.train_seconds[above] < hardest.seconds <= rows.train_seconds[above + 1]
    for row in written.chosen.itertuples():
        own = written.tuning[written.tuning.method == row.method]
        tried = own[own.value == 1.5].groupby("setting")[row.tuned_for].median()
        assert tried[row.setting] == tried.min()
        assert set(own.setting[own.chosen_for.str.contains(row.tuned_for)]) == {row.setting}
    assert list(written.tuning["damping.initial"].isna()) == list(written.tuning.method == "sgd")


def test_the_runs_are_shuffled_over_the_methods_within_each_seed(trained):
    methods = ("sgd", "ngd", "ngd_exact")
    race(asked(methods, problem={"A": problem(seeds=4)}, tuned_for=["examples"]), Path("here"))
    seeds, names = zip(*((folder.name, folder.parts[3]) for folder in trained), strict=True)
    assert list(seeds) == sorted(seeds) and len(trained) == 12
    orders = [names[3 * i : 3 * i + 3] for i in range(4)]
    assert all(sorted(order) == sorted(methods) for order in orders) and len(set(orders)) > 1
    assert not any(read_run(folder).summary["concurrent"] for folder in trained)


def test_a_stop_loses_at_most_the_run_in_hand(trained):
    trained.raises = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        race(asked(), Path("here"))
    assert len(trained) == 2
    trained.raises = None
    written = race(asked(), Path("here"))
    assert len(trained) == len(set(trained)) == len(find_runs([Path("here/runs")]))
    assert list(written.calibration["what"]) == ["start", "start", "end"]
    assert set(written.times.seed) == {0, 1} and set(written.times.status) == {"finished"}


def started(folder):
    """The race in a process of its own, which leaves `race.csv`."""
    pid = os.fork()
    if pid:
        return pid
    try:
        written = race(asked(problem={"A": problem(passes=40)}), Path(folder))
        written.times.to_csv(f"{folder}/race.csv", index=False)
    except BaseException:
        os._exit(1)
    os._exit(0)


def test_a_race_killed_again_and_again_ends_as_if_undisturbed():
    moments, killed = random.Random(0), 0
    while killed < 4:
        pid = started("here")
        time.sleep(moments.uniform(0.1, 0.6))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        killed += 1
        if os.WIFEXITED(status):  # it was faster
            assert status == 0
            break
    for folder in ("here", "undisturbed"):
        assert os.waitpid(started(folder), 0)[1] == 0
    one, other = (pd.read_csv(f"{folder}/race.csv") for folder in ("here", "undisturbed"))
    assert_same(one, other, check_exact=True)


def test_a_method_that_does_not_run_on_a_problem_is_listed_and_the_race_goes_on(caplog):
    caplog.set_level("INFO")
    problems = {"A": problem(), "B": problem(NONLINEAR)}
    written = race(asked(["sgd", "ngd_exact"], problem=problems), Path("here"))
    ran = set(zip(written.curves.problem, written.curves.method, strict=True))
    assert ran == {("A", "sgd"), ("A", "ngd_exact"), ("B", "sgd")}
    assert "identity" in written.rules["ngd_exact on B"]
    assert "B, ngd_exact: does not run: arch.activation=" in caplog.text
    assert list(written.rules) == ["A", "B", "ngd_exact on B"]


@pytest.mark.parametrize(
    ("methods", "problems", "message"),
    [
        (["sgd", "ngd_exact"], {"A": problem(NONLINEAR)}, "identity"),
        (["sgd"], {"A": problem(), "B": problem([*LINEAR, "init.gain=0"])}, "init.gain=0: must be"),
        (["sgd"], {"A": problem(tuning={"settings": 1, "seeds": 1, "passes": 0.01})},
         "train.passes=0.01: must be 0.05 or more"),
    ],
)  # fmt: skip
def test_a_method_or_a_problem_with_none_is_wrong(methods, problems, message, trained):
    with pytest.raises(InputError, match=message.replace("+", r"\+")):
        race(asked(methods, problem=problems), Path("here"))
    assert not trained and not Path("here").exists()


def test_a_batch_above_the_training_set_is_left_out():
    grids = {"sgd": {"lr": [0.1], "batch_size": [20, 400, 800]}}
    one = problem(grids=grids, tuning={"settings": 6, "seeds": 1, "passes": 1})
    written = race(asked(["sgd"], problem={"A": one}), Path("here"))
    assert {"lr=0.1 batch_size=400"} < set(written.tuning.setting)
    assert not written.tuning.setting.str.contains("800").any()
    assert list(written.chosen.unsettled) == ["", ""]


def test_divergence_is_data():
    one = problem(grids={"sgd": {"lr": [1e20, 1e30]}, "ngd": {}})
    one["methods"] = one["methods"] | {"sgd": ["optimizer.lr=1e20"]}
    written = race(asked(problem={"A": one}), Path("here"))
    own = written.times[written.times.method == "sgd"]
    hardest = own[own.value == 1.5]
    assert set(own.status) == {"diverged"} and (hardest.seconds == math.inf).all()
    lost = written.tuning[written.tuning.method == "sgd"]
    assert set(lost.final) == {math.inf} and set(lost.status) == {"diverged"}
    assert set(written.times.status[written.times.method == "ngd"]) == {"finished"}
    assert set(written.tuning.method) == {"sgd"}  # nothing of NGD was to be tuned
    assert list(written.chosen.runs) == [2, 2, 0, 0]


def test_another_launcher_tunes_alike(monkeypatch):
    monkeypatch.setattr(run_race, "train_alone", lambda jobs, file: pd.DataFrame())
    monkeypatch.setattr(run_race, "curve", lambda *run: pd.DataFrame())
    monkeypatch.setattr(run_race, "with_clocks", lambda race, entrants, curves: curves)
    monkeypatch.setattr(compute_race, "times_table", lambda problems, curves: curves)
    config = asked(problem={"A": problem(tuning={"settings": 2, "seeds": 2, "passes": 1})})
    one_process = ["hydra/launcher=stacked", "hydra.launcher.processes=1"]
    ours = race(config, Path("stacked"), one_process)
    assert {read_run(f).summary["stacked"] for f in find_runs([Path("stacked")])} == {2}
    theirs = race(config, Path("basic"), ["hydra/launcher=basic"])
    assert {read_run(f).summary["stacked"] for f in find_runs([Path("basic")])} == {1}
    assert_same(theirs.tuning, ours.tuning, rtol=1e-9)
    assert theirs.chosen.setting.equals(ours.chosen.setting)


def test_a_method_from_outside_races_by_its_own_grid():
    pages.write(pages.DOCS / "add" / "method.md", Path.cwd())
    pages.forget_mine()
    written = race(asked(["signed", "sgd"]), Path("here"), config_dir="mine")
    own = written.tuning[written.tuning.method == "signed"]
    assert own.setting[0] == "lr=0.0003 batch_size=20 keep=0.9"
    assert own.keep.notna().all() and list(written.chosen.runs) == [2] * 4
    assert {"signed", "sgd"} == set(written.times.method)


def test_curves_beside_the_race_stand_in_its_tables():
    first = race(asked(["sgd"]), Path("here"))
    theirs = first.curves.assign(method="theirs", tuned_for="none", setting="their own")
    theirs = theirs.drop_duplicates(["seed", "step"])
    pd.concat([theirs, theirs.assign(problem="Z")]).to_csv("beside.csv", index=False)
    written = race(asked(["sgd"], beside=["beside.csv"]), Path("here"))
    assert set(written.times.method) == {"sgd", "theirs"} and set(written.times.problem) == {"A"}
    assert set(written.times.tuned_for[written.times.method == "theirs"]) == {"none"}
    assert list(written.chosen.method) == ["sgd"] * 2
    theirs.drop(columns=["widths", "test_loss"]).to_csv("beside.csv", index=False)
    with pytest.raises(InputError, match=r"beside=beside\.csv: has no column widths, test_loss$"):
        race(asked(["sgd"], beside=["beside.csv"]), Path("here"))
