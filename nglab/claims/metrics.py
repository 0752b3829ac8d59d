"""Martens (2014) §6 and §7: the Fisher as the metric of the KL divergence, and the empirical Fisher as a poorer one."""

from collections.abc import Callable

import numpy as np
import torch
from matplotlib.axes import Axes
from scipy.optimize import minimize
from torch import Tensor
from torch.distributions import kl_divergence

from nglab.claims.claim import Check, Result, claim
from nglab.claims.fishers import ROUNDING, Curvature, empirical_fisher, fisher
from nglab.claims.small_problems import (
    LIKELIHOODS,
    Problem,
    distribution,
    output,
    randn,
    random_problem,
    relative,
    slope,
    standard_errors,
)
from nglab.curvature.solvers.pseudo_inverse import pseudo_inverse
from nglab.likelihoods.bernoulli import Bernoulli
from nglab.likelihoods.categorical import Categorical
from nglab.likelihoods.gaussian import Gaussian
from nglab.networks.layers import to_vector
from nglab.networks.passes import gradient


def kl(p: Problem, theta: Tensor, other: Tensor) -> Tensor:
    """KL(P(θ) ‖ P(θ')), the mean over the inputs."""
    laws = [distribution(p.likelihood, output(p.network, t, p.x)) for t in (theta, other)]
    return kl_divergence(*laws).mean()


@claim("kl-quadratic", "M §6")
def kl_quadratic() -> Result:
    """KL(θ + d ‖ θ) = ½ dᵀFd + O(‖d‖³), and so KL(θ ‖ θ + d): the rest has slope 3 on a log-log plot.

    From ‖d‖ = 1e-3 to 1e-2 the next order bends the slope by the order of ‖d‖ and rounding by 1e-16 / 1e-9.
    """
    sizes = torch.logspace(-3, -2, 9, dtype=torch.float64)
    checks, curves = [], {}
    for name, likelihood in LIKELIHOODS.items():
        p = random_problem(likelihood)
        d = randn(len(p.theta), seed=9)
        d = d / d.norm()
        quadratic = 0.5 * d @ (fisher(p) @ d)
        for label in ("θ + d ‖ θ", "θ ‖ θ + d"):
            ends = [(p.theta + e * d, p.theta) for e in sizes]
            ends = ends if label == "θ + d ‖ θ" else [(b, a) for a, b in ends]
            rest = torch.stack([kl(p, *pair) for pair in ends]) - quadratic * sizes.square()
            what = f"slope of |KL({label}) − ½dᵀFd|, {name}"
            checks.append(Check(what, slope(sizes, rest.abs()), 2.9, 3.1))
        curves[name] = rest.abs()

    def draw(ax: Axes) -> None:
        for name, rest in curves.items():
            ax.loglog(sizes.numpy(), rest.numpy(), ".-", label=name)
        ax.loglog(sizes.numpy(), sizes.numpy() ** 3, "k--", label="‖d‖³")
        ax.set(xlabel="‖d‖", ylabel="|KL(θ ‖ θ + d) − ½ dᵀFd|")
        ax.legend(fontsize="x-small")

    return Result(checks, draw)


@claim("steepest-descent", "M §6")
def steepest_descent() -> Result:
    """In a ball KL(θ + d ‖ θ) ≤ ε² the best step tends to −√2 ε F⁻¹∇h / ‖∇h‖_{F⁻¹} as ε → 0.

    The best step is found by a constrained optimiser that knows h and the KL divergence alone, from a random start;
    its distance to the formula is of the order ε. −∇h to the ball's edge gains less.
    """
    p = random_problem(Bernoulli(), hidden=(1,), inputs=2, examples=20, seed=24)  # F: condition 51
    g, f = p.gradient(), fisher(p)
    direction = -(pseudo_inverse(f.to_dense()) @ g)
    expected = direction * (2 / (-(direction @ g))).sqrt()
    sizes = torch.tensor([1e-2, 3e-3, 1e-3], dtype=torch.float64)
    found = [_best_step(p, float(e)) for e in sizes]
    apart = torch.tensor([relative(u, expected) for u in found], dtype=torch.float64)
    plain = -g * (2 / (g @ (f @ g))).sqrt()
    return Result([
        Check("‖d/ε − formula‖ / ‖formula‖ at ε = 1e-3", float(apart[-1]), most=0.05),
        Check("slope of that in ε", slope(sizes, apart), 0.8, 1.2),
        Check("decrease along −∇h over that along −F⁻¹∇h, first order",
              float((plain @ g) / (expected @ g)), most=0.99),
    ])  # fmt: skip


