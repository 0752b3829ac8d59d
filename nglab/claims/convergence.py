"""Bernacchia et al. (2018) §3 and §4: how the loss falls along the natural-gradient flow."""

from dataclasses import replace

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from nglab.claims.claim import Check, Result, claim
from nglab.claims.linear_problems import NARROW, ROUNDING, WHOLE, flatten, linear_problem
from nglab.claims.small_problems import randn, relative
from nglab.curvature.deep_linear import Whitened, eq16, products, shells, tikhonov
from nglab.curvature.flow import Regression, Step, Trajectory, flow, total
from nglab.data.teacher import input_covariance_root
from nglab.figures.figure2.compute_figure2 import problem, rank_loss_time
from nglab.networks.initial import random_parameters
from nglab.networks.network import Network
from nglab.randomness import stream

SOLVER = 1e-4  # relative, in a loss that falls to 1e-5 of its start: the solver's tolerance is 1e-8, with room


def random_flow(
    widths: tuple[int, ...], seed: int = 0, decay: float = 2.0
) -> tuple[list[Tensor], Regression]:
    """Student and random teacher, inputs of condition number about e^decay, and a full Σ̃."""
    network = Network(widths)
    student, teacher = (
        list(random_parameters(network, 1.0, stream(seed, name))) for name in ("student", "teacher")
    )
    root = input_covariance_root(widths[0], decay, stream(seed, "covariance"))
    noise = torch.eye(widths[-1], dtype=torch.float64) + 0.3 * randn(
        widths[-1], widths[-1], seed=seed
    )
    return student, Regression(total(teacher), root, noise)


@claim("any-inverse", "B §3")
def any_inverse() -> Result:
    """Every generalised inverse of F gives one function-space direction, and one loss curve along the flow.

    F⁺; the shells; and F⁺ + (I − F⁺F) Y with a random Y.
    """
    checks = []
    times = np.linspace(0, 2, 5)
    for name, widths in (WHOLE | NARROW).items():
        p = linear_problem(widths)
        inverse = torch.linalg.pinv(p.fisher, hermitian=True, rtol=ROUNDING)
        null = torch.eye(len(inverse)) - inverse @ p.fisher
        other = inverse + null @ randn(*inverse.shape, seed=1)
        moves = [p.jacobian @ g @ p.descent for g in (inverse, other)]
        apart = max(
            relative(m, moves[0]) for m in (moves[1], p.jacobian @ flatten(shells(p.whitened)))
        )
        checks.append(
            Check(f"function-space moves apart, relative, {name}", apart, most=1e-8)
        )  # cond F
        steps = [other @ p.descent, flatten(shells(p.whitened))]
        different = min(relative(s, inverse @ p.descent) for s in steps)
        checks.append(Check(f"parameter steps apart, relative, {name}", different, least=0.01))
    for name, widths in {"expanding": (3, 5, 4, 3), "bottleneck": (5, 3, 2, 3, 5)}.items():
        student, regression = random_flow(widths)
        losses = [
            flow(student, regression, step, times).losses for step in (shells, minimal, wandering)
        ]
        apart = max(float(np.abs(loss / losses[0] - 1).max()) for loss in losses)
        checks.append(Check(f"loss curves apart, relative, t ≤ 2, {name}", apart, most=SOLVER))
    return Result(checks)


def minimal(network: Whitened) -> list[Tensor]:
    """F⁺(−∇h), the shortest natural gradient."""
    return tikhonov(network)


def wandering(network: Whitened) -> list[Tensor]:
    """A natural gradient plus a steady push v − F⁺F v along directions that do not move the function."""
    push = [
        randn(b.shape[1], a.shape[0], seed=i)
        for i, (b, a) in enumerate(zip(network.back, network.forth, strict=True))
    ]
    felt = tikhonov(replace(network, residual=network.push(push)))  # F⁺F v
    return [s + v - f for s, v, f in zip(shells(network), push, felt, strict=True)]


@claim("exponential", "B Eq. 18")
def exponential() -> Result:
    """Along the flow h − h_min falls as e^{−2t}, whatever depth and conditioning, unless W(t) must lose rank.

    W(t) goes straight from W(0) to W*. In a square network the flow ends where that line meets a singular matrix.
    """
    times = np.linspace(0, 5, 11)
    checks, curves = [], {}
    for layers in (2, 4, 8):
        for condition in (1.0, 1e4):
            widths = (4, *(6,) * (layers - 1), 4)
            student, regression = random_flow(widths, layers, float(np.log(condition)) * 4 / 3)
            path = flow(student, regression, eq16, times)
            curves[f"{layers} layers, cond Σ {condition:g}"] = path
            off = float(np.abs(path.losses / path.losses[0] * np.exp(2 * times) - 1).max())
            what = f"max |e^(2t) (h − h_min)/start − 1|, {layers} layers, cond Σ = {condition:g}"
            checks.append(Check(what, off, most=SOLVER))
    line = regression.target + np.exp(-5) * (total(student) - regression.target)
    checks.append(
        Check("‖W(5) − line‖ / ‖W*‖", relative(total(path.weights[-1]), line), most=SOLVER)
    )
    student, regression = problem((3, 3, 3), 0)
    end = rank_loss_time(student, regression)
    stopped = flow(student, regression, eq16, np.linspace(0, 1.5 * end, 301)).times[-1]
    # the solver's own step and the grid of 1/200 of the time
    checks.append(
        Check("time at which a square flow ends / predicted time", stopped / end, 0.97, 1.005)
    )
    return Result(checks, lambda axes: draw_losses(axes, curves))


