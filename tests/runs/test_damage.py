"""Damaged runs: commands show the whole ones and name the damaged files; a start says what to do about them."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

import nglab as ng
from nglab import cli
from nglab.errors import InputError
from nglab.runs import table
from nglab.runs.checkpoint import CheckpointFile
from nglab.runs.config import check
from nglab.runs.run import run
from nglab.runs.table import find_runs, read_run
from nglab.settings.composing import compose

pytestmark = pytest.mark.usefixtures("in_process")

SMALL = ["arch=mlp", "arch.widths=[5,4,3]", "data.train_examples=90", "data.test_examples=20",
         "optimizer=sgd", "optimizer.batch_size=20", "train.passes=2", "optimizer.lr=0.2",
         "train.checkpoint_every=40"]  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A run that is whole."""
    folder = tmp_path_factory.mktemp("runs") / "sound"
    composed = compose(SMALL)
    run(check(composed), folder, progress=False)
    (folder / ".hydra").mkdir()
    OmegaConf.save(composed, folder / ".hydra" / "config.yaml")
    return folder


def holds(name, text):
    return lambda folder: (folder / name).write_bytes(text.encode() if type(text) is str else text)


def lines(change):
    """Changes the lines of `metrics.csv`."""

    def damage(folder):
        file = folder / "metrics.csv"
        file.write_text("\n".join(change(file.read_text().splitlines())) + "\n")

    return damage


def summary(**changes):
    def damage(folder):
        file = folder / "summary.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return damage


def a_folder_in_its_place(name):
    def damage(folder):
        (folder / name).unlink()
        (folder / name).mkdir()

    return damage


def old(text):
    """The configuration of a run of before `run.json`."""

    def damage(folder):
        (folder / "run.json").unlink()
        (folder / ".hydra" / "config.yaml").write_text(text)

    return damage


def gone(name):
    return lambda folder: (folder / name).unlink()


DAMAGE = {  # what is done to a run: the file that is named, and the reason
    "no header": (lines(lambda rows: rows[1:]), "metrics.csv has no column step"),
    "empty rows": (holds("metrics.csv", ""), "metrics.csv has no column step"),
    "cut header": (holds("metrics.csv", "step,exam"), "metrics.csv has no column step"),
    "no test_loss": (
        lines(lambda rows: [rows[0].replace("test_loss", "loss"), *rows[1:]]),
        "metrics.csv has no column test_loss",
    ),
    "text among numbers": (
        lines(lambda rows: [*rows[:-1], rows[-1].replace("9", "nine")]),
        "metrics.csv has text in the column ",
    ),
    "a row too short": (
        lines(lambda rows: [*rows[:-1], rows[-1].rpartition(",")[0], rows[-1]]),
        "metrics.csv has a row of 6 numbers under 7 names",
    ),
    "a row without its step": (
        lines(lambda rows: [*rows, rows[-1][rows[-1].index(",") :]]),
        "metrics.csv has a row without one of step",
    ),
    "bytes as rows": (holds("metrics.csv", b"\xff\xfe\x00"), "metrics.csv cannot be read"),
    "a folder as rows": (a_folder_in_its_place("metrics.csv"), "metrics.csv cannot be read (Is a"),
    "no rows": (gone("metrics.csv"), "metrics.csv is missing"),
    "a list as summary": (holds("summary.json", "[1]"), "summary.json holds [1], no mapping"),
    "null as summary": (holds("summary.json", "null"), "summary.json holds None, no mapping"),
    "text as summary": (holds("summary.json", '"done"'), "summary.json holds 'done', no mapping"),
    "an empty summary": (holds("summary.json", ""), "summary.json cannot be read"),
    "a cut summary": (holds("summary.json", '{"status": "fin'), "summary.json cannot be read"),
    "junk as summary": (holds("summary.json", b"\x00\xff"), "summary.json cannot be read"),
    "nested too deep": (holds("summary.json", "[" * 100_000), "summary.json cannot be read"),
    "a summary without status": (holds("summary.json", "{}"), "summary.json has no status"),
    "a number as status": (summary(status=1), "summary.json has status=1, no text"),
    "text as a loss": (summary(minimum_loss="low"), "summary.json has minimum_loss='low', no num"),
    "a folder as summary": (a_folder_in_its_place("summary.json"), "summary.json cannot be read"),
    "an empty owner": (holds("run.json", ""), "run.json cannot be read"),
    "a cut owner": (holds("run.json", '{"config": {'), "run.json cannot be read"),
    "a list as owner": (holds("run.json", "[]"), "run.json holds [], no mapping"),
    "no configuration": (holds("run.json", "{}"), "run.json has config=None, no mapping"),
    "a dangling value": (old("seed: ${nope}"), "config.yaml cannot be read (Interpolation key"),
    "a number as configuration": (old("7"), "config.yaml cannot be read"),
    "a list as configuration": (old("[1, 2]"), "config.yaml is not a mapping"),
    "an empty configuration": (old(""), "config.yaml is not a mapping"),
    "no YAML": (old("a: [1"), "config.yaml cannot be read"),
    "overrides that are a number": (holds(".hydra/overrides.yaml", "3"), ""),  # nobody reads them
}


