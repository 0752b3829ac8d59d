"""`nglab bench`: which measurements are made, and what is written of them."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import pandas as pd
import torch
from omegaconf import DictConfig, ListConfig

from nglab.bench import step_tables
from nglab.bench.bench_report import write_report
from nglab.bench.cases import PANELS, network_of
from nglab.bench.cost import matmul_rates, with_roof
from nglab.bench.parts import parts_of_step
from nglab.bench.processes import BLAS, workers
from nglab.bench.scaling import scaling
from nglab.bench.solving import solvers
from nglab.bench.step_tables import Ring
from nglab.bench.timing import on_cores
from nglab.bench.whole_runs import whole_runs
from nglab.networks.network import Network
from nglab.runs.cores import available_cores
from nglab.runs.machine import machine
from nglab.runs.outputs import check_folder
from nglab.settings.messages import demand, one_of

log = logging.getLogger(__name__)

DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Settings:
    what: list[str]
    panels: list[str]
    rounds: int
    seeds: dict[str, int]
    threads: int
    dtype: list[str]
    blas: list[str]


Measurement = Callable[[Ring, Settings], pd.DataFrame]


def on_panels(
    compare: Callable[[Ring, Network], pd.DataFrame], panels: str = "ABCD"
) -> Measurement:
    """A comparison on the network of each panel that is asked for."""

    def measured(ring: Ring, settings: Settings) -> pd.DataFrame:
        chosen = [panel for panel in settings.panels if panel in panels]
        tables = [compare(ring, network_of(panel)).assign(panel=panel) for panel in chosen]
        return pd.concat(tables) if tables else pd.DataFrame()

    return measured


def gemm(ring: Ring, settings: Settings) -> pd.DataFrame:
    return matmul_rates(ring.processes, ring.dtype, ring.rounds).assign(panel="matmul")


def parts(ring: Ring, network: Network) -> pd.DataFrame:
    plan, worker = ring.plan(network, step_tables.NGD_BATCH, 1), ring.processes[0]
    return worker.ask(parts_of_step, plan, ring.rounds).assign(blas=worker.blas)


def modules(ring: Ring, settings: Settings) -> pd.DataFrame:
    pairs = product(step_tables.MODEL_BATCHES, step_tables.REFRESHES)
    return pd.concat([step_tables.modules(ring, *pair) for pair in pairs])


def in_first(sweep: Callable[[torch.dtype, int], pd.DataFrame]) -> Measurement:
    """A sweep of its own, in the first process."""

    def measured(ring: Ring, settings: Settings) -> pd.DataFrame:
        worker = ring.processes[0]
        return worker.ask(sweep, ring.dtype, ring.rounds).assign(blas=worker.blas)

    return measured


def runs(ring: Ring, settings: Settings) -> pd.DataFrame:
    chosen = {panel: settings.seeds[panel] for panel in settings.panels}
    return whole_runs(ring.processes[0], chosen, ring.dtype)


MEASUREMENTS: dict[str, Measurement] = {
    "gemm": gemm,
    "sgd": on_panels(step_tables.sgd),
    "momentum": on_panels(step_tables.momentum),
    "ngd": on_panels(step_tables.ngd),
    "kfac": on_panels(step_tables.kfac),
    "layerwise": on_panels(step_tables.layerwise),
    "stacks": on_panels(step_tables.stacks, "ABC"),
    "parts": on_panels(parts),
    "libraries": on_panels(step_tables.libraries),
    "modules": modules,
    "runs": runs,
    "scaling": in_first(scaling),
    "solvers": in_first(solvers),
}
IN_FIRST_DTYPE = {"libraries", "modules", "runs", "scaling", "solvers"}
IN_FEWER_ROUNDS = IN_FIRST_DTYPE - {"runs"}  # a quarter: what differs by factors
HAVE_A_ROOF = {"sgd", "ngd"}


def bench(config: DictConfig, folder: Path) -> list[Path]:
    """Measure what `config` asks for; `bench.csv`, `bench.md` and pictures go into `folder`. Returns the files."""
    settings = read_settings(config)
    check_folder(folder)
    with on_cores(settings.threads), workers(settings.blas, settings.threads) as processes:
        blas = {worker.blas: worker.ask(machine)["BLAS"] for worker in processes}
        ring = Ring(processes, settings.rounds, torch.float32)
        rows = with_roof(measurements(ring, settings))
    return write_report(rows, blas, settings.threads, settings.rounds, folder)


def read_settings(config: DictConfig) -> Settings:
    """`config` checked: InputError at the first value that is wrong."""
    chosen: dict[str, list[str]] = {}
    known = {"what": tuple(MEASUREMENTS), "panels": tuple(PANELS), "dtype": DTYPES, "blas": BLAS}
    for key, values in known.items():
        right = f"a list of some of {', '.join(values)}"
        demand(isinstance(config[key], ListConfig), key, config[key], right)
        chosen[key] = list(dict.fromkeys(map(str, config[key])))
        demand(len(chosen[key]) > 0, key, chosen[key], f"one or more of {', '.join(values)}")
        for name in chosen[key]:
            demand(name in values, key, name, one_of(values))
    counts = {key: config[key] for key in ("rounds", "threads")}
    demand(isinstance(config.seeds, DictConfig), "seeds", config.seeds, "given by panel: seeds.A=3")
    seeds = {panel: config.seeds[panel] for panel in PANELS}
    for key, value in (counts | {f"seeds.{panel}": n for panel, n in seeds.items()}).items():
        demand(isinstance(value, int) and value >= 1, key, value, "a whole number of 1 or more")
    cores = available_cores()
    right = f"at most {cores}, the cores at hand"
    demand(config.threads <= cores, "threads", config.threads, right)
    return Settings(**{**chosen, **counts, "seeds": seeds, "panels": sorted(chosen["panels"])})


def measurements(ring: Ring, settings: Settings) -> pd.DataFrame:
    """All rows; the columns `what` and `dtype` name the measurement. The matmul rate is wanted wherever a roof is."""
    asked = {"gemm", *settings.what} if HAVE_A_ROOF & set(settings.what) else set(settings.what)
    tables = []
    for dtype in settings.dtype:
        for what in (name for name in MEASUREMENTS if name in asked):
            if dtype == settings.dtype[0] or what not in IN_FIRST_DTYPE:
                log.info("%s, %s", what, dtype)
                rounds = -(-settings.rounds // 4) if what in IN_FEWER_ROUNDS else settings.rounds
                at = replace(ring, dtype=getattr(torch, dtype), rounds=rounds)
                tables.append(MEASUREMENTS[what](at, settings).assign(what=what, dtype=dtype))
    return pd.concat(tables, ignore_index=True)
