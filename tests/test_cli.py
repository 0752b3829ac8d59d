import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from omegaconf import DictConfig

from nglab import cli
from nglab.commands import commands
from nglab.errors import InputError
from nglab.optimizers.ngd import NGD
from nglab.runs.config import Config
from nglab.runs.run import columns
from nglab.runs.table import read_run

Runs = list[tuple[Config, Path]]

TINY = ["arch=mlp", "arch.widths=[4,3,4]", "data.train_examples=40", "data.test_examples=10"]


pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Runs are listed instead of trained: seed 13 raises, 14 is bad input, 15 is Ctrl-C."""
    done: Runs = []
    raised = {
        13: ZeroDivisionError("unlucky"),
        14: InputError("no such file"),
        15: KeyboardInterrupt(),
    }

    def run(config: Config, folder: Path, concurrent: bool) -> None:
        (folder / "metrics.csv").touch(exist_ok=False)
        done.append((config, folder))
        if config.seed in raised:
            raise raised[config.seed]

    monkeypatch.setitem(sys.modules, "nglab.runs.run", SimpleNamespace(run=run, columns=columns))
    return done


def nglab(*arguments: str) -> int:
    """The exit status of a command line."""
    try:
        return cli.main(list(arguments))
    except SystemExit as exit:
        return int(exit.code or 0)


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert nglab("--help") == 0
    shown = capsys.readouterr().out
    for command in commands():
        assert f"\n  {command} " in shown
    assert nglab() == 0
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize("command", commands())
def test_every_command_has_a_help_with_examples(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nglab(command, "--help") == 0
    shown = capsys.readouterr().out
    assert f"usage: nglab {command} " in shown
    assert shown.count(f"nglab {command}") >= 2


def test_the_help_of_run_lists_groups_and_keys(capsys: pytest.CaptureFixture[str]) -> None:
    nglab("run", "--help")
    shown = capsys.readouterr().out
    assert "arch: bottleneck, expanding, mlp, mnist_autoencoder, mnist_classifier, square" in shown
    assert "\noptimizer: " in shown and ", ngd, " in shown
    assert "optimizer.batch_size = 1000\n    examples a step, M; a whole number, 1 or more" in shown


@pytest.mark.parametrize(
    ("command", "hint"),
    [("figur1", "did you mean figure1?"), ("zzz", "there are after, batch_size, bench,")],
)
def test_a_mistyped_command(command: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert nglab(command) == 2
    assert capsys.readouterr().err.startswith(f"nglab: {command}: no such command; {hint}")


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = """
import sys
from nglab import cli
cli.main(["--help"]), cli.main(["rnu"]), cli.main(["completion", "bash"])
assert not {"torch", "hydra", "omegaconf", "pandas", "matplotlib", "numpy"} & set(sys.modules)
cli.main(["run", "--cfg", "hydra"]), cli.main(["run", "optimizer.lrr=1"])
assert "hydra" in sys.modules and "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_run_hands_over_the_checked_configuration_and_hydras_folder(runs: Runs) -> None:
    assert nglab("run", "arch=bottleneck", "optimizer.damping.initial=1e-4", "seed=3") == 0
    ((config, folder),) = runs
    assert (config.names["arch"], config.seed) == ("bottleneck", 3)
    assert isinstance(config.optimizer, NGD) and config.optimizer.damping.initial == 1e-4
    assert folder.parent == Path.cwd() / "outputs" / "runs"
    assert (folder / ".hydra" / "overrides.yaml").read_text().split("\n")[2] == "- seed=3"


def test_two_runs_never_share_a_folder(runs: Runs) -> None:
    for _ in range(3):
        assert nglab("run") == 0
    assert nglab("run", "-m", "optimizer=sgd", "optimizer.lr=0.01,0.02", "seed=range(2)") == 0
    folders = [folder for _, folder in runs]
    assert len(set(folders)) == len(folders) == 3 + 4
    assert [folder.name for folder in folders[3:]] == ["0", "1", "2", "3"]
    assert [config.optimizer.lr for config, _ in runs[3:]] == [0.01, 0.01, 0.02, 0.02]


