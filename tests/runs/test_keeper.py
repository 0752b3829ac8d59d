"""What a run is at, kept where the disk is full: on a disk of two megabytes, where one can be mounted here."""

import errno
import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from nglab import cli
from nglab.runs.config import check
from nglab.runs.folder import RecordWriter
from nglab.runs.full_disk import full_disk
from nglab.runs.run import run_together
from nglab.runs.status import SPARE
from nglab.runs.table import read_run
from nglab.settings.composing import compose

SMALL = ["arch=mlp", "arch.widths=[5,4,3]", "data.train_examples=90", "data.test_examples=20", "optimizer=sgd",
         "optimizer.batch_size=20", "train.eval_every_examples=150", "train.passes=9"]  # fmt: skip


def full():
    return OSError(errno.ENOSPC, "No space left on device", "somewhere")


def assert_same_rows(one, other):
    a, b = (read_run(folder).metrics.drop(columns="train_seconds") for folder in (one, other))
    pd.testing.assert_frame_equal(a, b, rtol=1e-12)


@pytest.mark.parametrize("failing", [1, 2, 5, 6])
def test_a_stack_without_checkpoints_goes_on_after_a_full_disk(failing, monkeypatch, tmp_path):
    """Whichever row of whichever member it is that cannot be written."""
    configs = [check(compose([*SMALL, f"seed={seed}"])) for seed in (0, 1)]
    here, there = ([tmp_path / place / str(i) for i in (0, 1)] for place in ("here", "there"))
    run_together(configs, there, progress=False)
    original, calls = RecordWriter.write, []

    def write(record, row):
        calls.append(row)
        if len(calls) == failing:
            raise full()
        original(record, row)

    with monkeypatch.context() as patch:
        patch.setattr(RecordWriter, "write", write)
        with pytest.raises(OSError, match="No space left"):
            run_together(configs, here, progress=False)
    assert [read_run(folder).summary["status"] for folder in here] == ["failed"] * 2
    assert (here[0] / "checkpoint.pt").exists() and not (here[0] / SPARE).exists()
    run_together(configs, here, progress=False)
    for one, other in zip(here, there, strict=True):
        assert_same_rows(one, other)
        assert {file.name for file in one.iterdir()} == {file.name for file in other.iterdir()}


def test_a_full_disk_is_found_behind_other_errors():
    try:
        try:
            raise full()
        except OSError as error:
            raise ValueError("cannot open the log") from error
    except ValueError as error:
        assert full_disk(error) == "No space left on device: somewhere"
    assert full_disk(OSError(errno.EACCES, "Permission denied")) is None


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("only where a small disk can be mounted")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(file, leave):
    """All of a disk but so many bytes."""
    with file.open("wb", buffering=0) as out:
        try:
            while True:
                out.write(bytes(4096))
        except OSError:
            out.truncate(out.tell() - leave)


def nglab(*arguments):
    try:
        return cli.main(["run", *arguments])
    except SystemExit as exit:
        return int(exit.code or 0)


def test_a_full_disk_has_a_status_and_a_message(small_disk, in_process, capsys, monkeypatch):
    """The disk fills up as the third row is written; with room again the run goes on from there."""
    ballast, original = small_disk / "ballast", RecordWriter.write

    def write(record, row):
        if len(record.rows) == 2 and not ballast.exists():
            fill(ballast, leave=0)
            with (record.folder / "metrics.csv").open("a") as file:  # to the end of its block
                file.write("\n" * 8192)
        original(record, row)

    command = [*SMALL, f"out={small_disk / 'run'}"]
    with monkeypatch.context() as patch:
        patch.setattr(RecordWriter, "write", write)
        assert nglab(*command) == 1
    shown = "".join(capsys.readouterr())
    assert "No space left on device" in shown and "Traceback" not in shown
    summary = json.loads((small_disk / "run" / "summary.json").read_text())
    assert summary["status"] == "failed"
    ballast.unlink()
    assert nglab(*command) == 0
    assert "going on from step" in (small_disk / "run" / "nglab.log").read_text()
    assert nglab(*SMALL, "out=undisturbed") == 0
    assert_same_rows(small_disk / "run", Path("undisturbed"))


@pytest.mark.parametrize("launcher", ["sequential", "stacked"])
def test_a_sweep_begins_its_next_job(launcher, small_disk, in_process, capsys, monkeypatch):
    """The disk is full as the second group starts, and has room again when the third does."""
    from nglab.sweeps.job import JobCallbacks

    ballast, original = small_disk / "ballast", JobCallbacks.on_job_start

    def on_job_start(callbacks, config, **more):
        ballast.unlink(missing_ok=True)
        if config.optimizer.batch_size == 20:
            fill(ballast, leave=0)
        original(callbacks, config, **more)

    sweep = ["-m", *SMALL, "optimizer.batch_size=10,20,15", f"hydra/launcher={launcher}",
             f"out={small_disk / 'sweep'}", "hydra.output_subdir=null"]  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(JobCallbacks, "on_job_start", on_job_start)
        assert nglab(*sweep) == 1
    shown = "".join(capsys.readouterr())
    assert "No space left on device" in shown and "Traceback" not in shown
    done = [(small_disk / "sweep" / str(i) / "summary.json").exists() for i in range(3)]
    assert done == [True, False, True]
    ballast.unlink(missing_ok=True)
    assert nglab(*sweep) == 0
