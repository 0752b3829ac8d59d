"""Whole runs until the loss is where it can go: seconds of optimisation, and examples."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

import pandas as pd
import torch

from nglab.bench.cases import PANELS
from nglab.bench.kfac_jax_optimizer import RULES, settings_like
from nglab.bench.kfac_jax_training import kfac_jax_optimizer, train_one
from nglab.bench.nglab_steps import method
from nglab.bench.processes import Worker
from nglab.bench.timing import describe, quiet
from nglab.runs.build import build
from nglab.runs.config import Config, check
from nglab.runs.folder import FLOOR_FACTOR
from nglab.settings.composing import compose
from nglab.training.loop import train

METHODS = ("sgd", "ngd", "kfac", "layerwise")
PASSES = 10  # at most
LOSS = 5.0  # the target where the smallest possible loss is not known: that of D, ½ ‖y − x_L‖² an image
Rows = Iterator[dict[str, float]]
"""examples_seen, train_seconds and test_loss, before the first step and after each tenth of a pass."""


def whole_runs(worker: Worker, seeds: Mapping[str, int], dtype: torch.dtype) -> pd.DataFrame:
    """A row a contender and panel of `seeds`; in each seed one runs after the other, in the next backwards."""
    names, ends = list(CONTENDERS), []
    for panel, count in seeds.items():
        for seed in range(count):
            for name in names[:: -1 if seed % 2 else 1]:
                end = worker.ask(end_of_run, name, panel, seed, str(dtype).removeprefix("torch."))
                ends.append({"panel": panel, "contender": name, **end})
    order = {name: place for place, name in enumerate(names)}
    groups = pd.DataFrame(ends).groupby(["panel", "contender"], sort=False)
    rows = [{"panel": p, "contender": n, **middle(some)} for (p, n), some in groups]
    table = pd.DataFrame(rows).assign(blas=worker.blas)
    return table.sort_values(["panel", "contender"], key=lambda c: c.replace(order))


def end_of_run(name: str, panel: str, seed: int, dtype: str) -> dict[str, Any]:
    """The first row at the target, `at_target`, or the last of all; or the error."""
    try:
        with quiet():
            overrides = [f"arch={PANELS[panel]}", f"seed={seed}", f"dtype={dtype}"]
            config = check(compose([*overrides, "device=cpu", f"train.passes={PASSES}"]))
            target = target_of(config)
            for row in CONTENDERS[name](config):
                if row["test_loss"] <= target or not math.isfinite(row["test_loss"]):
                    break
    except Exception as error:  # whatever a library of others may raise
        return {"error": describe(error)}
    seen, seconds, loss = row["examples_seen"], row["train_seconds"], row["test_loss"]
    return {"at_target": loss <= target, "examples": seen, "seconds": seconds,
            "loss": loss, "target": target}  # fmt: skip


def target_of(config: Config) -> float:
    """1.1 × the smallest possible loss, `LOSS` where that is not known."""
    floor = config.data.minimum_loss(config.arch, config.likelihood)
    return LOSS if floor is None else FLOOR_FACTOR * floor


def middle(ends: pd.DataFrame) -> dict[str, Any]:
    """Medians over the runs; a run that did not reach its target takes without end."""
    if "error" in ends and ends.error.notna().any():
        return {"error": ends.error.dropna().iloc[0]}
    never = ~ends.at_target.astype(bool)
    medians = {c: ends[c].mask(never, math.inf).median() for c in ("seconds", "examples")}
    return {**medians, "runs": len(ends), "at_target": int((~never).sum()),
            "over_target": (ends.loss / ends.target).median()}  # fmt: skip


def nglab_run(name: str, config: Config) -> Rows:
    """With the settings of `conf/optimizer/<name>.yaml`."""
    problem = build(replace(config, optimizer=method(name)))
    for row in train(problem, config.train.passes, config.data.train_examples // 10):
        yield {"examples_seen": row.examples_seen, "train_seconds": row.train_seconds,
               "test_loss": float(row.test_loss)}  # fmt: skip


def kfac_jax_run(config: Config) -> Rows:
    """With those of nglab's `kfac`, all of kfac-jax's rules at work."""
    optimizer = compiled(config.dtype, config.names["arch"])
    return train_one(optimizer, config, method("kfac").batch_size, config.train.passes)


@cache
def compiled(dtype: str, arch: str) -> Any:
    """One optimizer for all seeds, so that it compiles once."""
    config = check(compose([f"arch={arch}", f"dtype={dtype}"]))
    return kfac_jax_optimizer(config, settings_like("kfac", RULES))


CONTENDERS: dict[str, Callable[[Config], Rows]] = {
    **{f"nglab, {name}": partial(nglab_run, name) for name in METHODS},
    "kfac-jax, as kfac": kfac_jax_run,
}
