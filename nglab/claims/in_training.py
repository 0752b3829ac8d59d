"""Bernacchia et al. (2018) §5 in words: how SGD and NGD train the linear networks of Figure 1."""

from functools import cache

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes

from nglab.claims.claim import Check, Result, claim
from nglab.curvature.deep_linear import eq16
from nglab.curvature.flow import Regression, total
from nglab.data.teacher import input_covariance_root
from nglab.figures.figure1.statements import FEW, SLOWED, passes_to_floor, slowing
from nglab.networks.initial import random_parameters
from nglab.networks.network import Network
from nglab.randomness import stream
from nglab.runs.build import build_each
from nglab.runs.config import Config, check
from nglab.runs.folder import FLOOR_FACTOR
from nglab.runs.run import rows_of
from nglab.settings.composing import compose
from nglab.training.loop import train
from nglab.training.replicas import stack

PANELS = {"A": "square", "B": "expanding", "C": "bottleneck"}
SGD_RATES = {"A": 0.04, "B": 0.02, "C": 0.0025}  # the best of Figure 1's grid
SEEDS = 6
NGD = ("optimizer=ngd", "train.passes=12")
SGD = ("optimizer=sgd", "train.passes=10", "train.eval_every_examples=10000")
STRAIGHT = 0.9
"""R² from which on a line is a straight one: a tenth of the variance is left to bends and noise."""


@cache
def curves(panel: str, *overrides: str) -> list[pd.DataFrame]:
    """The rows of `nglab run arch=… …`, a table a seed, until every one is at the floor or the passes are over."""
    words = [f"arch={PANELS[panel]}", "device=cpu", *overrides]
    configs = [check(compose([*words, f"seed={seed}"])) for seed in range(SEEDS)]
    floor = smallest_loss(configs[0])
    every = configs[0].train.eval_every_examples or configs[0].optimizer.batch_size
    rows = []
    for evaluation in train(stack(build_each(configs)), configs[0].train.passes, every):
        rows.append(rows_of(evaluation))
        if all(row["test_loss"] <= FLOOR_FACTOR * floor for row in rows[-1]):
            break
    tables = (pd.DataFrame([of_all[seed] for of_all in rows]) for seed in range(SEEDS))
    return [table.assign(minimum_loss=floor) for table in tables]


def smallest_loss(config: Config) -> float:
    floor = config.data.minimum_loss(config.arch, config.likelihood)
    assert floor is not None
    return floor


@claim("exponential-steps", "B §5")
def exponential_steps() -> Result:
    """Along discrete steps too NGD decreases the error exponentially, though not by the theory's (1 − α)² a step.

    Undamped exact steps near the optimum move W by α (W* − W) and by terms of second order in W* − W: h falls by (1 −
    α)² a step, and at α = 1 as its own square. Figure 1's steps have α = 1 too, a damping that falls by 3/2 a step at
    most, and batches. Where a straight line is log (h − h_min) until 2 × the floor, R² ≥ 0.9. The components of W* − W
    that λ holds back are let go as it falls: of a gain g they make a share g² of h and are free once √λ is between g²
    (the outer layers) and g (the middle ones), so that h follows λ to a power of ½ … 1 and a step leaves (2/3)^1 …
    (2/3)^½ of h − h_min at the least: nothing near 0. With a λ that falls twice as fast in its logarithm the slope is
    up to twice.
    """
    checks = []
    for alpha in (0.1, 0.5):
        losses = exact_losses(alpha, int(10 / alpha))
        what = f"h after an undamped exact step over h before, over (1 − α)², α = {alpha}"
        checks.append(Check(what, losses[-1] / losses[-2] / (1 - alpha) ** 2, 1 - 1e-3, 1 + 1e-3))
    first, second, third = np.log(exact_losses(1.0, 3)[1:])
    order = (third - second) / (second - first)
    checks.append(Check("order of convergence of h, undamped exact steps, α = 1", order, 1.7, 2.3))
    lines = {panel: [fall(run) for run in curves(panel, *NGD)] for panel in PANELS}
    for panel, of_seeds in lines.items():
        slopes, straightness = zip(*of_seeds, strict=True)
        checks += [
            Check(f"R² of log (h − h_min) against the step, least of 6 seeds, {panel}",
                  min(straightness), least=STRAIGHT),
            Check(f"share of h − h_min that a step of α = 1 leaves, median, {panel}",
                  float(np.exp(np.median(slopes))), least=0.5, most=0.9),
        ]  # fmt: skip
    faster = [fall(run)[0] for run in curves("A", *NGD, "optimizer.damping.factor=2.25")]
    ratio = float(np.median(faster) / np.median([slope for slope, _ in lines["A"]]))
    checks.append(Check("slope with λ's factor 9/4 over that with 3/2, A", ratio, 1.2, 2.0))

    def draw(axes: Axes) -> None:
        for panel in PANELS:
            for i, run in enumerate(curves(panel, *NGD)):
                excess = (run.test_loss - run.minimum_loss).clip(lower=0)
                label = {} if i else {"label": panel}
                axes.semilogy(
                    run.step, excess, color=f"C{'ABC'.index(panel)}", linewidth=0.8, **label
                )
        axes.set(xlabel="step", ylabel="h − smallest possible", ylim=(1e-6, None))
        axes.legend()

    return Result(checks, draw)


