"""Martens (2014) §9: how far h does what its model foretells along the natural gradient, and along the gradient."""

import torch
from matplotlib.axes import Axes
from torch import Tensor

from nglab.claims.claim import Check, Result, claim
from nglab.claims.fishers import fisher, ggn, hessian
from nglab.claims.small_problems import Problem, randn, random_problem, standard_errors
from nglab.curvature.solvers.pseudo_inverse import pseudo_inverse
from nglab.likelihoods.gaussian import Gaussian

GAINS = torch.logspace(-6, 2, 241, dtype=torch.float64)
"""First-order gains −ε∇hᵀd that are tried, in units of h; from one to the next 8 %."""

HALF = 0.5
"""The model holds as long as h falls by what it foretells to within a half of that."""

SEEDS = range(20)
DAMPING = 0.1
"""λ over the mean eigenvalue of F."""


@claim("model-reach", "M §9")
def model_reach() -> Result:
    """Per unit of foretold gain, the first-order model of h holds further along the natural gradient than the gradient.

    The reach of a direction d is the gain q = −ε∇hᵀd up to which |h(θ + εd) − h + q| ≤ q/2. To second order the error is
    ½ q² dᵀHd / (∇hᵀd)²; with F for H it is the least of all directions along F⁻¹∇h, by Cauchy–Schwarz. On one linear
    layer H is F, and the reach is (∇hᵀF∇h)(∇hᵀF⁻¹∇h) / ‖∇h‖⁴ times the gradient's. On tanh networks it is a matter of fact,
    and so is that G sees more curvature than H in most directions and takes shorter steps. Means of 20 networks, an order
    of magnitude beyond chance at three standard errors.
    """
    layers = [random_problem(Gaussian(), hidden=(), examples=20, seed=s) for s in SEEDS]
    exact = torch.tensor([advantage(p, 0.0) / kantorovich(p) for p in layers])
    deep = [random_problem(Gaussian(), examples=60, seed=s) for s in SEEDS]
    checks = [
        Check("reach along −F⁻¹∇h over that along −∇h, over the formula, linear layer, least",
              float(exact.min()), 0.9, 1.1),
        Check("… greatest", float(exact.max()), 0.9, 1.1),
    ]  # fmt: skip
    for name, damping in (("F", 0.0), (f"F + λI, λ = {DAMPING} of its mean eigenvalue", DAMPING)):
        logs = torch.tensor([advantage(p, damping) for p in deep], dtype=torch.float64).log()
        checks += [
            Check(
                f"reach with {name} over the gradient's, tanh, geometric mean",
                float(logs.mean().exp()),
                least=1,
            ),
            Check("mean log of that over its standard error", standard_errors(logs), least=3),
        ]
    above = torch.tensor([curvature_above(p) for p in deep], dtype=torch.float64)
    shorter = torch.tensor([step_lengths(p) for p in deep], dtype=torch.float64).log()
    checks += [
        Check(
            "share of directions in which G's curvature is above H's, tanh, mean",
            float(above.mean()),
            least=0.5,
        ),
        Check(
            "‖(H + λI)⁻¹∇h‖ over ‖(G + λI)⁻¹∇h‖, tanh, geometric mean",
            float(shorter.mean().exp()),
            least=1,
        ),
    ]

    def draw(axes: Axes) -> None:
        p = deep[0]
        for label, d in (
            ("along −F⁻¹∇h", natural(p, 0.0)),
            ("damped", natural(p, DAMPING)),
            ("along −∇h", -p.gradient()),
        ):
            axes.loglog(GAINS, model_error(p, d), label=label)
        axes.axhline(HALF, color="k", linestyle=":")
        axes.set(xlabel="foretold gain / h", ylabel="error / foretold gain", ylim=(1e-4, 1e2))
        axes.legend()

    return Result(checks, draw)


def natural(p: Problem, damping: float) -> Tensor:
    """−(F + λI)⁺∇h with λ = `damping` × the mean eigenvalue."""
    f = fisher(p).to_dense()
    return -pseudo_inverse(f, damping * float(f.trace()) / len(f)) @ p.gradient()


def model_error(p: Problem, direction: Tensor) -> Tensor:
    """|h(θ + εd) − h + q| / q for each of the GAINS q / h."""
    start = p.h(p.theta)
    gains = GAINS * start
    sizes = gains / -(p.gradient() @ direction)
    losses = torch.stack([p.h(p.theta + size * direction) for size in sizes])
    return (losses - start + gains).abs() / gains


def reach(p: Problem, direction: Tensor) -> float:
    """The largest of the GAINS before the first at which the model fails."""
    failed = (model_error(p, direction) > HALF).nonzero()
    return float(GAINS[int(failed[0]) - 1]) if len(failed) else float(GAINS[-1])


def advantage(p: Problem, damping: float) -> float:
    """The natural gradient's reach over the gradient's."""
    return reach(p, natural(p, damping)) / reach(p, -p.gradient())


def kantorovich(p: Problem) -> float:
    """(∇hᵀF∇h)(∇hᵀF⁺∇h) / ‖∇h‖⁴ ≥ 1."""
    f, g = fisher(p).to_dense(), p.gradient()
    return float((g @ f @ g) * (g @ pseudo_inverse(f) @ g) / (g @ g) ** 2)


def curvature_above(p: Problem) -> float:
    """The share of 200 random directions d with dᵀGd > dᵀHd."""
    d = randn(len(p.theta), 200, seed=11)
    more = ggn(p).to_dense() - hessian(p).to_dense()
    return float(((d * (more @ d)).sum(0) > 0).double().mean())


def step_lengths(p: Problem) -> float:
    """‖(H + λI)⁻¹∇h‖ / ‖(G + λI)⁻¹∇h‖ with λ = DAMPING × the mean eigenvalue of G."""
    g, eye = ggn(p).to_dense(), torch.eye(len(p.theta), dtype=torch.float64)
    damping = DAMPING * g.trace() / len(g) * eye
    with_h, with_g = (
        torch.linalg.solve(c + damping, p.gradient()) for c in (hessian(p).to_dense(), g)
    )
    return float(with_h.norm() / with_g.norm())
