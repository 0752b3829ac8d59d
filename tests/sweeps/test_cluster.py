"""Stacks as jobs of a cluster: of submitit's stand-in for one, and of a Slurm of this machine where it is installed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from nglab import cli
from nglab.errors import InputError
from nglab.runs.config import check
from nglab.runs.run import run_together
from nglab.runs.table import read_run
from nglab.settings.building import value_of
from nglab.settings.composing import compose, conf_dir
from nglab.sweeps import cluster
from nglab.sweeps import slurm as slurm_module
from nglab.sweeps.cluster import Cluster, Submitted, new_place, noted
from nglab.sweeps.outcomes import done, error_of
from nglab.sweeps.slurm import Slurm, check_tools, queue

pytest.importorskip("submitit")

ROOT = conf_dir().parent
SMALL = ["arch=mlp", "arch.widths=[5,4,3]", "data.train_examples=90", "data.test_examples=20",
         "optimizer=sgd", "optimizer.batch_size=20"]  # fmt: skip
STACKED = ["hydra/launcher=stacked", "hydra.sweep.dir=there"]
ASKED = {
    **dict.fromkeys(("partition", "gpus_per_node", "mem_gb", "account", "qos", "constraint",
                     "setup", "additional_parameters")),
    "timeout_min": 5, "cpus_per_task": 2, "signal_delay_s": 60, "max_num_timeout": 9,
}  # fmt: skip


@pytest.fixture(autouse=True)
def elsewhere(in_process, monkeypatch):
    """An empty folder, and for the processes that are started one thread, no GPU and this package."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def rows(folder):
    columns = read_run(Path(folder)).columns
    return {name: numbers for name, numbers in columns.items() if name != "train_seconds"}


def train_here(sweep, *seeds):
    """The rows of a stack that is trained in this process, undisturbed."""
    configs = [check(compose([*SMALL, *sweep, f"seed={seed}"])) for seed in seeds]
    folders = [Path(f"here/{'_'.join(sweep)}/{seed}") for seed in seeds]
    run_together(configs, folders, progress=False)
    return list(map(rows, folders))


def test_stacks_are_handed_over_once_and_leave_what_they_find(monkeypatch, capsys):
    """Two jobs ask for a GPU, which their node lacks: each leaves a result that says so, and the others are trained."""
    sweep = [*SMALL, *STACKED, "train.passes=3", "hydra.launcher.on=submitit_local", "seed=0,1"]
    assert cli.main(["run", "-m", "device=cpu,cuda", *sweep]) == 2
    said = "".join(capsys.readouterr())
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("nglab: device=cuda: must be auto or cpu")
    assert f"#2, #3 {Path('there/2').absolute()}: device=cuda: must be" in said
    runs = [read_run(Path(f"there/{number}")) for number in range(4)]
    assert [one.summary["status"] for one in runs] == ["finished"] * 2 + ["failed"] * 2
    assert (
        runs[2].summary["note"].startswith("device=cuda: must be") and not runs[2].columns["step"]
    )
    assert all(one.summary["stacked"] == 2 and one.summary["concurrent"] for one in runs[:2])
    assert [rows("there/0"), rows("there/1")] == train_here(["train.passes=3", "device=cpu"], 0, 1)
    assert cli.main(["list", "there"]) == 0
    assert capsys.readouterr().out.count("failed (device=cuda: must be") == 2

    monkeypatch.setattr(Cluster, "hand_over", None)
    before = {path: path.stat().st_mtime_ns for path in Path("there").glob("[01]/**/*")}
    assert cli.main(["run", "-m", "device=cpu", *sweep]) == 0
    assert "2 of 2 jobs are finished already" in "".join(capsys.readouterr())
    assert {path: path.stat().st_mtime_ns for path in Path("there").glob("[01]/**/*")} == before


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Commands of Slurm that do what they are told to."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def make(**does):
        for name, text in does.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)

    make(srun="", sbatch="", squeue="")
    return make


def test_what_is_asked_of_slurm(commands):
    import submitit

    asks = {**ASKED, "partition": "long", "mem_gb": 1.5, "setup": ["module load python"],
            "additional_parameters": {"gres": "gpu:a100:1"}}  # fmt: skip
    executor = submitit.AutoExecutor("there/%j", cluster="slurm")
    settings = value_of(Slurm, asks, "hydra.launcher.slurm")
    executor.update_parameters(**settings.parameters(at_most=3))
    text = executor._executor._make_submission_file_text("work", "")
    for line in ("--partition=long", "--time=5", "--cpus-per-task=2", "--mem=1536MB", "--requeue",
                 "--signal=USR2@60", "--gres=gpu:a100:1"):  # fmt: skip
        assert f"\n#SBATCH {line}\n" in text
    assert "\nmodule load python\n" in text and "--cpus-per-task=2 work" in text
    assert "gpus" not in text and "account" not in text


