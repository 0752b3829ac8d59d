"""Eq. 10 of Bernacchia et al. (2018) in floating-point numbers: what badly conditioned weights cost."""

from collections.abc import Callable
from dataclasses import replace

import torch
from matplotlib.axes import Axes
from torch import Tensor

from nglab.claims.claim import Check, Result, claim
from nglab.claims.linear import natural_mismatch
from nglab.claims.linear_problems import WHOLE, LinearProblem, linear_problem
from nglab.claims.small_problems import slope
from nglab.curvature.deep_linear import Whitened, eq10, eq16, shells
from nglab.networks.layers import Layers

CONDITIONS = torch.logspace(2, 6, 5, dtype=torch.float64)  # κ
EPSILON = torch.finfo(torch.float64).eps
SEEDS = range(5)


@claim("eq10-digits", "B Eq. 10, 16; ours")
def eq10_digits() -> Result:
    """The rounding error of Eq. 10, of Eq. 16 and of the shells grows as the weights' condition number κ.

    A square network of orthogonal weights but for one, whose least singular value is 1/κ. ‖Fδ + ∇h‖ / ‖∇h‖ is of the
    order ε κ with ε = 2e-16, as long as the products of the weights are decomposed themselves. Their covariances Λ and
    Λ̃ have the condition number κ²: formed and inverted they leave ε κ². Geometric means of five networks.
    """
    forms = {"Eq. 10": eq10, "Eq. 16": eq16, "shells": shells, "Eq. 10, covariances formed": formed}
    curves = {
        name: torch.stack([mean_mismatch(k, form) for k in CONDITIONS])
        for name, form in forms.items()
    }
    orders = {name: 2.0 if form is formed else 1.0 for name, form in forms.items()}
    checks = [
        Check(
            f"order in κ of ‖Fδ + ∇h‖ / ‖∇h‖, {name}",
            slope(CONDITIONS, curves[name]),
            order - 0.3,
            order + 0.3,
        )
        for name, order in orders.items()
    ]
    checks += [
        Check(f"largest ‖Fδ + ∇h‖ / ‖∇h‖ over ε κ, {name}",
              float((curves[name] / EPSILON / CONDITIONS).max()), most=100)
        for name, order in orders.items() if order == 1
    ]  # fmt: skip

    def draw(axes: Axes) -> None:
        for name, values in curves.items():
            axes.loglog(CONDITIONS, values, ".-", label=name)
        axes.loglog(CONDITIONS, EPSILON * CONDITIONS, "k:", label="ε κ")
        axes.loglog(CONDITIONS, EPSILON * CONDITIONS**2, "k--", label="ε κ²")
        axes.set(xlabel="condition number κ", ylabel="‖Fδ + ∇h‖ / ‖∇h‖")
        axes.legend(fontsize="x-small")

    return Result(checks, draw)


def formed(network: Whitened) -> list[Tensor]:
    """Eq. 10 with the covariances of Eqs. 14 and 15 as matrices."""
    return [
        torch.linalg.inv(b.mT @ b) @ gradient @ torch.linalg.inv(a @ a.mT) / network.depth
        for b, gradient, a in zip(network.back, network.descent, network.forth, strict=True)
    ]


def mean_mismatch(condition: Tensor, form: Callable[[Whitened], list[Tensor]]) -> Tensor:
    problems = [ill_conditioned(float(condition), seed) for seed in SEEDS]
    found = [natural_mismatch(p, form(p.whitened)) for p in problems]
    return torch.tensor(found, dtype=torch.float64).log().mean().exp()


def ill_conditioned(condition: float, seed: int) -> LinearProblem:
    """Orthogonal weights, the least singular value of the middle ones being 1 / condition."""
    p = linear_problem(WHOLE["square"], 100 * seed)
    parts = [torch.linalg.svd(w) for w in p.params]
    weights = [u @ vh for u, _, vh in parts]
    middle = len(weights) // 2
    u, s, vh = parts[middle]
    weights[middle] = u * torch.cat([torch.ones_like(s[1:]), s.new_tensor([1 / condition])]) @ vh
    return replace(p, params=Layers.of(p.network, weights))