def test_an_existing_result_is_refused(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    assert nglab("run", "hydra.run.dir=mine", "seed=1") == 0
    assert nglab("run", "hydra.run.dir=mine", "seed=2") == 2
    assert f"{Path('mine').absolute()} holds a run already" in capsys.readouterr().err
    assert len(runs) == 1
    assert "seed=1" in Path("mine/.hydra/overrides.yaml").read_text()
    shutil.copytree("mine", "sweep/1")
    assert nglab("run", "-m", "hydra.sweep.dir=sweep", "seed=1,2") == 2
    assert len(runs) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        "optimizer.lrr=0.1",
        "arch=sqare",
        "seed=abc",
        "optimizer.batch_size=20000",
        "seed=1,2",
        "-m seed=1,2,-3",
        "-m arch=square,mlp data=teacher,mnist",
        "-m optimizer=sgd optimizer.samples=1,2",
        "-m seed=1,2 hydra.sweep.subdir=same",
        "-m seed=-1 optimizer.lr=interval(0.1,1)",
        "-m seed=",
        "-m hydra/launcher=nope seed=1,2",
        "hydra.run.dir=${hydra:job.num}",
        "arch=mnist_autoencoder data.root=nowhere",
    ],
)
def test_wrong_input_stops_every_job_before_anything_is_written(
    arguments: str, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nglab("run", *arguments.split()) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("nglab: ")
    assert shown.count("\n") == 1
    assert not runs
    assert not list(Path.cwd().iterdir())


def test_a_folder_that_cannot_be_made(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").touch()
    assert nglab("run", "hydra.run.dir=file/run") == 2
    assert f"{Path('file').absolute()}: Not a directory" in capsys.readouterr().err
    assert not runs


def test_a_job_folder_may_use_hydras_own_settings(runs: Runs) -> None:
    assert nglab("run", "-m", "seed=4,5", "hydra.sweep.subdir=${hydra:job.override_dirname}") == 0
    assert [folder.name for _, folder in runs] == ["seed=4", "seed=5"]


def test_a_folder_of_the_users_own_yaml(runs: Runs) -> None:
    arch = Path("conf/arch/thin.yaml")
    arch.parent.mkdir(parents=True)
    arch.write_text("{name: thin, widths: [5, 1, 5], activation: relu, bias: true}")
    assert nglab("run", "--config-dir", "conf", "arch=thin") == 0
    assert runs[0][0].arch.widths == (5, 1, 5)


def test_a_run_that_raises_is_logged_and_the_rest_of_the_sweep_goes_on(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nglab("run", "-m", "seed=13,1") == 1
    assert [config.seed for config, _ in runs] == [13, 1]
    log = (runs[0][1] / "nglab.log").read_text()
    assert "Traceback" in log and "ZeroDivisionError: unlucky" in log
    shown = capsys.readouterr()
    assert (shown.out + shown.err).count("Traceback") == 1


def test_bad_input_found_by_a_run(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    assert nglab("run", "seed=14") == 2
    assert capsys.readouterr().err == "nglab: no such file\n"


def test_ctrl_c_stops_a_sweep_without_a_traceback(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nglab("run", "-m", "seed=15,1") == 130
    assert len(runs) == 1
    assert capsys.readouterr().err == "nglab: interrupted\n"


@pytest.mark.parametrize("flag", ["--cfg=job", "--info=defaults", "--help"])
def test_what_only_shows_does_not_run(
    flag: str, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nglab("run", flag, "arch=bottleneck") == 0
    assert "bottleneck" in capsys.readouterr().out
    assert nglab("run", flag, "arch=sqare") > 0
    assert not runs
    assert not list(Path.cwd().iterdir())


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[tuple[DictConfig, Path]]:
    asked: list[tuple[DictConfig, Path]] = []

    def figure1(config: DictConfig, folder: Path) -> list[Path]:
        asked.append((config, folder))
        return [folder / "figure1.png"]

    monkeypatch.setitem(
        sys.modules, "nglab.figures.figure1.compute_figure1", SimpleNamespace(figure1=figure1)
    )
    return asked


def test_figure1(
    figures: list[tuple[DictConfig, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert nglab("figure1", "preset=smoke", "panels=A,C", "seeds=2", "out=here") == 0
    ((config, folder),) = figures
    assert (config.panels, config.seeds, folder) == (["A", "C"], 2, Path("here"))
    assert capsys.readouterr().out == f"{Path('here/figure1.png')}\n"
    assert nglab("figure1", "panels=B") == 0
    assert figures[1][0].panels == ["B"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("sedes=3", "did you mean seeds?"),
        ("preset=fast", "preset=fast: no such option; there are default,"),
    ],
)
def test_figure1_refuses_what_it_does_not_know(
    argument: str,
    message: str,
    figures: list[tuple[DictConfig, Path]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert nglab("figure1", argument) == 2
    assert message in capsys.readouterr().err
    assert not figures


def test_race(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Any] = []

    def race(*arguments: Any) -> list[Path]:
        asked.append(arguments)
        return [Path("race.md")]

    module = SimpleNamespace(race=race)
    monkeypatch.setitem(sys.modules, "nglab.figures.race.compute_race", module)
    Path("mine").mkdir()
    assert nglab("race", "preset=smoke", "methods=sgd,mine", "problems=A,C", "seeds=2", "out=here",
                 "beside=a.csv", "hydra/launcher=joblib", "--config-dir", "mine") == 0  # fmt: skip
    ((config, folder, words, config_dir),) = asked
    assert (config.methods, config.problems, config.seeds) == (["sgd", "mine"], ["A", "C"], 2)
    assert config.problem.A.passes == 2 and config.beside == ["a.csv"]
    assert (folder, words, config_dir) == (Path("here"), ["hydra/launcher=joblib"], "mine")
    assert capsys.readouterr().out == "race.md\n"
    assert nglab("race") == 0
    assert asked[1][1:] == (Path("outputs/race/default"), [], None)


def test_data_mnist(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fetch: Callable[[Path | None], Path] = lambda root: root or Path("cache")  # noqa: E731
    monkeypatch.setitem(sys.modules, "nglab.data.mnist_files", SimpleNamespace(fetch=fetch))
    assert nglab("data", "mnist") == 0
    assert nglab("data", "mnist", "data.root=mine") == 0
    assert capsys.readouterr().out.split() == ["cache", "mine"]
    assert nglab("data", "mnist", "root=mine") == 2
    assert nglab("data", "cifar") == 2


def test_from_a_sweep_to_its_table_and_its_picture(capsys: pytest.CaptureFixture[str]) -> None:
    sweep = ["hydra.sweep.dir=outputs/sweep", "train.passes=2", "optimizer.batch_size=20"]
    assert nglab("run", "-m", *TINY, "optimizer=sgd,ngd", *sweep) == 0
    assert nglab("run", *TINY, "optimizer=sgd", *sweep[1:], "hydra.run.dir=again") == 0
    first, again = read_run(Path("outputs/sweep/0")), read_run(Path("again"))
    clock = "train_seconds"
    pd.testing.assert_frame_equal(
        first.metrics.drop(columns=clock), again.metrics.drop(columns=clock)
    )
    capsys.readouterr()

    assert nglab("list") == 0
    assert capsys.readouterr().out.count("finished") == 2
    assert nglab("collect", "outputs", "--out", "runs.csv") == 0
    assert list(pd.read_csv("runs.csv")["optimizer.name"]) == ["sgd", "ngd"]
    assert nglab("plot", "outputs/sweep", "--out", "pictures") == 0
    files = [Path(line) for line in capsys.readouterr().out.split("\n") if line]
    assert files and all(file.stat().st_size for file in files)


@pytest.mark.parametrize("command", ["plot", "collect", "list", "report"])
def test_a_folder_without_runs(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    for folder in ("empty", "missing"):
        assert nglab(command, folder) == 2
        assert capsys.readouterr().err.startswith(f"nglab: {folder} ")


@pytest.mark.skipif(shutil.which("bash") is None, reason="completes in bash")
def test_completion_in_bash(capsys: pytest.CaptureFixture[str]) -> None:
    assert nglab("completion", "bash") == 0
    script = f"""
nglab() {{ {sys.executable} -m nglab "$@"; }}
{capsys.readouterr().out}
complete_line() {{
  COMP_LINE=$1 COMP_POINT=${{#1}} COMP_WORDS=($1) COMP_CWORD=$2
  _nglab
  echo "${{COMPREPLY[*]}}"
}}
complete_line "nglab pl" 1
complete_line "nglab run -m arch=sq" 3
complete_line "nglab run optimizer.l" 2
"""
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split("\n") == ["plot", "square", "optimizer.lr=", ""]


@pytest.mark.parametrize("environment", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["", "unbuffered"])
@pytest.mark.parametrize("metrics", ["", "step,examples_seen,train_seconds,test_loss\n"])
def test_who_reads_may_stop_reading(metrics: str, environment: dict[str, str], runs: Runs) -> None:
    """Where no run is whole too."""
    for seed in range(3):
        Path(f"outputs/runs/{seed}").mkdir(parents=True)
        Path(f"outputs/runs/{seed}/metrics.csv").write_text(metrics)
    command = [sys.executable, "-m", "nglab", "list"]
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=plain | environment
    )
    assert process.stdout is not None
    process.stdout.close()
    said = process.communicate()[1]
    assert b"Traceback" not in said and b"BrokenPipe" not in said and process.returncode == 0
