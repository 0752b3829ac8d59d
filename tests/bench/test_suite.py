import logging
from pathlib import Path

import matplotlib.image
import pandas as pd
import pytest

from nglab import cli
from nglab.bench import cost, scaling, solving, suite


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cost, "SIZES", (8, 16))
    monkeypatch.setattr(scaling, "SWEEPS", {"width": (4, 8), "samples": (1, 2)})
    monkeypatch.setattr(scaling, "BASE", {"width": 4, "depth": 2, "batch": 20, "samples": 1})
    monkeypatch.setattr(solving, "WIDTHS", (4, 8))
    monkeypatch.setattr(suite, "SGD_CALL", 2)
    monkeypatch.setattr(suite, "NGD_BATCH", 30)
    monkeypatch.setattr(suite, "PEERS", {"broken": broken})
    monkeypatch.setattr(logging.getLogger("nglab"), "handlers", [])  # what the command adds


def broken(case):
    raise ValueError("too many values to unpack")


def test_everything_is_measured_and_written(capsys):
    assert cli.main(["bench", "panels=C,A", "rounds=2", "out=here"]) == 0
    files = [Path(line) for line in capsys.readouterr().out.splitlines() if line.startswith("here")]
    names = {"bench.csv", "bench.md"}
    names |= {
        f"bench_{w}.{f}"
        for w in ("sgd", "ngd", "parts", "scaling", "solvers")
        for f in ("png", "svg")
    }
    assert {f.name for f in files} == names == {f.name for f in Path("here").iterdir()}
    for file in files:
        if file.suffix == ".png":
            assert matplotlib.image.imread(file).std() > 0.01

    rows = pd.read_csv("here/bench.csv")
    assert set(rows.what) == {"gemm", "sgd", "ngd", "parts", "scaling", "solvers"}
    steps = rows[rows.what.isin(["sgd", "ngd"])]
    assert set(steps.panel) == {"A", "C"}
    assert (steps.over_nglab[steps.contender == "nglab"] == 1).all()
    assert steps.over_explicit[steps.contender.str.startswith("explicit f")].eq(1).all()
    assert (rows.ms[rows.error.isna()] > 0).all()

    text = Path("here/bench.md").read_text()
    assert "1 thread, float32, 2 rounds" in text and "torch 2." in text
    assert "- broken (A, C): ValueError: too many values to unpack" in text
    assert "| broken | – | – |" in text
    assert "width" in text and "Sherman–Morrison" in text


def test_the_arithmetic_floor_uses_the_measured_rate(capsys):
    assert cli.main(["bench", "what=steps", "panels=A", "rounds=1"]) == 0
    rows = pd.read_csv("outputs/bench/bench.csv")
    gflops = rows.gflops.max()
    floor = rows[(rows.what == "sgd") & (rows.contender == suite.FLOOR)].iloc[0]
    assert floor.ms == pytest.approx(cost.flops_sgd(suite.network_of("A"), 20) / gflops * 1e-6)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("what=step", "what=step: must be one of gemm, steps,"),
        ("panels=A,E", "panels=E: must be one of A, B, C, D"),
        ("panels=[]", "panels=[]: must be one or more of A, B, C, D"),
        ("rounds=0", "rounds=0: must be a whole number of 1 or more"),
        ("threads=two", "threads=two: must be a whole number"),
        ("threads=100000", "threads=100000: must be at most"),
        ("dtype=float16", "dtype=float16: must be one of float32, float64"),
        ("runds=3", "runds: no such key; did you mean rounds?"),
        ("out=file", "out=file: must be a folder"),
    ],
)
def test_wrong_input(argument, message, capsys):
    Path("file").touch()
    assert cli.main(["bench", argument]) == 2
    assert capsys.readouterr().err.startswith(f"nglab: {message}")
    assert [p.name for p in Path.cwd().iterdir()] == ["file"]