def _best_step(p: Problem, size: float) -> Tensor:
    """d/ε of least h(θ + d) with KL(θ + d ‖ θ) ≤ ε²."""
    start = p.theta

    def with_gradient(value: Callable[[Tensor], Tensor]) -> Callable:
        def both(u: np.ndarray) -> tuple[float, np.ndarray]:
            gradient, measured = torch.func.grad_and_value(value)(torch.as_tensor(u))
            return float(measured), gradient.numpy()

        return both

    decrease = with_gradient(lambda u: (p.h(start + size * u) - p.h(start)) / size)
    room = with_gradient(lambda u: 1 - kl(p, start + size * u, start) / size**2)
    result = minimize(
        decrease, randn(len(start), seed=4).numpy(), jac=True, method="SLSQP",
        constraints={"type": "ineq", "fun": lambda u: room(u)[0], "jac": lambda u: room(u)[1]},
        options={"maxiter": 300, "ftol": 1e-12},
    )  # fmt: skip
    return torch.as_tensor(result.x)


@claim("empirical-fisher", "M §7")
def empirical_fisher_claim() -> Result:
    """The empirical Fisher is PSD of rank ≤ |S| (F: rank(F_R)|S|), differs from F off the optimum, is a worse metric.

    With one output and residuals of one size s it is s² F: far too small near a good fit. As a metric: the lowest loss
    of 30 damped steps, the rate and the damping of each metric the best of the same grid, on eight problems: a mean
    that is three of its standard errors away from equal would be so by chance once in a hundred times (t, 7 degrees).
    """
    small = random_problem(Gaussian(), hidden=(6,), examples=5)
    ranks = [int(torch.linalg.matrix_rank(c.to_dense(), hermitian=True))
             for c in (empirical_fisher(small), fisher(small))]  # fmt: skip
    logits = random_problem(Categorical(), hidden=(6,), examples=5)
    values = torch.linalg.eigvalsh(empirical_fisher(small).to_dense())
    size = 0.1
    moved = small.on(small.x, small.output + torch.tensor([size, 0.0], dtype=torch.float64))
    e, f = (c(moved).to_dense() for c in (empirical_fisher, fisher))
    along = torch.linalg.eigvalsh(f - e / size**2)[0] / torch.linalg.eigvalsh(f)[-1]
    curves = {
        name: [_best_curve(c, seed) for seed in range(8)]
        for name, c in (("F", fisher), ("empirical F", empirical_fisher))
    }
    ends = torch.tensor([[losses[-1] for losses in of_seeds] for of_seeds in curves.values()])
    worse = (ends[1] / ends[0]).log()

    def draw(ax: Axes) -> None:
        for name, of_seeds in curves.items():
            ax.semilogy(of_seeds[0], label=name)
        ax.set(xlabel="step", ylabel="loss, best rate and damping")
        ax.legend()

    return Result([
        Check("rank of the empirical F, |S| = 5", ranks[0], 5, 5),
        Check("rank of F, |S| = 5, rank F_R = 2", ranks[1], 10, 10),
        Check("rank of F, |S| = 5, softmax of two (rank F_R = 1)",
              int(torch.linalg.matrix_rank(fisher(logits).to_dense(), hermitian=True)), 5, 5),
        Check("λ_min / λ_max of the empirical F", float(values[0] / values[-1]), least=-1e-12),
        Check("‖empirical F − F‖ / ‖F‖, residuals (0.1, 0)", relative(e, f), least=0.9),
        Check("λ_min(F − empirical F / s²) / λ_max(F), residuals (s, 0)", float(along), least=-ROUNDING),
        Check("loss of the empirical F over that of F, geometric mean of 8", float(worse.mean().exp()),
              least=1.0),
        Check("mean log of that over its standard error", standard_errors(worse), least=3.0),
    ], draw)  # fmt: skip


def _best_curve(metric: Curvature, seed: int) -> list[float]:
    """Losses of the pair of rate and damping that ends lowest."""
    curves = [
        _train(metric, rate, damping, seed)
        for rate in (0.03, 0.1, 0.3, 1.0) for damping in (1e-4, 1e-3, 1e-2, 1e-1)
    ]  # fmt: skip
    return min(curves, key=lambda losses: losses[-1])


def _train(metric: Curvature, rate: float, damping: float, seed: int) -> list[float]:
    """h along 30 steps θ ← θ − ε (C + λI)⁻¹ ∇h, ∞ from where it is not finite."""
    p = random_problem(Gaussian(), hidden=(5, 4), examples=60, seed=seed)
    losses = []
    for _ in range(30):
        error = p.likelihood.error(p.output, p.y)
        g = gradient(p.network, p.params, p.x, error)
        step = pseudo_inverse(metric(p).to_dense(), damping) @ to_vector(g)
        p = p.at(p.theta + rate * step)
        losses.append(float(p.likelihood.losses(p.output, p.y).mean()))
        if not np.isfinite(losses[-1]) or losses[-1] > 1e6:
            return [*losses, float("inf")]
    return losses
