"""`nglab run` inside a program, which it leaves as it was."""

import logging
import sys
from pathlib import Path

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra

import nglab as ng

SMALL = ["arch=mlp", "arch.widths=[4,3,4]", "data.train_examples=40", "data.test_examples=10",
         "optimizer.batch_size=20", "train.passes=1"]  # fmt: skip

pytestmark = pytest.mark.usefixtures("in_process")


def test_a_run_gives_its_record() -> None:
    record = ng.run([*SMALL, "optimizer=sgd", "seed=5"])
    assert record.summary["status"] == "finished"
    assert record.config.seed == 5
    assert record.folder.parent == Path("outputs/runs").absolute()
    loss = record.summary["final_test_loss"]
    assert repr(record) == f"RunRecord({record.folder}: finished, 3 rows, test loss {loss})"


def test_a_line_of_words_is_a_command_line_and_so_is_a_sweep() -> None:
    line = " ".join(SMALL) + " optimizer=sgd optimizer.lr=0.01,0.1 'out=a sweep'"
    records = ng.run(f"-m {line}")
    assert [record.config.optimizer.lr for record in records] == [0.01, 0.1]
    assert [record.folder.name for record in records] == ["0", "1"]
    assert ng.read_runs("a sweep")["optimizer.lr"].tolist() == [0.01, 0.1]


def test_a_program_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    root, words = logging.getLogger(), ["a", "program"]
    monkeypatch.setattr(sys, "argv", words)
    handlers, level = list(root.handlers), root.level
    with hydra.initialize(version_base="1.3", config_path=None):
        mine = GlobalHydra.instance().hydra
        for seed in (1, 2):
            ng.run([*SMALL, f"seed={seed}", f"out=run{seed}"])
        assert GlobalHydra.instance().hydra is mine
        assert hydra.compose(overrides=["+mine=1"]) == {"mine": 1}
    assert sys.argv is words
    assert (root.handlers, root.level) == (handlers, level)


def test_what_a_run_raises_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def unlucky(*_: object) -> None:
        raise ZeroDivisionError("unlucky")

    monkeypatch.setattr("nglab.runs.run.build_for", unlucky)
    with pytest.raises(ZeroDivisionError, match="unlucky"):
        ng.run([*SMALL, "out=there"])
    assert ng.read_run("there").summary["status"] == "failed"


def test_a_folder_that_is_taken_is_refused() -> None:
    ng.run([*SMALL, "out=there"])
    with pytest.raises(ng.InputError, match="there holds a run already"):
        ng.run([*SMALL, "out=there"])
