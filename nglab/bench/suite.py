"""`nglab bench`: which measurements are made, and what is written of them."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from omegaconf import DictConfig

from nglab.bench.bench_report import write_report
from nglab.bench.cases import PANELS, make_case
from nglab.bench.cost import flops_ngd, flops_sgd, matmul_rates
from nglab.bench.parts import step_by_part
from nglab.bench.peers import PEERS
from nglab.bench.scaling import scaling
from nglab.bench.solving import solvers
from nglab.bench.steps import NGD_STEPS, SGD_STEPS, Maker
from nglab.bench.timing import measure, on_cores, table
from nglab.networks.network import Network
from nglab.runs.config import check
from nglab.runs.cores import available_cores
from nglab.settings.composing import compose
from nglab.settings.messages import demand, one_of

log = logging.getLogger(__name__)

DTYPES = ("float32", "float64")
WHAT = ("gemm", "steps", "parts", "scaling", "solvers")
SGD_BATCH, NGD_BATCH = 20, 1000
SGD_CALL = 100  # steps in one call: an epoch's share, over which JAX's dispatch spreads
FLOOR = "arithmetic at the matmul rate"
SGD_REFERENCES = {
    "over_autograd": "autograd, torch.optim.SGD",
    "over_explicit": "explicit",
    "over_nglab": "nglab",
}
NGD_REFERENCES = {
    "over_autograd": "autograd forward + backward",
    "over_explicit": "explicit forward + backward",
    "over_nglab": "nglab",
}


@dataclass(frozen=True)
class Settings:
    what: list[str]
    panels: list[str]
    rounds: int
    threads: int
    dtype: torch.dtype


def bench(config: DictConfig, folder: Path) -> list[Path]:
    """Measure what `config` asks for; `bench.csv`, `bench.md` and pictures go into `folder`. Returns the files."""
    settings = read_settings(config)
    with on_cores(settings.threads):
        rows = measurements(settings)
    return write_report(rows, settings.threads, config.dtype, settings.rounds, folder)


def read_settings(config: DictConfig) -> Settings:
    """`config` checked: InputError at the first value that is wrong."""
    what, panels = list(map(str, config.what)), list(map(str, config.panels))
    for key, chosen, known in (("what", what, WHAT), ("panels", panels, PANELS)):
        demand(len(chosen) > 0, key, chosen, f"one or more of {', '.join(known)}")
        for name in chosen:
            demand(name in known, key, name, one_of(known))
    for key in ("rounds", "threads"):
        value = config[key]
        demand(isinstance(value, int) and value >= 1, key, value, "a whole number of 1 or more")
    cores = available_cores()
    demand(
        config.threads <= cores, "threads", config.threads, f"at most {cores}, the cores at hand"
    )
    demand(config.dtype in DTYPES, "dtype", config.dtype, one_of(DTYPES))
    demand(not Path(config.out).is_file(), "out", config.out, "a folder")
    dtype = getattr(torch, config.dtype)
    return Settings(what, sorted(set(panels)), config.rounds, config.threads, dtype)


def measurements(settings: Settings) -> pd.DataFrame:
    """All rows, the column `what` naming the measurement."""
    what, dtype, rounds, tables = settings.what, settings.dtype, settings.rounds, []
    gflops = 0.0
    if {"gemm", "steps"} & set(what):
        rates = matmul_rates(dtype, rounds)
        gflops = float(rates.gflops.max())
        log.info("plain matrix products reach %.3g GFLOP/s", gflops)
        tables.append(rates.assign(what="gemm", panel="matmul"))
    networks = {panel: network_of(panel) for panel in settings.panels}
    for panel, network in networks.items():
        if "steps" in what:
            for kind, steps in (("sgd", sgd_steps), ("ngd", ngd_steps)):
                tables.append(
                    steps(panel, network, settings, gflops).assign(what=kind, panel=panel)
                )
        if "parts" in what:
            case = make_case(network, NGD_BATCH, 1, 1.0, dtype)
            tables.append(step_by_part(case, rounds).assign(what="parts", panel=panel))
    for name, sweep in (("scaling", scaling), ("solvers", solvers)):
        if name in what:
            tables.append(sweep(dtype, rounds).assign(what=name))
    return pd.concat(tables, ignore_index=True)


def network_of(panel: str) -> Network:
    arch = check(compose([f"arch={PANELS[panel]}"])).arch
    return Network(tuple(arch.widths), arch.activation, arch.bias)


def sgd_steps(panel: str, network: Network, settings: Settings, gflops: float) -> pd.DataFrame:
    """An SGD step on 20 examples; a rate so small that no contender diverges."""
    case = make_case(network, SGD_BATCH, SGD_CALL, 1e-4, settings.dtype)
    flops = flops_sgd(network, SGD_BATCH)
    makers = {name: partial(make, case) for name, make in SGD_STEPS.items()}
    times = measure(makers, settings.rounds, f"{panel}, SGD")
    return report(table(times, SGD_REFERENCES, SGD_CALL), panel, "SGD", flops / gflops)


def ngd_steps(panel: str, network: Network, settings: Settings, gflops: float) -> pd.DataFrame:
    """A K-FAC-type step on 1000 examples, everything refreshed; α = 1/L for the libraries, which then stay stable."""
    case = make_case(network, NGD_BATCH, 1, 1 / network.depth, settings.dtype)
    flops = flops_ngd(network, NGD_BATCH, 1)
    contenders: Mapping[str, Maker] = {**NGD_STEPS, **PEERS}
    makers = {name: partial(make, case) for name, make in contenders.items()}
    times = measure(makers, settings.rounds, f"{panel}, NGD")
    return report(table(times, NGD_REFERENCES), panel, "NGD", flops / gflops)


def report(rows: pd.DataFrame, panel: str, kind: str, nanoseconds: float) -> pd.DataFrame:
    """Say how nglab did, and add the arithmetic floor as a row."""
    by_name = rows.set_index("contender")
    nglab = by_name.loc["nglab"]
    log.info("%s, %s: nglab %.3g ms, %.3g × autograd, %.3g × explicit",
             panel, kind, nglab.ms, nglab.over_autograd, nglab.over_explicit)  # fmt: skip
    for name, error in by_name.get("error", pd.Series(dtype=str)).dropna().items():
        log.warning("%s, %s: %s could not run: %s", panel, kind, name, error)
    floor = {"contender": FLOOR, "ms": nanoseconds * 1e-6}
    for column in ("over_autograd", "over_explicit", "over_nglab"):
        floor[column] = nglab[column] * floor["ms"] / nglab.ms
    return pd.concat([rows, pd.DataFrame([floor])], ignore_index=True)
