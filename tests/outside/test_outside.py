"""What somebody adds in a folder of their own, a class and a YAML file each, is treated like nglab's."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pages
import pandas as pd
import pytest

import nglab
from nglab import cli
from nglab.runs.table import find_runs, read_run

SMALL = ["train.passes=2", "data.train_examples=200", "data.test_examples=50",
         "optimizer.batch_size=40"]  # fmt: skip
TEACHER = ["arch=mlp", "arch.widths=[6,5,4]"]
PARTS = {
    "method": [*TEACHER, "optimizer=signed", "optimizer.keep=0.8"],
    "column": [*TEACHER, "optimizer=descent"],
    "schedule": [*TEACHER, "optimizer=sgd", "optimizer/schedule=halving"],
    "damping rule": [*TEACHER, "optimizer/damping=cooling"],
    "solver": [*TEACHER, "optimizer/metric/solver=newton_schulz"],
    "step rule": [*TEACHER, "optimizer/step_rule=capped"],
    "metric": [*TEACHER, "optimizer/metric=squares", "optimizer.lr=0.01"],
    "likelihood": [*TEACHER, "likelihood=laplace", "optimizer=sgd"],
    "data": ["arch=mlp", "arch.widths=[2,8,3]", "data=rings", "likelihood=categorical"],
}
WITH_A_CLASS = [
    page for page in pages.ADDED if any("_target_" in t for t in pages.files(page).values())
]
every_part = pytest.mark.parametrize("part", PARTS)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds `mine`: the classes and YAML files of the pages on what can be added."""
    folder = tmp_path_factory.mktemp("home")
    for page in WITH_A_CLASS:
        pages.write(page, folder)
    pages.forget_mine()
    return folder


@pytest.fixture(autouse=True)
def at_home(home: Path, in_process: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("PYTHONPATH", str(Path(nglab.__file__).parents[1]))
    for name in ("outputs", "alone", "together", "runs"):
        shutil.rmtree(home / name, ignore_errors=True)


def run(*words: str) -> int:
    """The exit status of `nglab run` in this process."""
    try:
        return cli.main(["run", "--config-dir", "mine", *SMALL, *words])
    except SystemExit as leaving:
        return int(leaving.code or 0)


def rows(folder: str) -> pd.DataFrame:
    return read_run(Path(folder)).metrics.drop(columns="train_seconds")


@every_part
def test_it_is_trained_and_stacked(part: str) -> None:
    """A stack that other processes train leaves what a run alone leaves."""
    words = PARTS[part]
    assert run(*words, "hydra.run.dir=alone") == 0
    alone = rows("alone")
    assert alone.test_loss.iloc[-1] < alone.test_loss.iloc[0]
    sweep = ["-m", "hydra/launcher=stacked", "seed=0,1", "hydra.sweep.dir=together"]
    assert run(*sweep, *words) == 0
    assert [read_run(f).summary["stacked"] for f in find_runs([Path("together")])] == [2, 2]
    pd.testing.assert_frame_equal(rows("together/0"), alone, rtol=1e-6)


WRONG = {
    "method": ("optimizer.keep=1", "must be a number, from 0 to below 1 and finite"),
    "column": ("optimizer.lr=no", "must be a number, above 0"),
    "schedule": ("optimizer.schedule.every=0", "must be a whole number, 1 or more"),
    "damping rule": ("optimizer.damping.keep=no", "must be a number, from 0 to below 1"),
    "solver": ("optimizer.metric.solver.steps=0", "must be a whole number, 1 or more"),
    "step rule": ("optimizer.step_rule.radius=0", "must be a number, above 0 and finite"),
    "metric": ("optimizer.metric.average=-1", "must be a number, from 0 to below 1"),
    "likelihood": ("likelihood.scale=.inf", "must be a number, above 0 and finite"),
    "data": ("arch.widths=[3,8,3]", "arch.widths=[3, 8, 3]: must be 2 first: a plane"),
}


@every_part
def test_wrong_settings_are_refused_like_our_own(
    part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    group = {"likelihood": "likelihood", "data": "data"}.get(part, "optimizer")
    override, message = WRONG[part]
    assert run(*PARTS[part], override) == 2
    assert message in capsys.readouterr().err
    assert run(*PARTS[part], f"{group}.qqqqqq=1") == 2
    assert f"{group}.qqqqqq: no such key; there are {group}." in capsys.readouterr().err
    assert not Path("outputs").exists()


def test_a_killed_run_goes_on() -> None:
    long = [*PARTS["method"], "train.passes=4000", "train.eval_every_examples=8000",
            "train.checkpoint_every=8000"]  # fmt: skip
    assert run(*long, "hydra.run.dir=whole") == 0
    words = ["--config-dir", "mine", *SMALL, *long, "hydra.run.dir=killed"]
    killed = subprocess.Popen(
        [sys.executable, "-m", "nglab", "run", *words], stderr=subprocess.DEVNULL
    )
    while not Path("killed/checkpoint.pt").exists() and killed.poll() is None:
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    assert read_run(Path("killed")).summary["status"] == "unfinished"
    assert run(*long, "hydra.run.dir=killed") == 0
    assert "going on from step" in Path("killed/nglab.log").read_text()
    pd.testing.assert_frame_equal(rows("killed"), rows("whole"))


def test_it_appears_in_pictures_help_and_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*PARTS["likelihood"], "hydra.run.dir=runs/laplace") == 0
    assert run(*PARTS["method"], "hydra.run.dir=runs/signed") == 0
    assert "test_worst" in rows("runs/laplace")
    assert cli.main(["plot", "runs", "out=pictures"]) == 0
    assert Path("pictures/comparison.png").exists()
    assert cli.main(["list", "runs"]) == 0
    assert "signed" in capsys.readouterr().out
    run("--help", *PARTS["method"])
    shown = capsys.readouterr().out
    assert "optimizer.keep = 0.8\n    β, the share of V that is kept; a number, from" in shown


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine.signed.Sigend", "mine.signed has no Sigend"),
        ("mine.nowhere.Signed", "there is no module mine.nowhere"),
    ],
)
def test_what_is_not_there_is_named(
    name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*PARTS["method"], f"optimizer._target_={name}") == 2
    assert f"optimizer._target_={name}: {message}" in capsys.readouterr().err


def test_each_is_one_class_and_one_yaml() -> None:
    for page in WITH_A_CLASS:
        code, defaults = pages.files(page)
        assert Path(code).stem == Path(defaults).stem
    assert len(WITH_A_CLASS) == len(PARTS)