@pytest.fixture
def tree(sound):
    """`runs`: a sound run, and one for each kind of damage; what is to be said of each of these."""
    shutil.copytree(sound, "runs/sound")
    said = {}
    for name, (damage, reason) in DAMAGE.items():
        folder = shutil.copytree(sound, Path("runs") / name)
        damage(folder)
        if reason:
            said[str(folder)] = reason
    return said


@pytest.mark.parametrize("command", ["list", "collect", "plot"])
def test_damaged_runs_are_named_and_the_others_are_shown(command, tree, capsys):
    assert cli.main([command, "runs"]) == 0
    shown, said = capsys.readouterr()
    for folder, reason in tree.items():
        (line,) = (line for line in said.splitlines() if f"out: {folder}/" in line)
        assert reason in line and folder not in shown
    assert len(said.splitlines()) == len(tree)
    if command == "plot":
        assert shown == "runs/comparison.png\nruns/comparison.pdf\n"
    else:
        assert len(shown.splitlines()) == 1 + len(DAMAGE) + 1 - len(tree)


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_run_that_was_named_itself_is_refused(name, sound, capsys):
    damage, reason = DAMAGE[name]
    damage(shutil.copytree(sound, Path("damaged")))
    for command in ("list", "collect", *(["plot"] if reason else [])):
        assert cli.main([command, "damaged"]) == (2 if reason else 0)
        shown, said = capsys.readouterr()
        assert reason in said and bool(shown) != bool(reason)


def test_python_warns_of_damaged_runs_and_takes_the_others(tree):
    with pytest.warns(UserWarning, match="left out: runs/") as warned:
        shown = ng.read_runs("runs")
    assert len(warned) == len(tree) and len(shown) == 1 + len(DAMAGE) - len(tree)
    with pytest.raises(InputError, match="summary"):
        ng.read_run("runs/a list as summary")


def test_check_says_of_each_run_what_it_is(tree, capsys):
    assert cli.main(["check", "runs"]) == 1
    *lines, last = capsys.readouterr().out.splitlines()
    assert "whole      runs/sound" in lines
    for folder, reason in tree.items():
        (line,) = (line for line in lines if line.startswith(f"damaged    {folder}: {folder}/"))
        assert reason in line
    assert last == f"{1 + len(DAMAGE) - len(tree)} whole, 0 unfinished, {len(tree)} damaged"


def test_a_folder_that_cannot_be_looked_into_is_named(sound, monkeypatch, capsys):
    shutil.copytree(sound, "runs/sound")
    Path("runs/closed").mkdir()
    scan = os.scandir

    def closed(place="."):
        if Path(place).name == "closed":
            raise PermissionError(13, "Permission denied", str(place))
        return scan(place)

    monkeypatch.setattr(os, "scandir", closed)
    monkeypatch.setattr(table, "read_columns", lambda file: os.listdir(closed(file.parent)))
    assert find_runs([Path("runs")]) == [Path("runs/closed"), Path("runs/sound")]
    with pytest.raises(InputError, match=r"runs/closed cannot be read \(Permission denied\)"):
        read_run(Path("runs/closed"))


def test_rows_that_end_before_their_summary_are_damage(sound, capsys):
    shutil.copytree(sound, "runs/0")
    lines(lambda rows: rows[:-1])(Path("runs/0"))
    assert cli.main(["check", "runs"]) == 1
    assert "metrics.csv ends at step 8, its summary at step 9: delete" in capsys.readouterr().out


