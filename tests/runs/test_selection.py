"""Conditions on runs and their order: what each says, and what cannot be asked."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nglab.errors import InputError
from nglab.runs.selection import chosen, facts, in_order, key_of, runs_with
from nglab.runs.table import RunRecord, find_runs, read_run

WriteRun = Callable[..., Path]
INF, NAN = float("inf"), float("nan")
NGD = {"name": "ngd", "lr": 1.0, "batch_size": 1000, "samples": 1, "damping": {"initial": 0.01}}


@pytest.fixture
def runs(write_run: WriteRun, tmp_path: Path) -> list[RunRecord]:
    """a: SGD at 0.04; b: SGD at 0.2, diverged; c: NGD, unfinished, without a floor."""
    write_run("a", [4.0, 1e-5], {"optimizer.lr": 0.04})
    write_run("b", [4.0, INF], {"optimizer.lr": 0.2, "seed": 3}, status="diverged")
    write_run("c", [4.0, 2.0, 1.0], {"arch.bias": True}, optimizer=NGD, status=None)
    return [read_run(folder) for folder in find_runs([tmp_path])]


def names(records: list[RunRecord]) -> str:
    return "".join(record.folder.name for record in records)


CONDITIONS = {
    "optimizer.lr<0.2": "a",
    "optimizer.lr<=0.2": "ab",
    "lr>0.04": "bc",
    "lr>=4e-2": "abc",
    "lr=1": "c",
    "lr=1.00": "c",
    "lr!=1": "ab",
    "status=finished": "a",
    "status!=finished": "bc",
    "status~fin": "ac",
    "status=Finished": "",
    "optimizer=sgd": "ab",
    "optimizer.name=ngd": "c",
    "arch.bias=true": "c",
    "arch.bias!=true": "ab",
    "samples=1": "c",
    "samples>0": "c",  # the others have none, which is in no order
    "samples!=1": "ab",
    "samples=": "ab",
    "samples!=": "c",
    "test_loss<1.5": "ac",
    "loss=inf": "b",
    "times_floor<=1.1": "a",
    "×minimum>0": "ab",
    "examples_seen>1000": "c",
    "arch.widths~20-20": "abc",
    "folder=b": "b",
    "when>2020": "abc",
    "seed=03": "b",
    "minimum_loss=": "c",
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition(condition: str, runs: list[RunRecord], tmp_path: Path) -> None:
    assert names(chosen(runs, [condition], tmp_path)) == CONDITIONS[condition]


def test_all_conditions_hold(runs: list[RunRecord]) -> None:
    assert names(chosen(runs, ["optimizer=sgd", "lr>0.1"])) == "b"
    assert names(chosen(runs, [])) == "abc"


WRONG = {
    "optimizer.lrr<1": "optimizer.lrr: no such column; did you mean optimizer.lr?",
    "stauts=finished": "stauts: no such column; did you mean status?",
    "name=sgd": "name: is the end of arch.name, data.name, optimizer.name: give one of them",
    "lr": "where=lr: must be KEY<VALUE, with one of = != < <= > >= and ~",
    "lr==1": "where=lr==1: must be KEY<VALUE",
    "lr=<1": "where=lr=<1: must be KEY<VALUE",
    "<1": "where=<1: must be KEY<VALUE",
    "lr <1": "where=lr <1: must be KEY<VALUE",
    "lr<fast": "where=lr<fast: must be compared with a number, as optimizer.lr is one",
}


@pytest.mark.parametrize("condition", WRONG)
def test_a_wrong_condition_is_refused(condition: str, runs: list[RunRecord]) -> None:
    with pytest.raises(InputError) as error:
        chosen(runs, [condition])
    assert str(error.value).startswith(WRONG[condition])


@pytest.mark.parametrize(
    ("key", "order"),
    [("lr", "abc"), ("-lr", "cba"), ("test_loss", "acb"), ("-test_loss", "bca"), ("samples", "cab"),
     ("-samples", "cab"), ("optimizer", "cab"), ("times_floor", "abc"), (None, "abc")],
)  # fmt: skip
def test_order(key: str | None, order: str, runs: list[RunRecord]) -> None:
    """What has no value is last, both ways."""
    assert names(in_order(runs, key)) == order


def test_a_loss_that_is_no_number_is_last(write_run: WriteRun) -> None:
    runs = [read_run(write_run("a", [4.0, NAN])), read_run(write_run("b", [4.0, 2.0]))]
    assert names(in_order(runs, "loss")) == names(in_order(runs, "-loss")) == "ba"


def test_an_order_by_nothing_is_refused(runs: list[RunRecord]) -> None:
    with pytest.raises(InputError, match="tets_loss: no such column; did you mean test_loss"):
        in_order(runs, "tets_loss")


def test_a_key_may_be_the_end_of_one() -> None:
    known = ["optimizer.lr", "optimizer.damping.initial", "arch.name", "damping"]
    assert key_of("initial", known) == "optimizer.damping.initial"
    assert key_of("damping.initial", known) == "optimizer.damping.initial"
    assert key_of("damping", known) == "damping"
    assert key_of("arch", known) == "arch.name"


def test_what_is_known_of_a_run(runs: list[RunRecord], tmp_path: Path) -> None:
    known = facts(runs[0], tmp_path)
    assert (known["folder"], known["step"], known["optimizer.lr"]) == ("a", 50, 0.04)
    assert known["times_floor"] == pytest.approx(1.0)
    assert facts(runs[2])["times_floor"] is None


def test_where_no_run_is_left(runs: list[RunRecord], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="where lr>5, seed=0: so is none of 3 runs"):
        runs_with([tmp_path], ["lr>5", "seed=0"], print)
    assert len(runs_with([tmp_path], [], print)) == 3
