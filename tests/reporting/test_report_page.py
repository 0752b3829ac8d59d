"""What a report says, read without a browser."""

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from reporting.page_reader import Page

from nglab import cli
from nglab.reporting.curves import kept, points_each
from nglab.reporting.report_page import report
from nglab.reporting.times import AT_THE_FLOOR, target_of
from nglab.runs.table import find_runs, read_run

WriteRun = Callable[..., Path]
INF, NAN = float("inf"), float("nan")
NGD = {"name": "ngd", "lr": 1.0, "batch_size": 1000, "samples": 1, "damping": {"initial": 0.01}}


def page(folder: Path, *damage: str, target: str | None = None) -> Page:
    records = [read_run(one) for one in find_runs([folder])]
    return Page(report(records, damage, target_of(target)))


@pytest.fixture
def sweep(write_run: WriteRun, tmp_path: Path) -> Path:
    """Three rates of SGD on two seeds; at the last one of them diverged."""
    for lr, last in ((0.01, 1e-3), (0.02, 1e-5), (0.04, INF)):
        for seed in range(2):
            lost = last == INF and seed == 1
            losses = [4.0, 1e-1, last if lost or last < INF else 2e-5]
            write_run(f"{lr}-{seed}", losses, {"optimizer.lr": lr, "seed": seed},
                      status="diverged" if lost else "finished")  # fmt: skip
    return tmp_path


def test_a_row_a_setting_and_a_row_a_run(sweep: Path) -> None:
    shown = page(sweep)
    assert shown.tables["settings"][0] == [
        "drawn", "lr", "runs", "status", "final loss", "÷ floor", "examples to target",
        "seconds to target", "examples", "seconds",
    ]  # fmt: skip
    assert shown.column("settings", "lr") == ["0.01", "0.02", "0.04"]
    assert shown.column("settings", "status")[2] == "1 finished, 1 diverged"
    assert shown.column("settings", "final loss") == ["0.001", "1e-05", "∞"]
    assert shown.column("runs", "seed") == ["0", "1"] * 3
    assert shown.column("runs", "folder")[-1] == "0.04-1"
    assert shown.column("runs", "final loss")[-2:] == ["2e-05", "∞"]


def test_the_time_to_the_target_is_between_the_evaluations(sweep: Path) -> None:
    """From 0.1 to 1e-5 within 1000 examples, log-linearly; the target is 1.1e-5."""
    shown = page(sweep)
    at = shown.column("runs", "examples to target")
    assert at == ["never", "never", "1990", "1990", "never", "never"]
    assert shown.column("settings", "examples to target") == ["never", "1990", "never"]
    by_loss = page(sweep, target="0.01")
    assert by_loss.column("settings", "seconds to target")[:2] == ["1.5", "1.25"]
    assert "test loss 0.01" in by_loss.sections["runs-section"]


def test_without_a_floor_there_is_no_time_to_it(write_run: WriteRun, tmp_path: Path) -> None:
    write_run("a", [4.0, 1.0], minimum_loss=None)
    assert page(tmp_path).tables["runs"][0] == [
        "drawn", "status", "final loss", "examples", "seconds", "folder"
    ]  # fmt: skip
    assert "examples to target" in page(tmp_path, target="2").tables["runs"][0]


def test_other_measures_of_the_test_set_are_shown(write_run: WriteRun, tmp_path: Path) -> None:
    file = write_run("a", [4.0, 1.0]) / "metrics.csv"
    pd.read_csv(file).assign(test_error=[90.0, 2.5]).to_csv(file, index=False)
    assert page(tmp_path).column("runs", "test error") == ["2.5"]


def test_curves_are_medians_with_their_band(sweep: Path) -> None:
    curves = page(sweep).data["views"]["settings"]
    places, median, low, high = curves[0]["examples"]
    assert places == [0, 1000, 2000] and median == low == high == [4, 0.1, 0.001]
    assert curves[2]["examples"][1] == [4, 0.1, None]  # the median of 2e-5 and ∞
    assert (curves[2]["lost"], curves[2]["of"], curves[2]["final"]) == (1, 2, None)
    assert curves[2]["finals"] == [2e-5, None]
    runs = page(sweep).data["views"]["runs"]
    assert runs[0]["y"] == [4, 0.1, 0.001] and runs[0]["s"] == [0, 1, 2]
    assert page(sweep).data["places"] == [[0, 1000, 2000]]
    assert [run["rate"] for run in runs] == [0.01, 0.01, 0.02, 0.02, 0.04, 0.04]


def test_what_all_share_is_told_once(sweep: Path, write_run: WriteRun) -> None:
    shown = page(sweep).sections
    common = re.sub(r"\s+", " ", shown.get("common", ""))
    assert (
        "arch square" in common
        and "optimizer sgd" in common
        and "optimizer.batch_size 20" in common
    )
    assert "optimizer.lr" not in common and "seed" not in common


def test_a_method_is_known_by_its_colour(write_run: WriteRun, tmp_path: Path) -> None:
    write_run("a", [4.0, 1.0])
    write_run("b", [4.0, 0.5], optimizer=NGD)
    curves = page(tmp_path).data["views"]["runs"]
    assert [(c["label"], c["colour"]) for c in curves] == [("ngd", "#d62728"), ("sgd", "#000000")]


