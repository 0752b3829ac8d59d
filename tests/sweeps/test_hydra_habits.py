"""What users of Hydra do without thinking about it, by each launcher."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import nglab as ng
from nglab import cli
from nglab.runs.table import RunRecord, find_runs, read_run

SMALL = [
    "data.train_examples=90",
    "data.test_examples=20",
    "optimizer.batch_size=20",
    "train.passes=1",
]
TINY = ["arch=mlp", "arch.widths=[5,4,3]", *SMALL]
every_launcher = pytest.mark.parametrize("launcher", ["sequential", "stacked"])

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nglab.sweeps.workers.available_cores", lambda: 1)


def nglab(launcher: str, *words: str) -> None:
    assert cli.main(["run", *words, f"hydra/launcher={launcher}"]) == 0


def runs(folder: str) -> list[RunRecord]:
    return [read_run(one) for one in find_runs([Path(folder)])]


def write(files: dict[str, str]) -> None:
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)


MINE = {
    "mine/arch/thin.yaml": "{name: thin, widths: [5, 2, 3], activation: tanh, bias: true}",
    "mine/data/doubled.yaml": "{_target_: mine.parts.Doubled, name: doubled, train_examples: 90,"
    " test_examples: 20, spectrum_decay: 5.0, noise_variance: 1.0e-6}",
    "mine/optimizer/halved.yaml": "defaults: [{schedule: constant}]\n_target_: mine.parts.Halved\nname: halved\n"
    "lr: 0.1\nbatch_size: 20\n",
    "mine/parts.py": """
from dataclasses import dataclass
from pathlib import Path

from nglab import SGD, Teacher
from nglab.data.dataset import Dataset


@dataclass(frozen=True)
class Doubled(Teacher):
    def dataset(self, network, gain, seed):
        Path("made").touch()
        d = super().dataset(network, gain, seed)
        return Dataset(d.train_x, 2 * d.train_y, d.test_x, 2 * d.test_y)


@dataclass(frozen=True, kw_only=True)
class Halved(SGD):
    pass
""",
}


@every_launcher
def test_options_of_a_folder_of_ones_own(launcher: str) -> None:
    write(MINE)
    chosen = ["arch=thin", "data=doubled", "optimizer=halved"]
    nglab(launcher, "-m", "--config-dir", "mine", *chosen, *SMALL, "seed=0,1", "out=s")
    records = runs("s")
    assert [record.config.seed for record in records] == [0, 1]
    for record in records:
        assert record.summary["status"] == "finished"
        names = [record.config[group].name for group in ("arch", "data", "optimizer")]
        assert names == ["thin", "doubled", "halved"]


EXPERIMENTS = {
    "mine/experiment/long.yaml": "# @package _global_\ndefaults: [override /optimizer: sgd]\noptimizer: {lr: 0.07}\n",
    "mine/experiment/short.yaml": "# @package _global_\ndefaults: [override /optimizer: sgd]\n"
    "init: {gain: 0.9}\noptimizer: {lr: 0.05}\n",
    "mine/experiment/grid.yaml": "# @package _global_\ndefaults: [override /optimizer: sgd]\n"
    "hydra: {sweeper: {params: {optimizer.lr: '0.05,0.1', seed: 'range(0,2)'}}}\n",
    "mine/experiment/many.yaml": "# @package _global_\n"
    "hydra: {mode: MULTIRUN, sweeper: {params: {optimizer.lr: '0.05,0.1'}}}\n",
    "mine/experiment/whole.yaml": "# @package _global_\ndefaults: [override /optimizer: sgd]\n"
    "hydra: {mode: MULTIRUN, sweeper: {params: {optimizer.lr: '0.05,0.1'}}}\n",
}


@pytest.mark.parametrize("word", ["experiment=short", "+experiment=short"])
def test_an_experiment_with_and_without_a_plus(word: str) -> None:
    write(EXPERIMENTS)
    assert cli.main(["run", "--config-dir", "mine", *TINY, word, "init.gain=0.8", "out=r"]) == 0
    config = read_run(Path("r")).config
    assert (config.optimizer.name, config.optimizer.lr, config.init.gain) == ("sgd", 0.05, 0.8)


@every_launcher
def test_experiments_are_swept_over(launcher: str) -> None:
    write(EXPERIMENTS)
    nglab(launcher, "-m", "--config-dir", "mine", *TINY, "experiment=short,long", "out=s")
    assert [record.config.optimizer.lr for record in runs("s")] == [0.05, 0.07]


@every_launcher
def test_a_grid_in_a_file(launcher: str) -> None:
    write(EXPERIMENTS)
    nglab(launcher, "-m", "--config-dir", "mine", *TINY, "experiment=grid", "out=s")
    found = [(record.config.optimizer.lr, record.config.seed) for record in runs("s")]
    assert found == [(0.05, 0), (0.05, 1), (0.1, 0), (0.1, 1)]


@every_launcher
def test_a_file_makes_it_a_sweep(launcher: str) -> None:
    write(EXPERIMENTS)
    nglab(launcher, "--config-dir", "mine", *TINY, "experiment=whole", "out=s")
    assert [record.config.optimizer.lr for record in runs("s")] == [0.05, 0.1]
    assert [record.folder for record in runs("s")] == [Path("s/0"), Path("s/1")]


def test_a_program_gets_the_runs_of_such_a_sweep() -> None:
    write(EXPERIMENTS)
    records = ng.run(["--config-dir", "mine", *TINY, "experiment=whole", "out=s"])
    assert isinstance(records, list) and len(records) == 2


def test_the_example_that_comes_with_nglab(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", *SMALL, "experiment=rates", "out=s"]) == 0
    assert len(runs("s")) == 18
    assert cli.main(["run", "experiment=rate"]) == 2
    assert "experiment=rate: no such option; did you mean rates?" in capsys.readouterr().err


@every_launcher
def test_jobs_in_their_own_working_folders(launcher: str) -> None:
    """What a program of the user's writes lies there; where jobs are trained as one they share a folder."""
    write(MINE)
    words = ["--config-dir", "mine", *TINY, "data=doubled", "optimizer=sgd", "hydra.job.chdir=true"]
    here = os.getcwd()
    nglab(launcher, "-m", *words, "seed=0,1", "out=s")
    assert os.getcwd() == here
    assert [record.summary["status"] for record in runs("s")] == ["finished"] * 2
    there = [Path("s/0/made").exists(), Path("s/1/made").exists()]
    assert there == [launcher != "stacked"] * 2 and Path("made").exists() == (launcher == "stacked")


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_all_of_it_by_the_launchers_of_others(launcher: str) -> None:
    """In processes of their own, where a job is composed and checked anew."""
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.removesuffix('_local')}_launcher")
    write({**MINE, **EXPERIMENTS})
    words = ["--config-dir", "mine", "arch=thin", "data=doubled", "optimizer=halved", *SMALL,
             "+experiment=many", "hydra.job.chdir=true", "out=s", f"hydra/launcher={launcher}"]  # fmt: skip
    package = str(Path(cli.__file__).parents[1])
    done = subprocess.run([sys.executable, "-m", "nglab", "run", *words], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": package})  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = runs("s")
    assert [record.config.optimizer.lr for record in records] == [0.05, 0.1]
    for record in records:
        assert record.summary["status"] == "finished" and record.config.optimizer.name == "halved"
        assert (record.folder / "made").exists()
