"""Runs as other programs read them."""

import re
import struct
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

import nglab
from nglab import cli
from nglab.exporting import formats

WriteRun = Callable[..., Path]
INF = float("inf")
PACKAGE = Path(nglab.__file__).parent
pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture
def runs(write_run: WriteRun, tmp_path: Path) -> Path:
    """Two that are done, one of them diverged, and one that is not."""
    write_run("runs/a", [4.0, 1.0, 0.5], {"optimizer.lr": 0.01})
    write_run("runs/deep/b", [4.0, INF], {"optimizer.lr": 0.5, "seed": 1}, status="diverged")
    write_run("runs/c", [4.0, 3.0], {"optimizer.lr": 0.02}, status=None)
    return Path("runs")


def export(*words: str) -> int:
    return cli.main(["export", *words])


def test_csv(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export("runs", "--to", "csv", "--out", "tables") == 0
    shown, said = capsys.readouterr()
    assert shown.split() == ["tables/runs.csv", "tables/rows.csv"]
    assert said == "nglab: left out: runs/c is unfinished\n"
    assert pd.read_csv("tables/runs.csv")["optimizer.lr"].tolist() == [0.01, 0.5]
    rows = pd.read_csv("tables/rows.csv")
    assert rows.run.tolist() == ["a"] * 3 + ["deep/b"] * 2
    assert rows["optimizer.lr"].tolist() == [0.01] * 3 + [0.5] * 2
    assert rows.test_loss.tolist() == [4.0, 1.0, 0.5, 4.0, INF]
    assert rows.columns[:4].tolist() == ["run", "optimizer.lr", "seed", "step"]


def test_tensorboard(runs: Path) -> None:
    """As TensorBoard itself reads them back."""
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    assert export("runs", "to=tensorboard") == 0
    folder = Path("outputs/exported/tensorboard")
    assert {str(file.parent.relative_to(folder)) for file in folder.rglob("*tfevents*")} == {
        "a",
        "deep/b",
    }
    read = EventAccumulator(str(folder / "a")).Reload()
    losses = read.Scalars("test_loss")
    assert [(one.step, one.value) for one in losses] == [(0, 4.0), (1000, 1.0), (2000, 0.5)]
    assert [one.wall_time - losses[0].wall_time for one in losses] == [0.0, 1.0, 2.0]
    assert read.Scalars("step")[-1].value == 100
    assert read.Scalars("summary/minimum_loss")[0].value == pytest.approx(1e-5)
    start = read.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    settings = HParamsPluginData.FromString(start).session_start_info.hparams
    assert settings["optimizer.lr"].number_value == 0.01
    assert settings["optimizer.name"].string_value == "sgd"
    assert settings["arch.bias"].bool_value is False


def logged(content: bytes) -> Iterator[bytes]:
    """The records of a log as LevelDB keeps it: blocks of 32 KiB, in which each piece has 7 bytes before it."""
    block, at, whole = 2**15, 7, b""
    while at < len(content):
        if block - at % block < 7:
            at += block - at % block
        _, length, kind = struct.unpack("<IHB", content[at : at + 7])
        whole += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # all of it, or the last piece
            yield whole
            whole = b""


def test_wandb_offline(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands in the files that `wandb sync` would send."""
    pytest.importorskip("wandb", reason="needs wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    assert export("runs", "to=wandb-offline", "out=kept", "where=folder~a") == 0
    (folder,) = Path("kept/wandb").glob("offline-run-*")
    (file,) = folder.glob("*.wandb")
    records = [Record.FromString(data) for data in logged(file.read_bytes())]
    (run,) = (record.run for record in records if record.HasField("run"))
    config = {item.key: item.value_json for item in run.config.update}
    assert (run.display_name, config["optimizer.lr"]) == ("a", "0.01")
    rows = [
        {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
        for record in records
        if record.HasField("history")
    ]
    assert [(row["_step"], row["test_loss"]) for row in rows] == [
        ("0", "4"),
        ("1000", "1"),
        ("2000", "0.5"),
    ]


NEEDED = {"tensorboard": "tensorboard", "wandb-offline": "wandb"}


@pytest.mark.parametrize("name", NEEDED)
def test_a_package_that_is_missing_is_named(
    name: str, runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda package: None)
    assert export("runs", f"to={name}") == 2
    said = capsys.readouterr().err
    assert f"to={name}: needs the package {NEEDED[name]}" in said and "nglab[export]" in said
    assert not Path("outputs").exists()


@pytest.mark.parametrize("name", formats.FORMATS)
def test_every_format_is_there(name: str) -> None:
    if formats.FORMATS[name].needs and find_spec(formats.FORMATS[name].needs) is None:
        pytest.skip(f"needs {formats.FORMATS[name].needs}")
    assert callable(formats.writer(name))


OTHERS = sorted(set(PACKAGE.rglob("*.py")) - set(PACKAGE.glob("exporting/*.py")))


@pytest.mark.parametrize("package", NEEDED.values())
def test_nothing_else_needs_them(package: str) -> None:
    imports = re.compile(rf"^\s*(?:import|from) (?:torch\.utils\.)?{package}", re.MULTILINE)
    assert not [file for file in OTHERS if imports.search(file.read_text())]
    assert [file for file in PACKAGE.glob("exporting/*.py") if imports.search(file.read_text())]


WRONG = {
    "to=excel": "to=excel: must be one of csv, tensorboard, wandb-offline",
    "to=cvs": "did you mean csv?",
    "out=x": "to is missing: must be to=csv, tensorboard or wandb-offline",
    "to=csv out=runs": "out: runs holds something already: give a new folder",
    "to=csv out=runs/a/new": "lies in the folder of a run",
    "to=csv out=/proc/x": "out: /proc/x cannot be made",
    "to=csv where=status=unfinished": "no run here is finished or diverged",
    "to=csv where=lr>5": "so is none of 3 runs",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_input_writes_nothing(
    words: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(Path().rglob("*"))
    assert export("runs", *words.split()) == 2
    assert WRONG[words] in capsys.readouterr().err
    assert sorted(Path().rglob("*")) == before
