"""What is refused, and how: a table of wrong input, then random command lines over damaged folders."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from types import ModuleType

import pytest

from nglab import cli
from nglab.settings.composing import conf_dir

TINY = "arch=mlp arch.widths=[4,3,4] data.train_examples=40 data.test_examples=10 optimizer.batch_size=20 device=cpu"
LONG = "x" * 300
HEAD = "# @package _global_\n"
EXPERIMENTS = {
    "plain": "seed: 7",
    "params": "hydra: {sweeper: {params: {seed: '1,2', optimizer.lr: '0.1,0.2'}}}\ninit: {gain: 0.9}",
    "stacked": "defaults: [override /optimizer: sgd, override /hydra/launcher: stacked]\ninit: {gain: 0.9}",
}


@pytest.fixture(scope="module")
def fuzz() -> Iterator[ModuleType]:
    folder = str(conf_dir().parent / "scripts")
    sys.path.insert(0, folder)
    import fuzz

    yield fuzz
    sys.path.remove(folder)


@pytest.fixture(scope="module")
def standing(fuzz: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that are finished, one stopped, a sweep, a file, a dangling link, files of experiments."""
    folder: Path = tmp_path_factory.mktemp("refusals") / "standing"
    fuzz.build(folder)
    (folder / "mine" / "experiment").mkdir()
    for name, text in EXPERIMENTS.items():
        (folder / "mine" / "experiment" / f"{name}.yaml").write_text(HEAD + text)
    shutil.copytree(folder / "mine" / "experiment", folder / "mine" / "setting")
    return folder


