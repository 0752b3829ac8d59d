"""Figure 2: the loss along the natural-gradient flow of deep linear networks, for Eq. 10 and for the shells.

Student and teacher are random networks of one architecture, inputs have the teacher data's covariance, and losses and
gradients are population averages, so that nothing but the form of the step differs between the lines of a panel.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from nglab.curvature.deep_linear import FORMS
from nglab.curvature.flow import Regression, Trajectory, flow, total
from nglab.data.teacher import input_covariance_root
from nglab.figures.figure2.draw_figure2 import draw_figure2
from nglab.networks.initial import random_parameters
from nglab.networks.network import Network
from nglab.randomness import stream
from nglab.runs.outputs import check_folder

log = logging.getLogger(__name__)

PANELS = {
    "square": (8,) * 9,
    "expanding": (6, 9, 12, 15, 12, 9, 6),
    "contracting": (40, 24, 12, 8, 4),
    "bottleneck": (40, 16, 8, 4, 2, 4, 8, 16, 40),
}
SHOWN = {"Eq. 10": "eq16", "shells": "shells"}
FILES = "figure2.csv", "figure2.png", "figure2.pdf", "figure2.svg"
SEEDS, SPECTRUM_DECAY = 4, 5.0
TIMES = np.linspace(0.0, 5.0, 101)


def figure2(folder: Path) -> list[Path]:
    """Integrate every flow and write `figure2.png`, `.pdf`, `.svg` and `.csv` into `folder`; returns the files.

    The table has a row a time: panel, widths, form, seed, time, loss (h − h_min over its start), rate (−d ln loss/dt).
    Raises InputError where the folder cannot be made.
    """
    check_folder(folder, *FILES)
    curves = pd.concat(compute(panel, widths) for panel, widths in PANELS.items())
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / FILES[0]
    curves.to_csv(table, index=False)
    return [*draw_figure2(curves, folder / "figure2"), table]


def compute(panel: str, widths: tuple[int, ...]) -> pd.DataFrame:
    """The curves of a panel, one below the other."""
    curves = []
    for seed, (student, regression) in problems(widths, SEEDS):
        for name, form in SHOWN.items():
            trajectory = flow(student, regression, FORMS[form], TIMES)
            columns = {
                "panel": panel,
                "widths": "-".join(map(str, widths)),
                "form": name,
                "seed": seed,
            }
            curves.append(curve(trajectory, regression, form).assign(**columns))
            log.info("%s, %s, seed %d: loss %.3g of its start at t = %g", panel, name, seed,
                     curves[-1].loss.iloc[-1], trajectory.times[-1])  # fmt: skip
    return pd.concat(curves)[["panel", "widths", "form", "seed", "time", "loss", "rate"]]


def curve(trajectory: Trajectory, regression: Regression, form: str) -> pd.DataFrame:
    """Loss over its start, and its rate of decay −d ln h/dt = 2 ⟨R̂, Ĵδ⟩ / ‖R̂‖², at every time."""
    rates = []
    for weights in trajectory.weights:
        network = regression.whiten(weights)
        move = network.push(FORMS[form](network))
        rates.append(float(2 * (network.residual * move).sum() / network.residual.square().sum()))
    loss = trajectory.losses / trajectory.losses[0]
    return pd.DataFrame({"time": trajectory.times, "loss": loss, "rate": rates})


def problems(
    widths: tuple[int, ...], count: int
) -> Iterator[tuple[int, tuple[list[Tensor], Regression]]]:
    """The first `count` seeds, and their student's weights and regression, whose flow is defined for all time."""
    seed = 0
    while count:
        student, regression = problem(widths, seed)
        if not loses_rank(student, regression):
            yield seed, (student, regression)
            count -= 1
        seed += 1


def problem(widths: tuple[int, ...], seed: int) -> tuple[list[Tensor], Regression]:
    """Student and teacher with weights N(0, 1/n_in), inputs as in the teacher data, Σ̃ = I."""
    network = Network(widths)
    student = list(random_parameters(network, 1.0, stream(seed, "student")))
    teacher = list(random_parameters(network, 1.0, stream(seed, "teacher")))
    root = input_covariance_root(widths[0], SPECTRUM_DECAY, stream(seed, "covariance"))
    return student, Regression(total(teacher), root)


def rank_loss_time(weights: list[Tensor], regression: Regression) -> float:
    """When a square network's flow W(t) = W* + e^{−t} (W(0) − W*) meets a singular matrix, where it ends; else ∞.

    W(t) is singular at t = ln(1 − μ) for a real eigenvalue μ < 0 of W*⁻¹ W(0).
    """
    eigenvalues = torch.linalg.eigvals(torch.linalg.solve(regression.target, total(weights)))
    negative = eigenvalues.real[(eigenvalues.imag == 0) & (eigenvalues.real < 0)]
    return float((1 - negative).log().min()) if len(negative) else float("inf")


def loses_rank(weights: list[Tensor], regression: Regression) -> bool:
    """Whether every layer is square and the way from W(0) to W* leads through a singular matrix."""
    square = (
        all(w.shape == weights[0].shape for w in weights)
        and weights[0].shape[0] == weights[0].shape[1]
    )
    return square and rank_loss_time(weights, regression) < float("inf")
