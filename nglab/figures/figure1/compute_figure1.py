"""Figure 1: SGD's learning rate by grid search, then SGD and NGD from the same start, then the pictures.

The grid trains all rates and seeds of a panel as stacks. The curves come from ordinary runs, one at a time, so that
their seconds are those of a run alone on the machine. Whatever is in the folder already is not done again.
"""

import logging
import math
import os
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from nglab.errors import InputError
from nglab.figures.figure1.draw_figure1 import draw_figure1, draw_learning_rates, table, to_markdown
from nglab.runs.config import check
from nglab.runs.ownership import finished
from nglab.runs.run import build_each, run
from nglab.runs.table import read_run
from nglab.settings.composing import compose
from nglab.sweeps.grouping import group
from nglab.sweeps.workers import in_processes, useful_processes
from nglab.training.loop import train
from nglab.training.replicas import stack

log = logging.getLogger(__name__)

METHODS = {"SGD": "sgd", "NGD": "ngd"}
MEMORY, CACHE = 4 * 2**30, 4 * 2**20
"""Bytes that the stacks of the grid may take at a time, and that a step of one may touch: above, it is split."""


@dataclass(frozen=True)
class Panel:
    """One column of the figure."""

    arch: str
    paper_rate: float
    rates: list[float]
    grid_passes: float
    passes: float
    seeds: int
    overrides: list[str] = field(default_factory=list)
    ngd: list[str] = field(default_factory=list)

    def command(self, method: str, seed: int, passes: float, lr: float | None = None) -> list[str]:
        """The overrides of `nglab run` that make one run of this panel."""
        rate = [] if lr is None else [f"optimizer.lr={lr:g}"]
        own = self.ngd if method == "NGD" else []
        return [f"arch={self.arch}", f"optimizer={METHODS[method]}", *rate, *own,
                f"seed={seed}", f"train.passes={passes:g}", *self.overrides]  # fmt: skip


def figure1(config: DictConfig, folder: Path) -> list[Path]:
    """Train what is missing and write `figure1.*` and `learning_rates.*` into `folder`; returns the files."""
    panels = read_panels(config)
    for panel in panels.values():  # everything is checked before anything is trained
        for method in METHODS:
            check(compose(panel.command(method, 0, panel.passes)))
    grids, curves = [], []
    for name, panel in panels.items():
        grid = grid_search(panel, folder / "grid")
        best = best_rate(grid)
        grids.append(grid.assign(panel=name, chosen=grid.learning_rate == best))
        log.info("panel %s (%s): SGD's best rate is %g", name, panel.arch, best)
        for seed in range(panel.seeds):
            for method, lr in (("SGD", best), ("NGD", None)):
                command = panel.command(method, seed, panel.passes, lr)
                record = run_once(command, folder / "runs")
                curves.append(record.assign(panel=name, arch=panel.arch, method=method, seed=seed))
    return write_figure(pd.concat(curves), pd.concat(grids), folder)


def read_panels(config: DictConfig) -> dict[str, Panel]:
    """The panels asked for, the preset's settings filled in."""
    known = OmegaConf.to_container(config.panel, resolve=True)
    assert isinstance(known, dict)
    for name in config.panels:
        if name not in known:
            raise InputError(
                f"panels: there is no panel {name!r}; there are {', '.join(map(str, known))}"
            )
    if config.seeds is not None and config.seeds < 1:
        raise InputError(f"seeds={config.seeds}: give at least one")
    seeds = {} if config.seeds is None else {"seeds": config.seeds}
    return {name: Panel(**{**known[name], **seeds}) for name in sorted(set(config.panels))}


