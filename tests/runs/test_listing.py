"""Runs as lines of a terminal, and looking again."""

import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import nglab
from nglab import cli
from nglab.errors import InputError
from nglab.runs.listing import LISTED, aligned, listing
from nglab.runs.table import find_runs, read_each, read_run

WriteRun = Callable[..., Path]


def test_every_run_is_shown_whatever_became_of_it(write_run: WriteRun, tmp_path: Path) -> None:
    write_run("0", [4.0, 2e-5])
    write_run("1", [4.0, 3.0], status=None)
    write_run("2", [], status="failed")
    write_run("3", [4.0, float("inf")], status="diverged", minimum_loss=None)
    records, _ = read_each(find_runs([tmp_path]))
    head, *rows = listing(records, tmp_path)
    table = [dict(zip(head, row, strict=True)) for row in rows]
    expected = ["finished", "unfinished", "failed", "diverged"]
    assert [row["status"] for row in table] == expected
    shown = [
        table[0][name] for name in ("arch", "optimizer", "lr", "seed", "loss", "×minimum", "steps")
    ]
    assert shown == ["square", "sgd", "0.04", "0", "2e-05", "2", "50"]
    assert [row["loss"] for row in table] == ["2e-05", "3", "", "inf"]
    assert tuple(head) == LISTED


def test_columns_are_those_asked_for(write_run: WriteRun, tmp_path: Path) -> None:
    runs = [read_run(write_run("0", [4.0, 2.0], {"arch.bias": True}))]
    columns = ["bias", "train_examples", "samples", "test_loss", "folder"]
    with pytest.raises(InputError, match="samples: no such column"):
        listing(runs, tmp_path, columns)
    columns.remove("samples")
    assert listing(runs, tmp_path, columns) == [columns, ["true", "10000", "2", "0"]]


def test_columns_are_aligned_but_for_the_last() -> None:
    assert list(aligned([["a", "loss", "folder"], ["10", "1", "x"], ["9", "22", ""]])) == [
        " a  loss  folder",
        "10     1  x",
        " 9    22",
    ]


def test_a_list_that_is_asked_for(
    write_run: WriteRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, lr, loss in (("a", 0.01, 3.0), ("b", 0.02, 1.0), ("c", 0.005, 2.0)):
        write_run(name, [4.0, loss], {"optimizer.lr": lr})
    words = ["--where", "optimizer.lr<0.02", "--where=status=finished", "--sort", "-test_loss"]
    assert cli.main(["list", str(tmp_path), *words, "--columns", "lr,loss,folder"]) == 0
    assert capsys.readouterr().out.split() == [
        "lr",
        "loss",
        "folder",
        "0.01",
        "3",
        "a",
        "0.005",
        "2",
        "c",
    ]
    assert cli.main(["list", str(tmp_path), "where=lr>1"]) == 0
    assert capsys.readouterr() == ("", "nglab: where lr>1: so is none of 3 runs\n")
    assert cli.main(["list", str(tmp_path), "--sort", "los"]) == 2
    assert "los: no such column; did you mean loss?" in capsys.readouterr().err


COMMAND = [sys.executable, "-m", "nglab", "list"]
PATHS = [str(Path(nglab.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(PATHS)}


@pytest.fixture
def watching(write_run: WriteRun, tmp_path: Path, signals_heard: None) -> subprocess.Popen[str]:
    write_run("a", [4.0, 1.0])
    return subprocess.Popen(
        [*COMMAND, str(tmp_path), "--watch=0.05", "--columns=status,folder"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


def lines_until(process: subprocess.Popen[str], word: str) -> list[str]:
    assert process.stdout is not None
    seen: list[str] = []
    while not seen or word not in seen[-1]:
        seen.append(process.stdout.readline())
        assert seen[-1], process.communicate()
    return seen


def test_watching_sees_what_is_new_until_ctrl_c(
    watching: subprocess.Popen[str], write_run: WriteRun
) -> None:
    assert lines_until(watching, "finished  a") == ["  status  folder\n", "finished  a\n"]
    write_run("b", [4.0], status=None)
    lines_until(watching, "unfinished  b")
    watching.send_signal(signal.SIGINT)
    assert watching.communicate()[1] == "" and watching.returncode == 0


def test_another_signal_ends_watching_as_it_ends_all(watching: subprocess.Popen[str]) -> None:
    lines_until(watching, "finished")
    watching.send_signal(signal.SIGTERM)
    watching.communicate()
    assert watching.returncode == 143


def test_who_reads_may_stop_watching(watching: subprocess.Popen[str]) -> None:
    lines_until(watching, "finished")
    assert watching.stdout is not None and watching.stderr is not None
    watching.stdout.close()
    assert watching.stderr.read() == "" and watching.wait() == 0


def test_a_terminal_is_cleared_and_not_overfull(
    write_run: WriteRun, tmp_path: Path, signals_heard: None
) -> None:
    for i in range(30):
        write_run(f"{i}", [4.0, 1.0])
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (10, 80))
    command = [*COMMAND, str(tmp_path), "--watch=0.05"]
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, env=ENVIRONMENT)
    os.close(theirs)
    seen = b""
    while seen.count(b"\x1b[H\x1b[2J") < 4:
        seen += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    with suppress(OSError):  # the terminal is gone
        while os.read(ours, 4096):
            pass
    assert process.wait() == 0
    looks = seen.split(b"\x1b[H\x1b[2J")[1:-1]
    assert all(look.count(b"\n") == 8 and "… 24 more".encode() in look for look in looks)


@pytest.mark.parametrize("word", ["0", "-1", "nan", "inf", "soon", "1e9"])
def test_a_wrong_interval(word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", str(tmp_path), f"watch={word}"]) == 2
    assert f"watch={word}: must be a number of seconds" in capsys.readouterr().err
