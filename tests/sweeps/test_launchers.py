"""Sweeps, whole commands: stacked, split, repeated, interrupted."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from pytest import approx

from nglab import cli
from nglab.errors import InputError
from nglab.plotting.loss_axis import seconds_label
from nglab.runs import config as config_module
from nglab.runs import run as run_module
from nglab.runs.config import check
from nglab.runs.table import find_runs, read_run
from nglab.sweeps import job as job_module
from nglab.sweeps.application import in_a_line
from nglab.sweeps.job import HERE, RunFailed
from nglab.training.loop import train

SMALL = ["arch=mlp", "arch.widths=[5,4,3]", "data.train_examples=90", "data.test_examples=20",
         "optimizer.batch_size=20", "train.passes=3"]  # fmt: skip
LINEAR = ["arch.activation=identity", "arch.bias=false"]
STACKED = ["hydra/launcher=stacked", "hydra.sweep.dir=together"]


@pytest.fixture(autouse=True)
def elsewhere(in_process, monkeypatch):
    """In one process, with one core."""
    monkeypatch.setattr("nglab.sweeps.workers.available_cores", lambda: 1)


@pytest.fixture
def stacks(monkeypatch):
    """The sizes of the stacks that are trained."""
    sizes = []
    original = run_module.run_together

    def counted(configs, *rest, **more):
        sizes.append(len(configs))
        return original(configs, *rest, **more)

    monkeypatch.setattr(run_module, "run_together", counted)
    return sizes


def nglab(*arguments):
    flags = [a for a in arguments if a.startswith("-")]
    try:
        return cli.main(["run", *flags, *SMALL, *(a for a in arguments if a not in flags)])
    except SystemExit as exit:
        return int(exit.code or 0)


def assert_same_run(one, other):
    """The same record but for its clock and its place."""
    one, other = Path(one), Path(other)
    names = {str(p.relative_to(one)) for p in one.rglob("*")}
    assert names == {str(p.relative_to(other)) for p in other.rglob("*")}
    for name in ("config.yaml", "overrides.yaml"):
        assert (one / ".hydra" / name).read_text() == (other / ".hydra" / name).read_text()
    a, b = read_run(one), read_run(other)
    pd.testing.assert_frame_equal(
        a.metrics.drop(columns="train_seconds"), b.metrics.drop(columns="train_seconds"), rtol=1e-9
    )
    assert a.summary.keys() == b.summary.keys()
    for key in a.summary.keys() - {"train_seconds", "seconds_to_floor", "stacked", "concurrent"}:
        value = b.summary[key]
        assert a.summary[key] == (approx(value, rel=1e-9) if type(value) is float else value), key
    assert len((one / "nglab.log").read_text()) > 0
    assert (one / "loss.png").stat().st_size > 1000


@pytest.mark.parametrize(
    "sweep",
    [
        ["optimizer=sgd", "optimizer.lr=0.05,0.2", "seed=0,1"],
        [
            "optimizer=ngd",
            "optimizer.damping.initial=0.1,1e-4",
            "init.gain=1,1.2",
            "arch.bias=true",
        ],
        ["optimizer=sgd", "data.noise_variance=0.1,1e-3", "data.spectrum_decay=1,5"],
    ],
    ids=["sgd", "ngd", "data"],
)
def test_stacked_jobs_leave_what_they_leave_alone(sweep, stacks):
    assert nglab("-m", *sweep, *STACKED) == 0
    assert stacks == [4]
    assert nglab("-m", *sweep, "hydra.sweep.dir=alone") == 0
    assert stacks == [4, 1, 1, 1, 1]
    for i in range(4):
        assert_same_run(f"together/{i}", f"alone/{i}")
        summary = read_run(Path(f"together/{i}")).summary
        assert summary["status"] == "finished" and summary["stacked"] == 4
        log = Path(f"together/{i}/nglab.log").read_text()
        assert log.count("finished: ") == 1 and log.endswith(f"together/{i}\n")


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_stacks_are_trained_in_processes():
    sweep = ["optimizer=sgd", "optimizer.lr=0.05,1e3", "seed=0,1", "arch.bias=true,false"]
    assert nglab("-m", *STACKED, *sweep, "hydra.launcher.processes=2") == 0
    assert nglab("-m", *sweep, "hydra.sweep.dir=alone") == 0
    for i in range(8):
        assert_same_run(f"together/{i}", f"alone/{i}")
        summary = read_run(Path(f"together/{i}")).summary
        assert summary["concurrent"] and summary["stacked"] == 2


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
@pytest.mark.parametrize("alone", [True, False])
def test_what_cannot_be_stacked_is_trained_alone_or_beside_others(alone):
    sweep = ["optimizer=sgd", "optimizer.batch_size=10,20", "hydra.launcher.processes=2"]
    assert nglab("-m", *STACKED, *sweep, f"hydra.launcher.alone={alone}") == 0
    summaries = [read_run(Path(f"together/{i}")).summary for i in range(2)]
    assert [(s["stacked"], s["concurrent"]) for s in summaries] == [(1, not alone)] * 2


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_what_a_process_raises_ends_the_sweep_and_what_is_done_stays(monkeypatch, capsys):
    original = run_module.run_together

    def failing(configs, *rest, **more):
        if configs[0].arch.bias:
            raise ValueError("no such luck")
        return original(configs, *rest, **more)

    monkeypatch.setattr(run_module, "run_together", failing)
    assert nglab("-m", *STACKED, "optimizer=sgd", "seed=range(4)", "arch.bias=true,false",
                 "hydra.launcher.processes=2") == 1  # fmt: skip
    assert "ValueError: no such luck" in capsys.readouterr().err
    statuses = [read_run(folder).summary["status"] for folder in find_runs([Path("together")])]
    assert statuses == ["finished"] * 4


def test_mixed_jobs_are_grouped(stacks):
    sweep = ["optimizer=sgd,ngd,ngd_exact", "optimizer.lr=0.05,0.1", *LINEAR]
    assert nglab("-m", *sweep, *STACKED) == 0
    assert stacks == [2, 2, 1, 1]
    assert nglab("-m", *sweep, "hydra.sweep.dir=alone") == 0
    for i in range(6):
        assert_same_run(f"together/{i}", f"alone/{i}")


def test_large_stacks_are_split(stacks):
    sweep = ["optimizer=adam", "seed=range(5)", *STACKED]
    assert nglab("-m", *sweep, "hydra.launcher.cache_mib=0.02") == 0
    assert sum(stacks) == 5 and 1 < len(stacks) < 5
    assert (
        nglab("-m", *sweep[:2], STACKED[0], "hydra.launcher.memory_gib=0", "hydra.sweep.dir=b") > 0
    )


def test_a_diverged_member_ends_as_it_would_alone(stacks):
    sweep = ["optimizer=sgd", "optimizer.lr=0.05,1e30", "seed=0,1"]
    assert nglab("-m", *sweep, *STACKED) == 0
    assert stacks == [4]
    assert nglab("-m", *sweep, "hydra.sweep.dir=alone") == 0
    for i in range(4):
        assert_same_run(f"together/{i}", f"alone/{i}")
    runs = [read_run(Path(f"together/{i}")) for i in range(4)]
    assert [r.summary["status"] for r in runs] == ["finished"] * 2 + ["diverged"] * 2
    assert len(runs[3].metrics) < len(runs[0].metrics)
    assert not np.isfinite(runs[3].metrics.test_loss.iloc[-1])


def test_training_stops_when_every_member_has_diverged():
    assert (
        nglab("-m", "optimizer=sgd", "optimizer.lr=1e30,1e31", "train.passes=1e12", *STACKED) == 0
    )


def test_a_failing_stack_fails_each_of_its_runs_and_the_rest_goes_on(monkeypatch, capsys):
    original = run_module.stack

    def stack(problems):
        return 1 / 0 if problems[0].optimizer.batch_size == 20 else original(problems)

    monkeypatch.setattr(run_module, "stack", stack)
    assert nglab("-m", "optimizer.batch_size=20,10", "seed=0,1", *STACKED) == 1
    runs = [read_run(path) for path in find_runs([Path("together")])]
    assert [r.summary["status"] for r in runs] == ["failed"] * 2 + ["finished"] * 2
    assert "ZeroDivisionError" in runs[1].summary["traceback"]
    assert all("Traceback" in (r.folder / "nglab.log").read_text() for r in runs[:2])
    shown = capsys.readouterr()
    assert (shown.out + shown.err).count("Traceback") == 1


def test_ctrl_c_leaves_what_is_done_and_the_sweep_goes_on_later(monkeypatch):
    def interrupted(problem, *args):
        for evaluation in train(problem, *args):
            yield evaluation
            if evaluation.step and problem.optimizer.batch_size == 10:
                raise KeyboardInterrupt

    sweep = ["-m", "optimizer.batch_size=20,10", "seed=0,1", *STACKED]
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "train", interrupted)
        assert nglab(*sweep) == 130
    runs = [read_run(path) for path in find_runs([Path("together")])]
    assert [r.summary["status"] for r in runs] == ["finished"] * 2 + ["interrupted"] * 2
    assert [len(r.metrics) for r in runs[2:]] == [2, 2]
    assert nglab(*sweep) == 0
    assert nglab("-m", *sweep[1:3], "hydra.sweep.dir=alone") == 0
    for i in range(4):
        assert_same_run(f"together/{i}", f"alone/{i}")


@pytest.mark.parametrize("launcher", ["sequential", "stacked", "basic"])
def test_a_repeated_sweep_leaves_alone_what_is_finished(launcher, stacks):
    sweep = ["-m", "optimizer=sgd", "seed=0,1,2", f"hydra/launcher={launcher}", "hydra.sweep.dir=s"]
    assert nglab(*sweep) == 0
    before = {p: p.stat().st_mtime_ns for p in Path("s").glob("[02]/**/*")}
    Path("s/1/summary.json").unlink()  # as after a kill
    with Path("s/1/metrics.csv").open("a") as file:
        file.write("5,100,1.")
    trained = len(stacks)
    assert nglab(*sweep) == 0
    assert stacks[trained:] == [1]
    assert {p: p.stat().st_mtime_ns for p in Path("s").glob("[02]/**/*")} == before
    assert nglab("-m", *sweep[1:3], "hydra.sweep.dir=alone") == 0
    assert_same_run("s/1", "alone/1")


def test_a_sweep_of_another_configuration_is_refused(capsys):
    assert nglab("-m", "seed=0,1", "hydra.sweep.dir=s") == 0
    before = {p: p.stat().st_mtime_ns for p in Path("s").rglob("*")}
    assert nglab("-m", "seed=0,2", "hydra.sweep.dir=s") == 2
    assert f"{Path('s/1').absolute()} holds a run already" in capsys.readouterr().err
    assert {p: p.stat().st_mtime_ns for p in Path("s").rglob("*")} == before


def test_a_run_of_its_own_is_never_made_twice(capsys):
    once = ["hydra.run.dir=once", "seed=1"]
    assert nglab(*once) == 0
    assert nglab(*once) == 2
    assert "holds a run already (finished)" in capsys.readouterr().err
    summary = json.loads(Path("once/summary.json").read_text())
    Path("once/summary.json").write_text(json.dumps({**summary, "status": "interrupted"}))
    assert nglab(*once) == 2  # its rows may be wanted
    assert nglab(*once, "train.checkpoint_every=20") == 0
    done = Path("once/summary.json").read_text()
    Path("once/checkpoint.pt").write_text("left by a kill at the very end")
    assert nglab(*once, "train.checkpoint_every=20") == 0  # nothing left to do
    assert Path("once/summary.json").read_text() == done
    assert not Path("once/checkpoint.pt").exists()


def test_two_processes_never_share_a_folder(capsys):
    from nglab.runs.ownership import alone_in

    for folder, command in (
        ("s", ["-m", "seed=0,1", "hydra.sweep.dir=s"]),
        ("r", ["hydra.run.dir=r"]),
    ):
        Path(folder).mkdir()
        with alone_in(Path(folder)):
            assert nglab(*command) == 2
        assert "another nglab is at work there" in capsys.readouterr().err
        shutil.rmtree(folder)
        assert nglab(*command) == 0


@pytest.mark.parametrize("launcher", ["sequential", "stacked", "basic"])
def test_each_job_is_checked_once(launcher, monkeypatch):
    checked = []
    monkeypatch.setattr(config_module, "check", lambda cfg: checked.append(cfg.seed) or check(cfg))
    assert nglab("-m", "seed=0,1,2", f"hydra/launcher={launcher}") == 0
    assert checked == [0, 1, 2]


@pytest.mark.parametrize("launcher", ["sequential", "stacked"])
def test_the_callbacks_of_others_are_called_for_every_job(launcher):
    callback = "+hydra.callbacks.p._target_=hydra.experimental.callbacks.PickleJobInfoCallback"
    sweep = ["optimizer=sgd", "seed=0,1", callback, f"hydra/launcher={launcher}"]
    assert nglab("-m", *sweep, "hydra.sweep.dir=s") == 0
    for seed in (0, 1):
        with Path(f"s/{seed}/.hydra/config.pickle").open("rb") as file:
            assert pickle.load(file).seed == seed
        with Path(f"s/{seed}/.hydra/job_return.pickle").open("rb") as file:
            assert pickle.load(file).status.name == "COMPLETED"


@pytest.mark.parametrize("launcher", ["sequential", "stacked"])
def test_a_job_logs_as_its_configuration_says(launcher):
    log = "hydra.job_logging.handlers.file.filename='${hydra.runtime.output_dir}/seed ${seed}.txt'"
    sweep = [
        "optimizer=sgd",
        "seed=0,1",
        log,
        "hydra.job_logging.formatters.simple.format='>%(message)s'",
    ]
    assert nglab("-m", *sweep, f"hydra/launcher={launcher}", "hydra.sweep.dir=s") == 0
    for seed in (0, 1):
        (line,) = Path(f"s/{seed}/seed {seed}.txt").read_text().splitlines()
        assert line.startswith(">finished: ") and line.endswith(f"s/{seed}")


def test_help_names_the_launchers(capsys):
    nglab("--help")
    shown = capsys.readouterr().out
    assert "hydra/launcher: sequential, stacked" in shown


@pytest.mark.parametrize(
    ("launcher", "settings"),
    [("joblib", ["hydra.launcher.n_jobs=2"]), ("submitit_local", ["hydra.launcher.timeout_min=5"])],
)
def test_the_launchers_of_others_leave_what_ours_does(launcher, settings, monkeypatch):
    """They work in processes of their own, beside one another: the summary and the axis of the clock say so.

    A job that its machine refuses leaves a result that says so, and the others are trained; what is finished is left
    alone when the same is asked for again.
    """
    monkeypatch.setenv("PYTHONPATH", str(Path(run_module.__file__).parents[2]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    sweep = [*SMALL, *LINEAR, "optimizer=sgd", f"hydra/launcher={launcher}", *settings]
    words = ["run", "-m", "device=cpu,cuda", *sweep, "hydra.sweep.dir=there"]
    seen = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "nglab", *words], capture_output=True, text=True
        )
        assert done.returncode == 2 and "Traceback" not in done.stdout + done.stderr, done.stderr
        seen.append({p: p.stat().st_mtime_ns for p in Path("there/0").rglob("*")})
    assert seen[0] == seen[1]
    assert done.stderr.splitlines()[-1].startswith("nglab: device=cuda: must be auto or cpu")
    assert read_run(Path("there/1")).summary["status"] == "failed"
    assert nglab("-m", "device=cpu", *sweep[:-2], "hydra.sweep.dir=here") == 0
    theirs, ours = read_run(Path("there/0")), read_run(Path("here/0"))
    columns = ["examples_seen", "test_loss"]
    np.testing.assert_allclose(theirs.metrics[columns], ours.metrics[columns], rtol=1e-12)
    assert theirs.summary["concurrent"] and theirs.summary["threads"] >= 1
    assert not ours.summary["concurrent"]
    assert "beside" in seconds_label([theirs.summary]) != seconds_label([ours.summary])


@pytest.mark.parametrize("launcher", ["sequential", "stacked"])
def test_a_job_whose_folder_is_taken_meanwhile_is_named_and_the_rest_goes_on(
    launcher, monkeypatch, capsys
):
    def take(folder, settings):
        if folder.name == "1":
            raise InputError(f"{folder} is another's")
        original(folder, settings)

    original = job_module.take
    monkeypatch.setattr(job_module, "take", take)
    sweep = ["-m", "optimizer=sgd", "seed=0,1,2", "hydra.sweep.dir=s"]
    assert nglab(*sweep, f"hydra/launcher={launcher}") == 2
    folder = Path("s/1").absolute()
    assert f"#1 {folder}: {folder} is another's" in "".join(capsys.readouterr())
    assert [path.name for path in find_runs([Path("s")])] == ["0", "2"]
    assert not (folder / ".hydra").exists() and not (folder / "summary.json").exists()


def test_what_a_launcher_of_others_raises_is_said_in_a_line():
    theirs, ours = (OmegaConf.create({"_target_": name}) for name in ("theirs.Launcher", *HERE[:1]))
    with pytest.raises(RunFailed) as failure, in_a_line(theirs):
        raise RuntimeError("a worker was killed\n-----\nforty lines")
    assert str(failure.value) == (
        "RuntimeError: a worker was killed (of theirs.Launcher); the same again goes on"
    )
    with pytest.raises(InputError, match="wrong"), in_a_line(theirs):
        raise InputError("wrong")
    with pytest.raises(RuntimeError), in_a_line(ours):
        raise RuntimeError("ours to mend")


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_a_killed_worker_ends_its_own_stack_alone(monkeypatch, capsys):
    original = run_module.run_together

    def killed(configs, *rest, **more):
        if configs[0].arch.bias:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(configs, *rest, **more)

    sweep = ["-m", *STACKED, "optimizer=sgd", "seed=0,1", "arch.bias=true,false",
             "hydra.launcher.processes=2"]  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "run_together", killed)
        assert nglab(*sweep) == 1
    shown = "".join(capsys.readouterr())
    assert "its process was ended by SIGKILL: #0 " in shown and "Traceback" not in shown
    assert [read_run(folder).summary["status"] for folder in find_runs([Path("together")])] == [
        "finished"
    ] * 2
    assert nglab(*sweep) == 0
    assert len(find_runs([Path("together")])) == 4