def grid_search(panel: Panel, folder: Path) -> pd.DataFrame:
    """SGD at every rate and seed: one row each, with its final test loss (∞ where it diverged)."""
    file = folder / f"{folder_name(panel.command('SGD', panel.seeds, panel.grid_passes))}.csv"
    wanted = {(rate, seed) for rate in panel.rates for seed in range(panel.seeds)}
    if file.exists():
        table = pd.read_csv(file)
        if set(zip(table.learning_rate, table.seed, strict=True)) == wanted:
            return table
    members = sorted(wanted)
    log.info("%s: SGD at %d rates × %d seeds", panel.arch, len(panel.rates), panel.seeds)
    final = train_stacks([panel.command("SGD", s, panel.grid_passes, lr) for lr, s in members])
    table = pd.DataFrame(members, columns=["learning_rate", "seed"]).assign(
        arch=panel.arch,
        passes=panel.grid_passes,
        paper_learning_rate=panel.paper_rate,
        **final,
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(table, file)
    return table


def train_stacks(commands: list[list[str]]) -> dict[str, Any]:
    """Train the runs that `commands` name, stacked where that is faster; their final and least possible test losses."""
    configs = [check(compose(command)) for command in commands]
    problems, first = build_each(configs), configs[0]
    processes = useful_processes(config.device for config in configs)
    groups = group(configs, MEMORY / processes, CACHE, processes)

    def final_losses(members: list[int]) -> list[float]:
        parts = [problems[i] for i in members]
        problem = stack(parts) if len(parts) > 1 else parts[0]
        losses = []
        for evaluation in train(problem, configs[0].train.passes, configs[0].data.train_examples):
            losses.append(evaluation.test_loss.flatten())
        log.info("%d runs more, median loss %.4g", len(members), losses[-1].nanmedian())
        # as `run` has it, diverged is what is not finite or ends above its start
        ended_below = losses[-1] <= losses[0]
        return losses[-1].masked_fill(~ended_below, math.inf).tolist()

    losses_of_groups = in_processes(final_losses, groups, processes)
    final = dict(zip(chain(*groups), chain(*losses_of_groups), strict=True))
    return {
        "final_test_loss": [final[i] for i in range(len(configs))],
        "minimum_loss": first.data.minimum_loss(first.arch, first.likelihood),
    }


def best_rate(grid: pd.DataFrame) -> float:
    """The rate with the smallest median over seeds of the final test loss."""
    medians = grid.groupby("learning_rate").final_test_loss.median()
    best = float(medians.idxmin())
    if best in (medians.index.min(), medians.index.max()):
        log.warning("the best rate %g lies at the end of the grid: widen it", best)
    return best


def run_once(command: list[str], folder: Path) -> pd.DataFrame:
    """The rows of one run, trained in `folder` unless it was finished there before."""
    home, config = folder / folder_name(command), check(compose(command))
    if not finished(home, config.described()):
        log.info("nglab run %s", " ".join(command))
        run(config, home)
    record = read_run(home)
    return record.metrics.assign(
        status=record.summary["status"],
        minimum_loss=record.summary["minimum_loss"],
        widths="-".join(map(str, record.config.arch.widths)),
        initial_damping=OmegaConf.select(
            record.config, "optimizer.damping.initial", default=math.nan
        ),
    )


def folder_name(command: list[str]) -> str:
    return ",".join(command).replace("/", "_")


def write_csv(table: pd.DataFrame, file: Path) -> None:
    partial = file.with_name(file.name + ".partial")
    table.to_csv(partial, index=False)
    os.replace(partial, file)


def write_figure(curves: pd.DataFrame, grid: pd.DataFrame, folder: Path) -> list[Path]:
    """The pictures, the tables behind them, and `figure1.md`."""
    files = [folder / "figure1.csv", folder / "learning_rates.csv", folder / "figure1.md"]
    write_csv(curves, files[0])
    write_csv(grid, files[1])
    files[2].write_text(to_markdown(table(curves, grid)))
    return [
        *draw_figure1(curves, grid, folder / "figure1"),
        *draw_learning_rates(grid, folder / "learning_rates"),
        *files,
    ]
