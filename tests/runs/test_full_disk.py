"""A disk that is full from one write on: what stands can be read, and with room again the run ends as undisturbed."""

import json
import logging
import resource
from pathlib import Path

import pandas as pd
import pytest

from nglab import cli
from nglab.plotting import style
from nglab.runs import ownership
from nglab.runs import run as run_module
from nglab.runs.checkpoint import CheckpointFile
from nglab.runs.config import check
from nglab.runs.folder import RecordWriter
from nglab.runs.ownership import finished
from nglab.runs.run import run
from nglab.runs.soundness import look_at
from nglab.runs.table import read_run
from nglab.settings.composing import compose
from nglab.sweeps import job

SMALL = ["arch=mlp", "arch.widths=[5,4,3]", "data.train_examples=90", "data.test_examples=20",
         "optimizer=sgd", "optimizer.batch_size=20", "train.passes=2", "train.checkpoint_every=40"]  # fmt: skip

WRITES = {  # what writes, which time it is that fails; the state of the folder then
    "owner": (ownership, "write_owner", 1, None),
    "owner of the run that begins": (run_module, "write_owner", 1, "unfinished"),
    "header": (RecordWriter, "start", 1, "unfinished"),
    "first row": (RecordWriter, "write", 1, "unfinished"),
    "later row": (RecordWriter, "write", 6, "unfinished"),
    "first checkpoint": (CheckpointFile, "write", 1, "unfinished"),
    "later checkpoint": (CheckpointFile, "write", 3, "unfinished"),
    "summary": (RecordWriter, "close", 1, "unfinished"),
    "picture": (run_module, "draw", 1, "whole"),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    run(check(compose(SMALL)), folder, progress=False)
    return read_run(folder).metrics.drop(columns="train_seconds")


@pytest.fixture
def room():
    """Gives files room to grow to so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fills(write, time, room, folder=None):
    """`write`, before whose call number `time` the disk fills up but for a few bytes."""
    calls: list[object] = []

    def filled(*args, **more):
        calls.append(args)
        if len(calls) == time:
            appends = write is RecordWriter.write
            room(5 + ((folder / "metrics.csv").stat().st_size if appends else 0))
        return write(*args, **more)

    return filled


@pytest.mark.parametrize("name", WRITES)
def test_a_full_disk_loses_nothing_that_stood(name, undisturbed, room, tmp_path, monkeypatch):
    where, write, time, state = WRITES[name]
    config = check(compose(SMALL))
    with monkeypatch.context() as patched:
        patched.setattr(where, write, fills(getattr(where, write), time, room, tmp_path))
        with pytest.raises((OSError, RuntimeError)):
            run(config, tmp_path, progress=False)
    room(resource.RLIM_INFINITY)
    assert not list(tmp_path.glob("*partial*"))
    if state is None:
        assert not list(tmp_path.iterdir())
    else:
        assert look_at(tmp_path).state == state
    if not finished(tmp_path, config.described()):
        run(config, tmp_path, progress=False)
    assert (tmp_path / "loss.png").exists()
    assert json.loads((tmp_path / "summary.json").read_text())["status"] == "finished"
    assert read_run(tmp_path).metrics.drop(columns="train_seconds").equals(undisturbed)


COMMANDS = {  # a command, what it writes by, and where that stands in the end
    "Hydra's files": (
        ["run", *SMALL, "out=new"],
        job,
        "write_hydra_files",
        "new/.hydra/config.yaml",
    ),
    "a table": (["collect", "runs", "out=new.csv"], pd.DataFrame, "to_csv", "new.csv"),
    "pictures": (["plot", "runs", "out=new"], style, "save", "new/comparison.png"),
}


def status_of(command):
    """Of a job that failed Hydra makes an exit."""
    try:
        return cli.main(command)
    except SystemExit as end:
        return end.code


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_that_the_disk_is_full_and_does_it_once_there_is_room(
    name, in_process, room, monkeypatch, capsys
):
    command, where, write, out = COMMANDS[name]
    assert cli.main(["run", *SMALL, "out=runs/0"]) == 0
    with monkeypatch.context() as patched:
        patched.setattr(where, write, fills(getattr(where, write), 1, room))
        assert status_of(command) == 1
    room(resource.RLIM_INFINITY)
    said = capsys.readouterr().err
    assert "File too large" in said and "Traceback" not in said
    assert cli.main(command) == 0
    with open(out, "rb") as file:
        assert len(file.read()) > 50


def test_a_log_for_which_there_is_no_room_stops_no_run(in_process, room, undisturbed, monkeypatch):
    emit, asked = logging.FileHandler.emit, []

    def filled(handler, record):
        asked.append(record)
        room(5)
        emit(handler, record)
        room(resource.RLIM_INFINITY)

    monkeypatch.setattr(logging.FileHandler, "emit", filled)
    assert cli.main(["run", *SMALL, "out=new"]) == 0
    assert asked
    assert read_run(Path("new")).metrics.drop(columns="train_seconds").equals(undisturbed)
