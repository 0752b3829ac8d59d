import json
import math

import pandas as pd
import pytest
from omegaconf import OmegaConf

from nglab.errors import InputError
from nglab.runs.folder import RecordWriter, is_complete, outcome, settled, whole, write_json
from nglab.runs.table import find_runs, read_run, status_of
from nglab.training.evaluation import SHARED


def row(step, loss, **more):
    return {"step": step, "examples_seen": 10 * step, "passes": step / 10, "train_seconds": step / 2,
            "train_loss": loss, "test_loss": loss, "learning_rate": 0.1, **more}  # fmt: skip


def test_rows_are_on_disk_as_they_are_written(tmp_path):
    columns = [*SHARED, "damping", "skipped_steps"]
    writer = RecordWriter(tmp_path, {}, columns)
    writer.start([])
    writer.write(row(0, 4.0))
    writer.write(row(1, 2.0, damping=0.5, skipped_steps=3))
    table = pd.read_csv(tmp_path / "metrics.csv")  # not closed: as after a kill
    assert list(table.columns) == columns
    assert table.test_loss.tolist() == [4.0, 2.0]
    assert math.isnan(table.damping[0]) and table.damping[1] == 0.5
    assert table.skipped_steps[1] == 3
    with pytest.raises(ValueError, match="momentum"):  # nothing is dropped
        writer.write(row(2, 1.0, momentum=0.5))


def test_what_a_stopped_run_left_is_begun_anew(tmp_path):
    make_run(tmp_path / "a", "interrupted")
    writer = RecordWriter(tmp_path / "a", {"seed": 3}, SHARED)
    writer.start([row(0, 4.0), row(1, 3.0)])
    writer.write(row(2, 2.0))
    assert read_run(tmp_path / "a").metrics.test_loss.tolist() == [4.0, 3.0, 2.0]
    assert status_of(tmp_path / "a") == "unfinished"
    writer.minimum_loss = 1.0
    summary = writer.close("finished")
    assert (summary["final_test_loss"], summary["seed"], summary["steps"]) == (2.0, 3, 2)
    assert read_run(tmp_path / "a").summary == summary


def test_a_file_is_replaced_whole(tmp_path):
    file = tmp_path / "loss.png"
    file.write_text("before")
    with pytest.raises(ZeroDivisionError), whole(file) as partial:
        partial.write_text("half")
        raise ZeroDivisionError
    assert file.read_text() == "before"
    with whole(file) as partial:
        partial.write_text("after")
    assert file.read_text() == "after"


def test_outcome():
    rows = [row(0, 4.0), row(1, 1.05), row(2, 0.9), row(3, 1.3)]
    result = outcome(rows, 1.0)
    assert result["final_test_loss"] == 1.3 and result["best_test_loss"] == 0.9
    assert result["examples_to_floor"] == 10 and result["seconds_to_floor"] == 0.5
    assert result["steps"] == 3
    assert outcome(rows, 0.5)["examples_to_floor"] is None
    assert outcome(rows, None)["minimum_loss"] is None


@pytest.mark.parametrize(("first", "last", "right"), [
    (1e-5, 1.00006e-5, True), (1.0, 2.9, True), (1.0, 3.1, False), (4.0, math.inf, False),
    (4.0, math.nan, False), (math.inf, 1.0, True), (math.inf, math.inf, False), (-2.0, -1.0, True),
    (-2.0, 3.0, False), (0.0, 1e-3, False), (0.0, 0.0, True),
])  # fmt: skip
def test_divergence_is_a_loss_not_finite_or_several_times_its_start(first, last, right):
    assert settled([row(0, first), row(1, last)]) == right


def test_a_run_that_skipped_most_of_its_steps_says_so():
    def noted(skipped):
        return outcome([row(0, 4.0), row(10, 4.0, skipped_steps=skipped)], None)["note"]

    assert noted(6.0) == "6 of 10 steps skipped"
    assert noted(5.0) is None and outcome([row(0, 4.0)], None)["note"] is None


def test_a_record_is_complete_at_its_last_step_or_beyond_finite_numbers():
    rows = [row(0, 4.0), row(3, 1.0)]
    assert is_complete(rows, 3) and not is_complete(rows, 4) and not is_complete([], 0)
    assert is_complete([*rows, row(5, math.nan)], 9)


def test_a_loss_that_is_not_finite_is_null_in_the_summary(tmp_path):
    for loss in (float("inf"), float("nan")):
        result = outcome([row(0, 4.0), row(1, loss)], 1.0)
        assert result["final_test_loss"] is None and result["best_test_loss"] == 4.0
        write_json(tmp_path / "summary.json", result)
        json.loads((tmp_path / "summary.json").read_text(), parse_constant=pytest.fail)


def make_run(folder, status=None):
    (folder / ".hydra").mkdir(parents=True)
    OmegaConf.save({"seed": 1}, folder / ".hydra" / "config.yaml")
    writer = RecordWriter(folder, {}, SHARED)
    writer.start([row(0, 4.0)])
    if status:
        write_json(folder / "summary.json", {"status": status})


def test_a_run_is_read_back(tmp_path):
    make_run(tmp_path / "a", "finished")
    record = read_run(tmp_path / "a")
    assert record.config.seed == 1
    assert record.summary["status"] == "finished" and len(record.metrics) == 1


def test_a_killed_run_is_unfinished(tmp_path):
    make_run(tmp_path / "a")
    assert read_run(tmp_path / "a").summary["status"] == "unfinished"


def test_a_torn_last_line_is_left_out(tmp_path):
    make_run(tmp_path / "a")
    with (tmp_path / "a" / "metrics.csv").open("a") as file:
        file.write("1,10,0.1,0.5,2.0,2.")
    assert read_run(tmp_path / "a").metrics.test_loss.tolist() == [4.0]


def test_what_is_not_a_run_is_named(tmp_path):
    with pytest.raises(InputError, match=r"metrics\.csv is missing"):
        read_run(tmp_path)
    make_run(tmp_path / "a")
    (tmp_path / "a" / "summary.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        read_run(tmp_path / "a")


def test_runs_are_found_below_and_in_order(tmp_path):
    for name in ("10", "9", "b"):
        make_run(tmp_path / name)
    assert [p.name for p in find_runs([tmp_path])] == ["9", "10", "b"]
    assert find_runs([tmp_path / "b", tmp_path / "b"]) == [tmp_path / "b"]
    with pytest.raises(InputError, match="not a folder"):
        find_runs([tmp_path / "c"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no run"):
        find_runs([tmp_path / "empty"])
