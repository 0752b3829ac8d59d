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
DAMPING = 1.0
"""λ over the mean eigenvalue of F."""

NEARBY = 0.03
"""How far the parameters near a fit are from it."""


@claim("model-reach", "M §9")
def model_reach() -> Result:
    """Per unit of foretold gain h's linear model holds further along the natural gradient, where H is near F.

    The reach of a direction d is the gain q = −ε∇hᵀd up to which |h(θ + εd) − h + q| ≤ q/2. To second order the error
    is ½ q² dᵀHd / (∇hᵀd)²; with F for H it is the least of all directions along F⁻¹∇h, by Cauchy–Schwarz. On one linear
    layer H is F, and the reach is (∇hᵀF∇h)(∇hᵀF⁻¹∇h) / ‖∇h‖⁴ times the gradient's. Near a fit of a tanh network H is
    nearly F. Far from one no theory says it, and was found: the natural gradient's reach is far below the gradient's,
    for along the small eigenvalues of F it is the curvature of the outputs that counts; damped it is above again. G
    sees more curvature than H in most directions and takes shorter steps, as stated. Means of 20 networks: by chance
    one is three standard errors away once in three hundred times.
    """
    layers = [random_problem(Gaussian(), hidden=(), examples=20, seed=s) for s in SEEDS]
    exact = torch.tensor([advantage(p, 0.0) / kantorovich(p) for p in layers])
    far = [random_problem(Gaussian(), examples=60, seed=s) for s in SEEDS]
    near = [near_fit(p, s) for s, p in zip(SEEDS, far, strict=True)]
    above = torch.tensor([curvature_above(p) for p in far], dtype=torch.float64)
    shorter = torch.tensor([step_lengths(p) for p in far], dtype=torch.float64).log()
    what = "reach along −F⁻¹∇h over that along −∇h"
    checks = [
        Check(f"{what}, over the formula, linear layer, least", float(exact.min()), 0.9, 1.1),
        Check(f"{what}, over the formula, linear layer, greatest", float(exact.max()), 0.9, 1.1),
        *on_average(f"{what}, near a fit", [advantage(p, 0.0) for p in near], 1),
        *on_average(f"{what}, far from one", [advantage(p, 0.0) for p in far], -1),
        *on_average(f"{what}, far from one, damped", [advantage(p, DAMPING) for p in far], 1),
        Check("share of directions in which G's curvature is above H's, mean", float(above.mean()), least=0.5),
        Check("‖(H + λI)⁻¹∇h‖ over ‖(G + λI)⁻¹∇h‖, geometric mean", float(shorter.mean().exp()), least=1),
    ]  # fmt: skip

    def draw(axes: Axes) -> None:
        for label, p, damping in (
            ("near a fit", near[0], 0.0),
            ("far from one", far[0], 0.0),
            ("far, damped", far[0], DAMPING),
        ):
            (line,) = axes.loglog(
                GAINS, model_error(p, natural(p, damping)), label=f"−F⁻¹∇h, {label}"
            )
            axes.loglog(GAINS, model_error(p, -p.gradient()), ":", color=line.get_color())
        axes.axhline(HALF, color="k", linewidth=0.5)
        axes.set(xlabel="foretold gain / h", ylabel="error / foretold gain", ylim=(1e-4, 1e2))
        axes.legend(fontsize="x-small", title="dotted: −∇h", title_fontsize="x-small")

    return Result(checks, draw)


def on_average(what: str, ratios: list[float], sign: int) -> list[Check]:
    """The geometric mean above (1) or below (−1) one, and by how many of its standard errors in the logarithm."""
    logs = torch.tensor(ratios, dtype=torch.float64).log()
    mean = float(logs.mean().exp())
    bound = {"least": 1.0} if sign > 0 else {"most": 1.0}
    return [
        Check(f"{what}, geometric mean", mean, **bound),
        Check(
            "… its logarithm in standard errors, of this sign",
            sign * standard_errors(logs),
            least=3,
        ),
    ]


def near_fit(p: Problem, seed: int) -> Problem:
    """Targets that the network reaches, and parameters NEARBY."""
    away = randn(len(p.theta), seed=900 + seed)
    return p.on(p.x, p.output.clone()).at(p.theta + NEARBY * away / away.norm())


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
