"""Runs and sweeps killed at random moments (SIGKILL), started again until they are done."""

import os
import random
import signal
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from omegaconf import OmegaConf

from nglab import cli
from nglab.errors import InputError
from nglab.runs.config import check
from nglab.runs.ownership import earlier_status, finished
from nglab.runs.run import run
from nglab.runs.table import find_runs, read_run
from nglab.settings.composing import compose

LONG = ["arch=mlp", "arch.widths=[5,4,3]", "data.train_examples=90", "data.test_examples=20",
        "optimizer.batch_size=20", "train.eval_every_examples=500"]  # fmt: skip


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def start(*command):
    """`nglab run` in a process of its own."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1), os.dup2(silent, 2)
        status = cli.main(["run", *command])
    finally:
        os._exit(status)


def killed_again_and_again(kills, *command):
    """Kill the command `kills` times at random moments, looking at what it leaves; then let it end."""
    moments = random.Random(0)
    for _ in range(kills):
        pid = start(*command)
        time.sleep(moments.uniform(0.2, 0.9))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if os.WIFEXITED(status):  # it was faster
            assert os.waitstatus_to_exitcode(status) == 0
            return
        if any(Path("here").rglob("metrics.csv")):
            for folder in find_runs([Path("here")]):
                assert read_run(folder).summary["status"] in ("finished", "unfinished")
    assert os.waitstatus_to_exitcode(os.waitpid(start(*command), 0)[1]) == 0


def assert_equal_but_for_the_clock(one, other, **tolerance):
    a, b = read_run(one), read_run(other)
    assert a.summary["status"] == b.summary["status"] == "finished"
    assert a.metrics.train_seconds.is_monotonic_increasing
    clock = "train_seconds"
    pd.testing.assert_frame_equal(
        a.metrics.drop(columns=clock), b.metrics.drop(columns=clock), **tolerance
    )
    names = {p.name for p in one.iterdir()}
    assert names == {p.name for p in other.iterdir()} and "checkpoint.pt" not in names


@pytest.mark.parametrize(("optimizer", "passes"), [("sgd", 5000), ("ngd", 1200)])
def test_a_killed_run_goes_on_bit_for_bit(optimizer, passes):
    command = [
        *LONG,
        f"optimizer={optimizer}",
        f"train.passes={passes}",
        "train.checkpoint_every=1000",
    ]
    pid = start(*command, "hydra.run.dir=here")
    while not (Path("here/checkpoint.pt").exists() or os.waitpid(pid, os.WNOHANG)[0]):
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    killed_again_and_again(4, *command, "hydra.run.dir=here")
    assert os.waitpid(start(*command, "hydra.run.dir=undisturbed"), 0)[1] == 0
    assert_equal_but_for_the_clock(Path("here"), Path("undisturbed"), check_exact=True)
    assert "going on from step" in Path("here/nglab.log").read_text()


@pytest.mark.parametrize("launcher", ["sequential", "stacked"])
def test_a_killed_sweep_ends_as_if_undisturbed(launcher):
    command = ["-m", *LONG, "optimizer=sgd", "seed=0,1", "optimizer.lr=0.1,0.2", "train.passes=150",
               f"hydra/launcher={launcher}"]  # fmt: skip
    killed_again_and_again(4, *command, "hydra.sweep.dir=here")
    assert os.waitpid(start(*command, "hydra.sweep.dir=undisturbed"), 0)[1] == 0
    for i in range(4):
        assert_equal_but_for_the_clock(Path(f"here/{i}"), Path(f"undisturbed/{i}"), rtol=1e-9)


@pytest.fixture
def record(tmp_path):
    """A finished run, its configuration, and the file that holds it."""
    composed = compose([*LONG, "train.passes=5"])
    file = tmp_path / ".hydra" / "config.yaml"
    file.parent.mkdir()
    OmegaConf.save(composed, file)
    return check(composed), file


def test_what_a_folder_holds(record, tmp_path):
    config, file = record
    assert earlier_status(tmp_path, config) is None
    run(config, tmp_path, progress=False)
    assert finished(tmp_path, config)
    assert finished(tmp_path, check(compose([*LONG, "train.passes=5", "train.checkpoint_every=7"])))
    with pytest.raises(InputError, match="holds a run already, of another configuration"):
        finished(tmp_path, check(compose([*LONG, "train.passes=6"])))
    (tmp_path / "summary.json").unlink()
    file.write_text("")  # a kill while Hydra wrote it anew
    assert earlier_status(tmp_path, config) == "unfinished"
    file.unlink()
    with pytest.raises(InputError):
        earlier_status(tmp_path, config)