def draw_losses(axes: Axes, curves: dict[str, Trajectory]) -> None:
    for label, path in curves.items():
        axes.semilogy(path.times, path.losses / path.losses[0], label=label, linewidth=1)
    times = np.linspace(0, max(path.times[-1] for path in curves.values()), 50)
    axes.semilogy(times, np.exp(-2 * times), "k:", label="$e^{-2t}$")
    axes.set_xlabel("time t")
    axes.set_ylabel("(h − h_min) / start")
    axes.legend(fontsize="x-small")


@claim("projected", "B Eq. 19; ours")
def projected() -> Result:
    """In a bottleneck Eq. 10's flow follows Eq. 19, the shells' flow follows the full projection, and both differ.

    dW/dt is read off the flow by differences of W(t), right to ε² = 1e-6 relative to the third derivative. In Eq. 19
    P_i^a is I where the network does not expand, P_i^b where it does not contract.
    """
    student, regression = random_flow(NARROW["bottleneck"])
    times = np.linspace(0, 8, 17)
    checks = []
    for name, step, law in (("Eq. 10", eq16, eq19), ("shells", shells, full_projection)):
        middle = flow(student, regression, step, np.array([0.0, 1.0])).weights[-1]
        measured = velocity(middle, regression, step)
        checks.append(
            Check(
                f"‖dW/dt − law‖ / ‖law‖, {name}",
                relative(measured, law(middle, regression)),
                most=SOLVER,
            )
        )
        other = full_projection if law is eq19 else eq19
        checks.append(
            Check(
                f"‖dW/dt − the other law‖ / ‖·‖, {name}",
                relative(measured, other(middle, regression)),
                least=0.01,
            )
        )
    paths = {
        name: flow(student, regression, step, times)
        for name, step in (("Eq. 10", eq16), ("shells", shells))
    }
    rate = {name: float(np.log(p.losses[-2] / p.losses[-1]) / 0.5) for name, p in paths.items()}
    # the residual leaves the tangent space as its square does: at t = 8 as e^{−8} or less
    checks.append(Check("rate of decay at the end, shells", rate["shells"], 1.99, 2.01))
    checks.append(Check("rate of decay at the end, Eq. 10", rate["Eq. 10"], least=0, most=1.8))
    for name, widths in (("contracting", (6, 5, 4, 3)), ("expanding", (3, 4, 5, 6))):
        for side, whole in (("a", name == "contracting"), ("b", name == "expanding")):
            what = f"largest ‖P_i^{side} − I‖, a network that is {name}"
            limits = {"most": ROUNDING} if whole else {"least": 0.1}
            checks.append(Check(what, off_identity(widths, side), **limits))
    return Result(checks, lambda axes: draw_losses(axes, paths))


def off_identity(widths: tuple[int, ...], side: str) -> float:
    """The largest ‖P_i − I‖ of the projectors P_i^a or P_i^b."""
    found = [pair["ab".index(side)] for pair in projectors(*random_flow(widths))]
    return max(float((p - torch.eye(len(p))).norm()) for p in found)


def velocity(
    weights: list[Tensor], regression: Regression, step: Step, epsilon: float = 1e-3
) -> Tensor:
    """dW/dt by central differences, along straight lines W_i ± ε δ_i, which touch the flow."""
    delta = step(regression.whiten(weights))
    ahead, behind = (
        total([w + s * d for w, d in zip(weights, delta, strict=True)]) for s in (epsilon, -epsilon)
    )
    return (ahead - behind) / (2 * epsilon)


def eq19(weights: list[Tensor], regression: Regression) -> Tensor:
    """−W + (1/L) Σ_i P_i^a W* P_i^b."""
    pairs = projectors(weights, regression)
    return sum(a @ regression.target @ b for a, b in pairs) / len(pairs) - total(weights)


def projectors(weights: list[Tensor], regression: Regression) -> list[tuple[Tensor, Tensor]]:
    """P_i^a and P_i^b by weighted least squares: on col B_i in the metric of Σ̃⁻¹, on row A_i in that of Σ."""
    assert regression.noise_root is not None
    pairs = []
    for b, a in zip(*products(weights), strict=True):
        s_b, a_k = torch.linalg.solve(regression.noise_root, b), a @ regression.input_root
        left = b @ torch.linalg.pinv(s_b, rtol=ROUNDING) @ torch.linalg.inv(regression.noise_root)
        right = regression.input_root @ torch.linalg.pinv(a_k, rtol=ROUNDING) @ a
        pairs.append((left, right))
    return pairs


def full_projection(weights: list[Tensor], regression: Regression) -> Tensor:
    """The W-velocity nearest to W* − W that any dW_i/dt can make, by dense least squares over all parameters."""
    assert regression.noise_root is not None
    s_inv, k = torch.linalg.inv(regression.noise_root), regression.input_root
    columns = [
        torch.kron(s_inv @ b, (a @ k).mT.contiguous())
        for b, a in zip(*products(weights), strict=True)
    ]  # of the map from W_i, flattened row by row
    jacobian = torch.cat(columns, 1)
    residual = s_inv @ (regression.target - total(weights)) @ k
    move = (jacobian @ torch.linalg.pinv(jacobian, rtol=ROUNDING) @ residual.flatten()).view_as(
        residual
    )
    return regression.noise_root @ move @ torch.linalg.inv(k)