def fall(run: pd.DataFrame) -> tuple[float, float]:
    """Slope of log (h − h_min) a step and its R², by least squares, up to the first row below 2 × h_min."""
    below = np.flatnonzero(run.test_loss <= 2 * run.minimum_loss)
    part = run.iloc[: below[0] if len(below) else len(run)]
    step, excess = part.step.to_numpy(float), np.log(part.test_loss - part.minimum_loss)
    slope, _ = np.polyfit(step, excess, 1)
    return float(slope), float(np.corrcoef(step, excess)[0, 1] ** 2)


def exact_losses(alpha: float, steps: int) -> list[float]:
    """½‖R̂‖² before each undamped step of Eq. 16 and after the last, from near the optimum of a random wide network."""
    network = Network((4, 8, 8, 4))
    weights = list(random_parameters(network, 1.0, stream(0, "student")))
    root = input_covariance_root(4, 1.0, stream(0, "covariance"))
    away = torch.randn(4, 4, dtype=torch.float64, generator=stream(0, "teacher"))
    start = total(weights)
    regression = Regression(start + 0.1 * start.norm() / away.norm() * away, root)
    losses = []
    for _ in range(steps + 1):
        whitened = regression.whiten(weights)
        losses.append(float(whitened.residual.square().sum()) / 2)
        weights = [w + alpha * d for w, d in zip(weights, eq16(whitened), strict=True)]
    return losses


@claim("few-passes", "B §5")
def few_passes() -> Result:
    """NGD reaches the smallest possible loss after only a few passes through the training set.

    "A few" is taken as ten at most, "reached" as 1.1 × the smallest loss, on each of six seeds.
    """
    return Result([
        Check(f"passes to {FLOOR_FACTOR} × the smallest loss, slowest of 6 seeds, {panel}",
              max(map(passes_to_floor, curves(panel, *NGD))), most=FEW)
        for panel in PANELS
    ])  # fmt: skip


@claim("sgd-slows", "B §5")
def sgd_slows() -> Result:
    """SGD makes fast progress at first and slows down dramatically very soon, far above the smallest loss.

    "Fast" is taken as a decade of loss or more in the first pass, "slowed" as a third of that or less in the last of
    ten, at the best rate of Figure 1's grid, by the median of the seeds that do not diverge.
    """
    checks = []
    for panel in PANELS:
        runs = dict(enumerate(curves(panel, *SGD, f"optimizer.lr={SGD_RATES[panel]}")))
        sound = [run for run in runs.values() if np.isfinite(run.test_loss).all()]
        first = np.median([np.log10(run.test_loss[0] / run.test_loss[1]) for run in sound])
        above = np.median([run.test_loss.iloc[-1] / run.minimum_loss[0] for run in sound])
        checks += [
            Check(f"decades of loss lost in SGD's first pass, median, {panel}", float(first), least=1),
            Check(f"decades lost in its last pass over those in its first, median, {panel}",
                  slowing(runs), most=SLOWED),
            Check(f"loss after ten passes over the smallest, median, {panel}", float(above), least=2),
        ]  # fmt: skip
    return Result(checks)
