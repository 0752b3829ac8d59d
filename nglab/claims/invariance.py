"""Martens (2014) §10: which steps do not depend on the parametrisation, and to what order."""

from collections.abc import Callable

import torch
from matplotlib.axes import Axes
from torch import Tensor

from nglab.claims.claim import Check, Result, claim
from nglab.claims.fishers import Curvature, empirical_fisher, fisher, ggn, hessian
from nglab.claims.small_problems import STUDENT, Problem, output, randn, random_problem, slope
from nglab.curvature.solvers.pseudo_inverse import pseudo_inverse
from nglab.likelihoods.likelihood import output_fisher, output_hessian

SIZES = torch.logspace(-4, -1, 10, dtype=torch.float64)  # ε
LARGE = torch.tensor([0.1, 1.0, 3.0], dtype=torch.float64)

METRICS: dict[str, Curvature] = {
    "F": fisher, "G": ggn, "empirical F": empirical_fisher, "H": hessian,
}  # fmt: skip


@claim("invariance", "M §10")
def invariance() -> Result:
    """F-, G- and empirical-Fisher steps are invariant to linear reparametrisations, and to smooth ones as ε → 0.

    θ = g(γ); a step −ε C_γ⁻¹∇_γ h in γ is compared with −ε C_θ⁻¹∇_θ h, as changes of the network's outputs over ε.
    C_θ are nglab's operators, C_γ autodiff of f∘g. Under a linear g both agree at any ε, Newton's (H) too; under a
    smooth g the outputs differ by ε² for F, G and the empirical Fisher, by ε for H. θ = 2γ with damping λ is the step
    in θ with damping λ/4, and so not the one with λ.
    """
    p = random_problem(
        STUDENT, hidden=(2,), inputs=2, examples=40, seed=5
    )  # G ≠ F; F: condition 472
    mix = 0.3 * randn(len(p.theta), len(p.theta), seed=5) + torch.eye(len(p.theta))
    bend = 0.3 * randn(len(p.theta), len(p.theta), seed=6)

    def linear(gamma: Tensor) -> Tensor:
        return p.theta + mix @ gamma

    def smooth(gamma: Tensor) -> Tensor:
        return p.theta + mix @ gamma + 0.5 * (bend @ gamma).square()

    checks, curves = [], {}
    for name in METRICS:
        at_linear = differences(p, name, linear, 0.0, LARGE)
        checks.append(Check(f"largest difference over ‖change‖, ε = 0.1, 1, 3, linear g, {name}",
                            float(at_linear.max()), most=1e-8))  # fmt: skip
        curves[name] = differences(p, name, smooth, 0.0, SIZES)
        expected = 0.0 if name == "H" else 1.0  # of difference / ε: one order less
        checks.append(Check(f"order in ε of the difference, smooth g, {name}",
                            1 + slope(SIZES[:4], curves[name][:4]), 0.9 + expected, 1.1 + expected))  # fmt: skip
    damping = 0.1
    checks += [
        Check("order in ε of the difference, linear g, damped F",
              1 + slope(SIZES[:4], differences(p, "F", linear, damping, SIZES)[:4]), 0.9, 1.1),
        *_halved(p, damping),
    ]  # fmt: skip

    def draw(ax: Axes) -> None:
        for name, values in curves.items():
            ax.loglog(SIZES.numpy(), (SIZES * values).numpy(), ".-", label=name)
        ax.loglog(SIZES.numpy(), SIZES.numpy() ** 2, "k--", label="ε²")
        ax.set(xlabel="ε", ylabel="difference of the outputs, smooth g")
        ax.legend()

    return Result(checks, draw)


def _halved(p: Problem, damping: float) -> list[Check]:
    """θ = 2γ: 2 (4F + λI)⁻¹ 2∇h = (F + λ/4 I)⁻¹ ∇h."""
    f, g = fisher(p).to_dense(), p.gradient()
    in_gamma = 2 * pseudo_inverse(by_autodiff(p, "F", lambda c: p.theta + 2 * c), damping) @ (2 * g)
    quarter, same = (pseudo_inverse(f, part) @ g for part in (damping / 4, damping))
    return [
        Check("‖damped step of θ = 2γ − step with λ/4‖ / ‖step‖",
              float((in_gamma - quarter).norm() / quarter.norm()), most=1e-10),
        Check("‖damped step of θ = 2γ − step with λ‖ / ‖step‖",
              float((in_gamma - same).norm() / same.norm()), least=0.01),
    ]  # fmt: skip


def differences(
    p: Problem, name: str, g: Callable[[Tensor], Tensor], damping: float, sizes: Tensor
) -> Tensor:
    """‖Δoutput by the step in γ − Δoutput by the step in θ‖ / ‖the latter‖ for each ε, from γ = 0."""
    zero = torch.zeros_like(p.theta)
    slope_g = torch.func.jacrev(g)(zero)
    gradient = p.gradient()
    in_theta = -pseudo_inverse(METRICS[name](p).to_dense(), damping) @ gradient
    in_gamma = -pseudo_inverse(by_autodiff(p, name, g), damping) @ (slope_g.T @ gradient)
    rows = []
    for size in sizes:
        moved = output(p.network, p.theta + size * in_theta, p.x)
        other = output(p.network, g(size * in_gamma), p.x)
        rows.append((other - moved).norm() / (moved - p.output).norm())
    return torch.stack(rows)


def by_autodiff(p: Problem, name: str, g: Callable[[Tensor], Tensor]) -> Tensor:
    """C_γ at γ = 0, of f∘g: its Jacobian around F_R, H_L or eeᵀ, or the Hessian of h∘g."""
    zero = torch.zeros_like(p.theta)
    if name == "H":
        return torch.func.hessian(lambda gamma: p.h(g(gamma)))(zero)
    j = torch.func.jacrev(lambda gamma: output(p.network, g(gamma), p.x))(zero)
    error = p.likelihood.error(p.output, p.y)
    inner = {
        "F": lambda: output_fisher(p.likelihood, p.output),
        "G": lambda: output_hessian(p.likelihood, p.output, p.y),
        "empirical F": lambda: error[:, :, None] * error[:, None, :],
    }[name]()
    return torch.einsum("mip,mij,mjq->pq", j, inner, j) / len(p.x)