def stopped(folder):
    """The run as a kill after its second checkpoint leaves it."""
    write = CheckpointFile.write

    def stopping(self, content):
        write(self, content)
        if len(list(self.folder.glob("checkpoint*"))) == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(CheckpointFile, "write", stopping)
        run(check(compose(SMALL)), folder, progress=False)
    (folder / "summary.json").unlink()


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def flipped(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


CUTS = {
    "a flipped bit": flipped,
    "nothing": lambda file: file.write_bytes(b""),
    "junk": lambda file: file.write_bytes(b"junk" * 100),
    "half": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "another object": lambda file: torch.save([1], file),
}


@pytest.mark.parametrize("cut", CUTS)
def test_where_the_newer_checkpoint_is_damaged_the_older_serves(cut, sound, caplog):
    folder = Path("stopped")
    stopped(folder)
    CUTS[cut](folder / "checkpoint.pt")
    run(check(compose(SMALL)), folder, progress=False)
    assert "checkpoint.pt is damaged" in caplog.text and "the older one is taken" in caplog.text
    expected, found = (read_run(f).metrics.drop(columns="train_seconds") for f in (sound, folder))
    assert expected.equals(found)
    assert not list(folder.glob("*checkpoint*"))


@pytest.mark.parametrize("cut", CUTS)
def test_without_a_sound_checkpoint_a_run_asks(cut, sound, capsys, caplog):
    folder = Path("stopped")
    stopped(folder)
    for file in folder.glob("checkpoint*"):
        CUTS[cut](file)
    before = contents(folder)
    assert cli.main(["run", *SMALL, "out=stopped"]) == 2
    said = capsys.readouterr().err
    assert (
        "a damaged checkpoint (checkpoint.pt and checkpoint.older.pt): say train.resume=anew"
        in said
    )
    assert contents(folder) == before
    assert cli.main(["check", "stopped"]) == 1
    assert "checkpoint.pt is damaged (its checksum is another)" in capsys.readouterr().out
    assert cli.main(["run", *SMALL, "out=stopped", "train.resume=anew"]) == 0
    assert "begun anew, in place of" in (folder / "nglab.log").read_text()
    expected, found = (read_run(f).metrics.drop(columns="train_seconds") for f in (sound, folder))
    assert expected.equals(found)


@pytest.mark.parametrize(("name", "said"), [
    ("summary.json", "delete it and start the run again"),
    ("run.json", "start the run again in another folder"),
])  # fmt: skip
@pytest.mark.parametrize("content", ["", "{", "junk", "[1]"])
def test_a_damaged_file_of_a_stopped_run_is_named_with_its_repair(name, said, content, capsys):
    folder = Path("stopped")
    stopped(folder)
    (folder / name).write_text(content)
    before = contents(folder)
    assert cli.main(["run", *SMALL, "out=stopped"]) == 2
    message = capsys.readouterr().err
    assert f"stopped/{name} " in message and said in message
    assert contents(folder) == before


@pytest.mark.parametrize("answer", ["ask", "anyway", "anew"])
def test_a_stopped_run_of_other_versions_asks(answer, capsys):
    folder = Path("stopped")
    stopped(folder)
    owner = json.loads((folder / "run.json").read_text())
    owner["versions"]["torch"] = "1.0"
    (folder / "run.json").write_text(json.dumps(owner))
    before = contents(folder)
    status = cli.main(["run", *SMALL, "out=stopped", f"train.resume={answer}"])
    assert status == (2 if answer == "ask" else 0)
    if answer == "ask":
        said = capsys.readouterr().err
        assert "torch=1.0, here" in said and "train.resume=anyway" in said and "=anew" in said
        assert contents(folder) == before
        return
    said = "going on from step" if answer == "anyway" else "begun anew, in place of"
    assert said in (folder / "nglab.log").read_text()
    assert json.loads((folder / "run.json").read_text())["versions"]["torch"] == (
        "1.0" if answer == "anyway" else torch.__version__
    )


def test_check_says_how_a_stopped_run_goes_on(capsys):
    stopped(Path("stopped"))
    assert cli.main(["check", "stopped"]) == 0
    assert "unfinished; started again, it goes on from checkpoint.pt" in capsys.readouterr().out