def test_of_many_lines_none_has_a_look_of_its_own(write_run: WriteRun, tmp_path: Path) -> None:
    for i in range(41):
        write_run(f"{i}", [4.0, 1.0], {"optimizer.lr": i + 1, "init.gain": float(i % 3)})
    assert not [c for c in page(tmp_path).data["views"]["runs"] if "colour" in c]


def test_what_became_of_a_run_is_marked(write_run: WriteRun, tmp_path: Path) -> None:
    write_run("a", [4.0, INF], {"optimizer.lr": 9}, status="diverged")
    write_run("b", [4.0, 1.0], status=None)
    write_run("c", [], {"optimizer.lr": 8}, status="failed")
    write_run("d", [4.0], {"optimizer.lr": 7}, status="interrupted")
    shown = page(tmp_path, "left out: x/metrics.csv is missing", "left out: y")
    marks = [own.get("class") for tag, own in shown.elements if tag == "tr" and "data-i" in own]
    assert sorted(marks, key=str) == ["diverged", "failed", "interrupted", "unfinished"]
    head = re.sub(r"\s+", " ", shown.sections["counts"])
    assert "1 diverged" in head and "2 left out" in head
    assert "x/metrics.csv is missing" in shown.sections["left-out"]


ODD = '<img src=x onerror="alert(1)">&amp;\' </script><script>alert(2)</script>'


def test_names_are_text_whatever_they_hold(write_run: WriteRun, tmp_path: Path) -> None:
    odd = ODD.replace("/", "∕")  # as far as a folder's name can hold it
    write_run(odd, [4.0, 1.0], {"arch.activation": ODD, "data.name": ODD}, status=ODD)
    write_run("b", [4.0, 1.0], {"arch.activation": "tanh", "data.name": ODD})
    shown = page(tmp_path, f"left out: {ODD}")
    assert odd in shown.column("runs", "folder") and ODD in shown.column("runs", "activation")
    assert ODD in shown.column("runs", "status") and ODD in shown.sections["left-out"]
    assert any(ODD in curve["label"] for curve in shown.data["views"]["runs"])
    assert len(shown.scripts) == 2 and not [tag for tag, _ in shown.elements if tag == "img"]


def test_nothing_is_fetched(sweep: Path) -> None:
    shown = page(sweep)
    links = [own[key] for _, own in shown.elements for key in ("src", "href") if own.get(key)]
    assert set(links) <= {"data:,", "#left-out"}
    records = [read_run(one) for one in find_runs([sweep])]
    text = report(records, [], AT_THE_FLOOR)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", text)
    assert "default-src 'none'" in text


def test_a_page_of_three_runs_is_small(write_run: WriteRun, tmp_path: Path) -> None:
    for i in range(3):
        losses = [4.0 * 0.9**n for n in range(500)]
        write_run(f"{i}", losses, {"optimizer.lr": 0.01 * (i + 1)})
    shown = page(tmp_path)
    assert all(len(curve["y"]) <= 200 for curve in shown.data["views"]["runs"])
    records = [read_run(one) for one in find_runs([tmp_path])]
    assert len(report(records, [], AT_THE_FLOOR)) < 60_000


@pytest.mark.parametrize("rows", [1, 2, 39, 200, 201, 5000])
@pytest.mark.parametrize("most", [40, 200])
def test_of_many_points_those_at_both_ends_are_kept(rows: int, most: int) -> None:
    found = kept(rows, most)
    assert found[0] == 0 and found[-1] == rows - 1 and len(found) <= most
    assert found == sorted(set(found)) and len(found) >= min(rows, most // 2)


def test_a_thousand_runs_have_fewer_points_each() -> None:
    assert points_each(1000) * 1000 <= 40_000 and points_each(3) == 200


def test_the_command(
    sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (sweep / "0.01-0" / "metrics.csv").write_text("junk\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert cli.main(["report", str(sweep), "--where", "lr<0.04"]) == 0
    shown, said = capsys.readouterr()
    assert shown == "report.html\n" and said.startswith(
        f"nglab: left out: {sweep}/0.01-0/metrics.csv"
    )
    read = Page(Path("report.html").read_text())
    assert len(read.column("runs", "folder")) == 3
    assert "0.01-0/metrics.csv has no column" in read.sections["left-out"]
    assert [file.name for file in Path().iterdir()] == ["report.html"]


WRONG = {
    "out=runs/0.01-0/report.html": "lies in the folder of a run",
    "target=0": "target=0: must be a test loss, above 0",
    "target=low": "target=low: must be a test loss",
    "where=lr>5": "where lr>5: so is none of 6 runs",
    "where=lrr>5": "lrr: no such column",
    "wheer=lr>5": "wheer: no such key; did you mean where?",
}


@pytest.mark.parametrize("word", WRONG)
def test_wrong_input_writes_nothing(
    word: str, sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(sweep.parent)
    before = sorted(sweep.rglob("*"))
    assert cli.main(["report", str(sweep), word.replace("runs", sweep.name)]) == 2
    assert WRONG[word] in capsys.readouterr().err
    assert sorted(sweep.rglob("*")) == before and not Path("report.html").exists()