@pytest.fixture
def there(standing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `standing`, the working folder of the command."""
    shutil.copytree(standing, tmp_path / "there", symlinks=True)
    monkeypatch.chdir(tmp_path / "there")
    return tmp_path / "there"


REFUSED = {
    # outputs
    "figure1 out=/proc/x": "out: /proc/x cannot be made: /proc: ",
    "figure1 out=file": "file: Not a directory",
    "race preset=smoke out=file/x": "file: Not a directory",
    "claims out=file": "file: Not a directory",
    "after out=file": "file: Not a directory",
    "gain panels=A out=file": "file: Not a directory",
    "batch_size panels=A out=file": "file: Not a directory",
    "figure2 out=link": "link: No such file or directory",
    "bench out=/proc/x": "out: /proc/x cannot be made",
    "plot runs/0 out=/proc/x": "out: /proc/x cannot be made",
    "plot runs/0 --out file": "file: Not a directory",
    "collect runs out=file/x.csv": "file: Not a directory",
    "collect runs --out /proc/x.csv": "out: /proc: ",
    "collect runs out=runs": "out: runs is a folder, not a file",
    "collect runs/0 out=runs/0/metrics.csv": "lies in the folder of a run",
    "collect runs/0 out=runs/0/new.csv": "lies in the folder of a run",
    "collect runs/0 out=runs/0/.hydra/config.yaml": "lies in the folder of a run",
    f"collect runs out={LONG}": "File name too long",
    "report runs out=file/x.html": "file: Not a directory",
    "report runs out=runs/0/report.html": "lies in the folder of a run",
    "report runs out=runs": "out: runs is a folder, not a file",
    "report runs target=-1": "target=-1: must be a test loss, above 0",
    "export runs to=csv out=runs": "out: runs holds something already",
    "export runs to=csv out=runs/0/new": "lies in the folder of a run",
    "export runs to=csv out=file": "file: Not a directory",
    "export runs to=tensorbord": "did you mean tensorboard?",
    "export runs out=new": "to is missing: must be to=csv",
    f"run {TINY} out={LONG}": "File name too long",
    f"run {TINY} out=new/{LONG}/run": "File name too long",
    f"run {TINY} out=link": "link: No such file or directory",
    f"run {TINY} out=file": "file: Not a directory",
    f"run {TINY} out=": "hydra.run.dir=: must be a folder; the current one is .",
    f"run {TINY} hydra.run.dir=": "hydra.run.dir=: must be a folder; the current one is .",
    f"run -m {TINY} hydra.sweep.dir=": "hydra.sweep.dir=: must be a folder",
    f"run -m {TINY} hydra.sweep.subdir=": "hydra.sweep.subdir=: must be a folder",
    # sweeps
    f"run -m {TINY} seed=range(0,0)": "seed=range(0,0): no value; a sweep needs one or more",
    f"run -m {TINY} optimizer=glob(x*)": "optimizer=glob(x*): no value",
    f"run -m {TINY} optimizer.lr=interval(0.1,1)": "optimizer.lr=interval(0.1,1): Hydra's own sweeper draws from no",
    f"run -m {TINY} hydra/launcher=stacked hydra/launcher=sequential": "hydra/launcher=stacked is named already",
    f"run -m {TINY} hydra/launcher=[joblib,stacked]": "hydra/launcher=[joblib,stacked]: several options: give one",
    f"run -m {TINY} hydra/launcher=sequential,stacked": "hydra/launcher=sequential,stacked: several options: give",
    f"run -m {TINY} hydra/launcher=stacked hydra.launcher.on=moon": "on=moon: must be one of local, slurm, subm",
    f"run -m {TINY} hydra/launcher=stacked hydra.launcher.slurm.timeout_min=0": "slurm.timeout_min=0: must be a whole",
    f"run -m {TINY} hydra/launcher=stacked hydra.launcher.slurm.time=1": "hydra.launcher.slurm.time: no such key",
    f"run -m {TINY} hydra/launcher=stacked +hydra.launcher.slurm.time=1": "hydra.launcher.slurm.time: no such key",
    f"run -m {TINY} hydra/launcher=stacked hydra.launcher.slurm.setup=a": "slurm.setup=a: must be a list of",
    "race hydra/launcher=stacked --hydra/launcher=basic": "hydra/launcher=stacked is given already",
    "race out=${hydra:job.num}": "out=None: must be a folder",
    "bench ++out=1e400": "out=inf: must be a folder",
    "list runs out=x": "out: no such key",
    "list runs where=lrr<1": "lrr: no such column; did you mean lr?",
    "list runs --where lr==1": "where=lr==1: must be KEY<VALUE",
    "list runs sort=los": "los: no such column; did you mean loss?",
    "list runs columns=status,los": "los: no such column; did you mean loss?",
    "list runs watch=soon": "watch=soon: must be a number of seconds",
    "collect runs out=a.csv --out b.csv": "out=a.csv is given already",
    f"run -m {TINY} hydra/launcher=stacked hydra.launcher.processes=1.5": "processes=1.5: must be a whole",
    f"run -m {TINY} hydra/launcher=stacked hydra.launcher.memory_gib=0": "memory_gib=0: must be a number",
    f"run -m {TINY} hydra/launcher=stacked hydra.launcher.memory_gib=a": "memory_gib=a: must be a number",
    f"run -m {TINY} hydra/launcher=stacked hydra.launcher.alone=3": "hydra.launcher.alone=3: must be true or false",
    f"run -m {TINY} --config-dir mine +experiment=plain,stacked": "hydra/launcher=stacked: must be hydra",
    # messages
    "run --cfg job optimizer.lr=-1": "optimizer.lr=-1: must be a number, above 0",
    "run --cfg job -p nope": "--package=nope: no such part",
    f"run {TINY} hydra.run.dir=r/epoch=3": """quoted: 'hydra.run.dir="r/epoch=3"'""",
    f"run {TINY} hydra.run.dir=été/#": """quoted: 'hydra.run.dir="été/#"'""",
    f"run {TINY} train.passes=inf": "train.passes=inf: must be a number, above 0 and finite",
    f"run {TINY} arch.widths=[[20],20]": "arch.widths=[[20], 20]: must be a list of whole numbers",
    f"run {TINY} seed=${{nope}}": "seed: Interpolation key 'nope' not found",
    f"run -m {TINY} optimizer.lr=${{nope}} seed=0,1": "optimizer.lr: Interpolation key 'nope' not found",
    "run --config-dir nosuch": "--config-dir=nosuch: there is no such folder",
    "run --resolve": "--resolve: only with --cfg or --help",
    f"run {TINY} --config-dir mine setting=plain": "to add it, +setting=plain",
    f"run {TINY} experiment=x": "experiment=x: no such option; there are rates",
    f"run -m {TINY} --config-dir mine experiment=plain,params": "hydra.sweeper=",
    f"run {TINY} preset=smoke": "preset: no such key",
    f"run {TINY} hydra.verbose=1.5": "Hydra refuses the command line: AssertionError",
    f"run {TINY} optimizer/schedule=[4,4]": "Hydra refuses the command line: TypeError",
    "figure1 seeds=1.5": "seeds=1.5: must be a whole number",
    "figure1 panels=": "panels=: must be panels=VALUE, some of A,B,C,D",
    "figure1 panels=[]": "panels=[]: must be one or more",
    "figure1 panels=[[A]]": "panels=['A']: must be one of A, B, C, D",
    "figure1 panel.A.rates=[]": "panel.A.rates=[]: must be one or more numbers above 0",
    "figure1 panel.A.rates=[0,1]": "panel.A.rates=[0.0, 1.0]: must be one or more numbers above 0",
    "figure1 panel=3": "panel=3: must be groups of keys by name",
    "figure1 presets=smoke": "presets: no such key; did you mean preset?",
    "race presets=smoke": "presets: no such key; did you mean preset?",
    "race seeds=1.5": "seeds=1.5: must be a whole number",
    "race methods=[[sgd]]": "methods=['sgd']: must be a list of names",
    "run arch=mnist_autoencoder data.root=nowhere": "`nglab data mnist data.root=nowhere` fetches it again",
}  # fmt: skip


@pytest.mark.parametrize("line", REFUSED)
def test_refused_before_any_work_and_nothing_changes(
    line: str, there: Path, fuzz: ModuleType
) -> None:
    before = fuzz.tree(there)
    seen = fuzz.obey(shlex.split(line))
    assert not seen.raised and "Traceback" not in seen.shown
    assert seen.status == 2 and not seen.worked
    last = seen.shown.splitlines()[-1]
    assert last.startswith("nglab: ") and REFUSED[line] in last
    assert fuzz.tree(there) == before


@pytest.mark.parametrize("folder", ["r/epoch=3", "été/#", "with space, and (this)"])
def test_a_folder_may_have_any_name(folder: str, there: Path, fuzz: ModuleType) -> None:
    seen = fuzz.obey(["run", *TINY.split(), "train.passes=1", f"out={folder}"])
    assert seen.status == 0 and Path(folder, "summary.json").exists()


def test_a_sweep_over_all_that_there_is(there: Path, fuzz: ModuleType) -> None:
    words = ["-m", "device=cpu", "optimizer=glob(*)", "train.passes=0.2", "out=all"]
    seen = fuzz.obey(["run", *words])
    assert seen.status == 0 and len(seen.worked) == len(list(Path("all").glob("*/run.json"))) > 20


def test_a_file_of_an_experiment_may_hold_the_sweep(there: Path, fuzz: ModuleType) -> None:
    words = ["run", "-m", *TINY.split(), "--config-dir", "mine", "+experiment=params", "out=s"]
    assert len(fuzz.obey(words).worked) == 4
    again = fuzz.obey(words)
    assert again.status == 0 and not again.worked
    assert "4 of 4 jobs are finished already" in again.shown


def test_a_file_of_an_experiment_may_choose_the_launcher(there: Path, fuzz: ModuleType) -> None:
    words = ["--config-dir", "mine", "+experiment=stacked", "seed=0,1", "out=s"]
    seen = fuzz.obey(["run", "-m", *TINY.split(), *words])
    assert seen.status == 0 and "2 jobs trained as one" in seen.shown


def test_what_points_elsewhere_is_resolved_in_its_job(there: Path, fuzz: ModuleType) -> None:
    words = ["optimizer.lr=${init.gain}", "init.gain=0.1,0.2", "out=s"]
    assert fuzz.obey(["run", "-m", *TINY.split(), *words]).status == 0
    assert all(f'"lr": 0.{i + 1}' in Path(f"s/{i}/run.json").read_text() for i in range(2))


def test_a_csv_is_written_whole_into_a_folder_that_is_made(there: Path, fuzz: ModuleType) -> None:
    assert fuzz.obey(["collect", "runs/0", "runs/1", "out=new/table.csv"]).status == 0
    assert Path("new/table.csv").read_text().count("\n") == 3
    assert [file.name for file in Path("new").iterdir()] == ["table.csv"]


def test_a_full_disk_is_named(there: Path, fuzz: ModuleType) -> None:
    seen = fuzz.obey(["collect", "runs/0", "out=/dev/full"])
    assert (seen.status, seen.shown) == (1, "nglab: No space left on device\n")


def test_before_any_run(tmp_path: Path, fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen = fuzz.obey(["list"])
    assert seen.status == 0 and seen.shown.startswith("no runs yet")


def test_a_wrong_configuration_is_shown_before_it_is_refused(there: Path, fuzz: ModuleType) -> None:
    shown = StringIO()
    with fuzz.undisturbed(), redirect_stdout(shown):
        assert cli.main(["run", "--cfg", "job", "optimizer.lr=-1"]) == 2
    assert "\n  lr: -1\n" in shown.getvalue()


def test_the_help_of_run_lists_the_groups_of_a_run_alone(there: Path, fuzz: ModuleType) -> None:
    shown = fuzz.obey(["run", "--help"]).shown
    assert "\nlikelihood: " in shown and "figure1:" not in shown and "race:" not in shown


def test_who_reads_may_stop_at_the_first_line(there: Path, fuzz: ModuleType) -> None:
    for i in range(70):  # more than a pipe holds
        shutil.copytree("runs/0", f"many/{i}")
    reading, writing = os.pipe()
    said = StringIO()
    with os.fdopen(writing, "w", closefd=False) as out:
        os.close(reading)
        with fuzz.undisturbed(), redirect_stdout(out), redirect_stderr(said):
            assert cli.main(["collect", "many"]) == 0
    os.close(writing)
    assert said.getvalue() == ""


def test_a_terminal_without_the_letters_shows_question_marks(there: Path, fuzz: ModuleType) -> None:
    shutil.copytree("runs/0", "some/été")
    out = TextIOWrapper(BytesIO(), encoding="ascii")
    with fuzz.undisturbed(), redirect_stdout(out):
        assert cli.main(["list", "some"]) == 0
    assert b"?t?" in out.buffer.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("numbers", [range(0, 30), range(30, 60)], ids=str)
def test_random_command_lines(numbers: range, standing: Path, fuzz: ModuleType) -> None:
    """`python scripts/fuzz.py 1000` is the whole of it."""
    for number in numbers:
        words, seen, faults = fuzz.case(number, standing)
        assert not faults, (number, shlex.join(words), faults, seen.raised or seen.shown)
