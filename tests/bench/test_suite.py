import logging
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import matplotlib.image
import pandas as pd
import pytest
from same_process import SameProcess

from nglab import cli
from nglab.bench import cost, scaling, solving, step_tables, suite, timing, whole_runs
from nglab.bench.cases import network_of
from nglab.bench.module_steps import AUTOGRAD, MODULE_STEPS
from nglab.bench.nglab_steps import nglab_ngd
from nglab.bench.timing import VENDOR

MODULES = {AUTOGRAD: MODULE_STEPS[AUTOGRAD]}


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cost, "SIZES", (8, 16))
    monkeypatch.setattr(scaling, "SWEEPS", {"width": (4, 8), "samples": (1, 2)})
    monkeypatch.setattr(scaling, "BASE", {"width": 4, "depth": 2, "batch": 20, "samples": 1})
    monkeypatch.setattr(solving, "WIDTHS", (4, 8))
    for name, value in {"SGD_CALL": 2, "STACK_CALL": 2, "RUNS": 3, "NGD_BATCH": 30,
                        "KFAC_BATCH": 30, "PEERS": {"broken": broken},
                        "MODEL_BATCHES": {"MLP": 4, "CNN": 4}, "MODULE_STEPS": MODULES}.items():  # fmt: skip
        monkeypatch.setattr(step_tables, name, value)
    for name in ("jax_scan_sgd", "jax_scan_momentum"):
        monkeypatch.setattr(step_tables, name, nglab_ngd)  # which compiles nothing
    for name in ("jax_stack_sgd", "kfac_jax_step"):
        monkeypatch.setattr(step_tables, name, lambda _, case: nglab_ngd(case))
    monkeypatch.setattr(suite, "workers", same_process)
    monkeypatch.setattr(whole_runs, "PASSES", 0.1)
    monkeypatch.setattr(timing, "ROUND_SECONDS", 0.0)
    monkeypatch.delitem(whole_runs.CONTENDERS, "kfac-jax, as kfac")
    monkeypatch.setattr(logging.getLogger("nglab"), "handlers", [])  # what the command adds


@contextmanager
def same_process(blas, threads):
    yield [SameProcess(one) for one in blas]


def broken(case):
    raise ValueError("too many values to unpack")


def test_everything_is_measured_and_written(capsys):
    assert cli.main(["bench", "panels=C,A", "rounds=2", "seeds.A=1", "seeds.C=1", "out=here"]) == 0
    files = [Path(line) for line in capsys.readouterr().out.splitlines() if line.startswith("here")]
    drawn = ("sgd", "ngd", "parts", "scaling", "solvers")
    names = {"bench.csv", "bench.md", *(f"bench_{w}.{f}" for w in drawn for f in ("png", "svg"))}
    assert {f.name for f in files} == names == {f.name for f in Path("here").iterdir()}
    for file in files:
        if file.suffix == ".png":
            assert matplotlib.image.imread(file).std() > 0.01

    rows = pd.read_csv("here/bench.csv")
    assert set(rows.what) == set(suite.MEASUREMENTS)
    assert set(rows.dtype[rows.what == "runs"]) == {"float32"}
    steps = rows[rows.what.isin(["sgd", "ngd"])]
    assert set(steps.panel) == {"A", "C"} and set(steps.dtype) == {"float32", "float64"}
    ours = steps[steps.contender == "nglab"]
    assert (
        (ours.over_nglab == 1).all()
        and (ours.over_roof > 0).all()
        and (ours.blas == "lifted").all()
    )
    assert (steps.blas[steps.contender == f"nglab{VENDOR}"] == "vendor").all()
    assert steps.over_explicit[steps.contender.str.startswith("explicit f")].eq(1).all()
    assert (rows.ms[rows.error.isna() & (rows.what != "runs")] > 0).all()

    modules = rows[rows.what == "modules"].dropna(subset="ms")
    assert set(modules.panel) == {
        f"{m}, {r}" for m in ("MLP", "CNN") for r in ("each step", "every tenth")
    }
    assert (modules.over_autograd == 1).all()

    text = Path("here/bench.md").read_text()
    assert "1 thread, 2 rounds" in text and "torch 2." in text and "BLAS, lifted: " in text
    assert "- broken (A, C): ValueError: too many values to unpack" in text
    assert "| broken | – | – |" in text
    assert "width" in text and "Sherman–Morrison" in text
    for dtype, blas in product(("float32", "float64"), ("lifted", "vendor")):
        assert f"| SGD ÷ JAX's scan | {dtype} | {blas} | " in text
    assert text.index("## float32") < text.index("### Whole runs") < text.index("## float64")
    assert "× the target" in text  # SGD is not there after a tenth of a pass


def test_one_process_and_one_precision(capsys):
    assert (
        cli.main(["bench", "what=sgd", "panels=A", "rounds=1", "dtype=float64", "blas=vendor"]) == 0
    )
    rows = pd.read_csv("outputs/bench/bench.csv")
    assert set(rows.dtype) == {"float64"} and set(rows.blas.dropna()) == {"vendor"}
    assert not rows.contender.str.endswith(VENDOR).any()
    assert set(rows.what) == {"gemm", "sgd"}  # a roof wants the rate
    floor = rows[(rows.what == "sgd") & (rows.contender == cost.ROOF)].iloc[0]
    flops = cost.flops_sgd(network_of("A"), 20)
    assert floor.ms == pytest.approx(flops / rows.gflops.max() * 1e-6, rel=1e-4)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("what=steps", "what=steps: must be one of gemm, sgd,"),
        ("panels=A,E", "panels=E: must be one of A, B, C, D"),
        ("panels=[]", "panels=[]: must be one or more of A, B, C, D"),
        ("rounds=0", "rounds=0: must be a whole number of 1 or more"),
        ("seeds.A=1.5", "seeds.A=1.5: must be a whole number of 1 or more"),
        ("seeds=2", "seeds=2: must be given by panel"),
        ("threads=two", "threads=two: must be a whole number"),
        ("threads=100000", "threads=100000: must be at most"),
        ("dtype=float16", "dtype=float16: must be one of float32, float64"),
        ("blas=fast,vendor", "blas=fast: must be one of lifted, vendor"),
        ("runds=3", "runds: no such key; did you mean rounds?"),
        ("out=file", "out: "),
        ("++dtype=null", "dtype=None: must be a list of some of float32, float64"),
    ],
)
def test_wrong_input(argument, message, capsys):
    Path("file").touch()
    assert cli.main(["bench", argument]) == 2
    assert capsys.readouterr().err.startswith(f"nglab: {message}")
    assert [p.name for p in Path.cwd().iterdir()] == ["file"]