def test_the_queue_is_read_without_accounting(commands):
    commands(squeue="echo '17_0|RUNNING'; echo '17_1|PENDING'; echo '18|COMPLETING'")
    assert queue() == {"17_0": "RUNNING", "17_1": "PENDING", "18": "COMPLETING"}
    commands(squeue="echo slurm_load_jobs error: no controller >&2; exit 1")
    with pytest.raises(InputError, match="Slurm does not answer: slurm_load_jobs error: no contr"):
        queue()


def test_what_it_takes_must_be_on_the_machine(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "sbatch" else name)
    with pytest.raises(InputError, match=r"hydra.launcher.on=slurm: this machine has no sbatch: "):
        check_tools("slurm")
    check_tools("submitit_local")
    monkeypatch.setattr(slurm_module, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"on=submitit_local: needs submitit: pip install"):
        check_tools("submitit_local")


def job_there(number, folder):
    """A job of a sweep, as far as waiting needs it."""
    folder.mkdir(exist_ok=True)
    return SimpleNamespace(number=number, folder=folder, overrides=(f"seed={number}",))


def submitted(place, jobs, bring=None):
    """A stack that a cluster has, and whose result, once there is a file for it, is what `bring` does."""
    place.mkdir(exist_ok=True)
    paths = SimpleNamespace(folder=place, result_pickle=place / "17.pkl", stderr=place / "17.err")
    job = SimpleNamespace(job_id="17", paths=paths, result=bring)
    return Submitted(job, [str(one.folder) for one in jobs], jobs, steps=100)


def test_a_job_that_leaves_the_queue_without_a_result_has_failed(tmp_path, monkeypatch):
    stack = submitted(tmp_path / "logs", [job_there(n, tmp_path / str(n)) for n in range(2)])
    for state in ("PENDING", "RUNNING", "COMPLETING"):
        stack.look({"17": state})
        assert (stack.state, stack.results) == (state, None)
    stack.look({})
    assert stack.results is None  # folders that nodes share lag
    monkeypatch.setattr(cluster, "PATIENCE_SECONDS", 0)
    stack.look({"17": "PENDING"})  # put into the queue again
    stack.look({})
    assert stack.results is None
    stack.look({})
    assert [str(error_of(result)) for result in stack.results] == [
        f"the cluster's job 17 ended without a result: its log is {tmp_path}/logs/17.err:"
        " the same again goes on"
    ] * 2


def test_results_are_found_by_their_folders(tmp_path):
    """An earlier command may have handed over more than this one asks for, and in another order."""
    first, second = (job_there(n, tmp_path / str(n)) for n in range(2))
    brings = [done(), done()]
    stack = submitted(tmp_path / "logs", [first, second], lambda: brings)
    stack.jobs = [second]
    stack.job.paths.result_pickle.touch()
    stack.look({})
    assert stack.results[0] is brings[1] and len(stack.results) == 1


def test_how_far_a_stack_is_say_the_rows_of_its_first_run_that_goes_on(tmp_path):
    jobs = [job_there(n, tmp_path / str(n)) for n in range(2)]
    stack = submitted(tmp_path / "logs", jobs)
    assert stack.steps_taken() == 0
    for job, steps in zip(jobs, (30, 40), strict=True):
        header = "step,examples_seen,train_seconds,test_loss"
        (job.folder / "metrics.csv").write_text(f"{header}\n0,0,0,1\n{steps},9,9,1\n")
    assert stack.steps_taken() == 30
    (jobs[0].folder / "summary.json").write_text('{"status": "diverged"}')
    assert stack.steps_taken() == 40
    (jobs[1].folder / "summary.json").write_text('{"status": "interrupted"}')  # by its time limit
    assert stack.steps_taken() == 40
    stack.results = []
    assert stack.steps_taken() == 100


def test_stacks_that_are_in_the_queue_still_are_waited_for(commands, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "steps_in", lambda job: 100)
    jobs = [job_there(n, tmp_path / str(n)) for n in range(5)]
    place = new_place(tmp_path)
    place.mkdir(parents=True)
    notes = {"16_0": jobs[:2], "17_0": jobs[2:4], "17_1": jobs[4:]}
    (place / "stacks.json").write_text(
        json.dumps({number: [str(job.folder) for job in there] for number, there in notes.items()})
    )
    commands(squeue="echo '17_0|RUNNING'; echo '17_1|PENDING'; echo '99|RUNNING'")
    there = Cluster("slurm", value_of(Slurm, ASKED, "hydra.launcher.slurm"), None)
    assert there.under_way(jobs[:4], tmp_path) == [jobs[2:4]]
    assert there.has[0].job.job_id == "17_0" and there.in_words().startswith("0 of 1 stacks over")
    assert there.under_way([], tmp_path) == [] == there.has
    assert new_place(tmp_path) != place


SLURM = ROOT / "scripts" / "one_machine_slurm.sh"
DAEMONS = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"


@pytest.fixture
def slurm(monkeypatch):
    """A Slurm of this machine, with two CPUs to give away; skips where there is none or it does not start."""
    if missing := [name for name in ("munged", "slurmctld", "slurmd", "sbatch")
                   if not shutil.which(name, path=DAEMONS)]:  # fmt: skip
        pytest.skip(f"needs Slurm: {', '.join(missing)} not installed ({SLURM.name} install)")
    folder = Path(tempfile.mkdtemp(prefix="slurm.", dir="/tmp"))  # sockets have short names
    try:
        with (folder / "said").open("w") as said:
            start = [SLURM, "start", folder, "2"]
            started = subprocess.run(start, stdout=said, stderr=said, timeout=120)
        if started.returncode:
            pytest.skip(f"Slurm does not start here: {(folder / 'said').read_text()[-500:]}")
        monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        yield
        subprocess.run([SLURM, "stop", folder], timeout=120)
    finally:
        shutil.rmtree(folder)


def until(condition, started, seconds=120):
    """Wait for it; what a command that ends meanwhile has said is shown."""
    for _ in range(50 * seconds):
        if found := condition():
            return found
        assert started.poll() is None, started.communicate()[0]
        time.sleep(0.02)
    raise AssertionError("not in time")


def training(folders):
    """The first of these that has rows."""
    for folder in folders:
        file = Path(folder) / "metrics.csv"
        if file.exists() and file.read_text().count("\n") > 2:
            return folder
    return None


def freeze(task):
    """Stop the process of a stack, which else would go on until Slurm kills it, seconds after it has told it to end."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            environment = (process / "environ").read_bytes().split(b"\0")
            if (
                f"SLURM_ARRAY_TASK_ID={task}".encode() in environment
                and f"SLURM_CONF={os.environ['SLURM_CONF']}".encode() in environment
                and (process / "comm").read_text().startswith("python")
            ):
                os.kill(int(process.name), signal.SIGSTOP)


def start(*words):
    command = [sys.executable, "-m", "nglab", "run", "-m", *SMALL, *words]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=Path.cwd()
    )


def test_a_stack_goes_on_where_slurm_or_the_user_stopped_it(slurm):
    """One stack is put into the queue again, one is cancelled: the same command again trains what is left of it."""
    long = ["train.passes=30000", "train.eval_every_examples=30000"]
    sweep = [*long, "arch.bias=true,false", "seed=0,1", *STACKED, "hydra.launcher.on=slurm"]
    first = start(*sweep)
    stacks = {"there/0": "0", "there/2": "1"}  # the folder with the state, and which of the jobs
    stopped = {}
    for way in (["scontrol", "requeue"], ["scancel"]):
        folder = until(lambda: training(stacks), first)
        task = stacks.pop(folder)
        (array,) = {number.partition("_")[0] for _, number, _ in noted(Path("there"))}
        subprocess.run([*way, f"{array}_{task}"], check=True)
        until(Path(folder, "checkpoint.pt").exists, first)
        freeze(task)
        stopped[way[-1]] = folder, f"{array}_{task}"
    said, _ = first.communicate(timeout=120)
    (requeued, _), (cancelled, number) = stopped.values()
    assert first.returncode == 1 and "Traceback" not in said, said
    assert f"the cluster's job {number} ended without a result" in said
    assert "going on from step" in Path(requeued, "nglab.log").read_text()
    assert read_run(Path(requeued)).summary["status"] == "finished"
    assert read_run(Path(cancelled)).summary["status"] == "unfinished"
    again = start(*sweep)
    said, _ = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert "2 of 4 jobs are finished already" in said and "1 stacks handed to slurm" in said
    assert "going on from step" in Path(cancelled, "nglab.log").read_text()
    for bias, numbers in (("true", (0, 1)), ("false", (2, 3))):
        undisturbed = train_here([*long, f"arch.bias={bias}"], 0, 1)
        assert [rows(f"there/{n}") for n in numbers] == undisturbed
