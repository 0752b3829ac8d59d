"""Zhang, Martens & Grosse (2019, arXiv 1905.10961): natural gradient descent of wide two-layer ReLU networks.

f(x) = m^{−1/2} Σ_r a_r max(0, w_rᵀx) with a_r = ±1 fixed, w_r ~ N(0, I) trained and ‖x‖ = 1. Everything is float64.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from nglab.claims.after.wide_networks import Linear
from nglab.claims.claim import Check, Result, claim
from nglab.claims.small_problems import randn, slope
from nglab.networks.layers import Layers
from nglab.networks.network import Network
from nglab.plotting import style

INPUTS, EXAMPLES = 10, 20
WIDTHS = (64, 128, 256, 512, 1024, 2048, 4096, 8192)
SEEDS = range(10)
RATE, STEPS = 0.5, 8


@dataclass(frozen=True)
class TwoLayers:
    """Examples on the unit sphere, targets of order 1, and a network of width m."""

    network: Network
    params: Layers
    x: Tensor
    y: Tensor

    def linear(self, w: Tensor) -> Linear:
        return Linear.at(self.network, [w, self.params[1]], self.x)

    def residual(self, w: Tensor) -> Tensor:
        return self.y - self.linear(w).outputs

    @property
    def leverages(self) -> Tensor:
        """h_i = x_iᵀ(XᵀX)⁻¹x_i: how much of its residual K-FAC's step takes from example i, in a wide network."""
        return (torch.linalg.qr(self.x).Q ** 2).sum(1)

    @property
    def bound(self) -> float:
        """1/λ_max(XᵀX) ≤ h_i, where ‖x_i‖ = 1."""
        return float(1 / torch.linalg.matrix_norm(self.x, 2) ** 2)


def two_layers(width: int, seed: int, inputs: int = INPUTS, examples: int = EXAMPLES) -> TwoLayers:
    x = torch.nn.functional.normalize(randn(examples, inputs, seed=seed), dim=1)
    signs = randn(1, width, seed=seed + 2).sign() / width**0.5
    network = Network((inputs, width, 1), "relu")
    params = Layers.of(network, [randn(width, inputs, seed=seed + 1), signs])
    return TwoLayers(network, params, x, randn(examples, seed=seed + 3))


def natural_step(p: TwoLayers, w: Tensor) -> Tensor:
    """Jᵀ(J Jᵀ)⁻¹ r, the shortest natural gradient in the trained layer."""
    linear = p.linear(w)
    return linear.pull(0, torch.linalg.solve(linear.kernels[0], p.y - linear.outputs))


def kfac_step(p: TwoLayers, w: Tensor) -> Tensor:
    linear = p.linear(w)
    return linear.kfac(0, p.y - linear.outputs)


def off_line(p: TwoLayers) -> float:
    """‖r₁ − (1 − η) r₀‖ / ‖r₀‖ after one natural step."""
    w = p.params[0]
    before, after = p.residual(w), p.residual(w + RATE * natural_step(p, w))
    return float((after - (1 - RATE) * before).norm() / before.norm())


Step = Callable[[TwoLayers, Tensor], Tensor]


def residuals(p: TwoLayers, step: Step, steps: int = STEPS) -> Tensor:
    """r at the start and after each step of rate η, `[steps + 1, N]`."""
    w, found = p.params[0], [p.residual(p.params[0])]
    for _ in range(steps):
        w = w + RATE * step(p, w)
        found.append(p.residual(w))
    return torch.stack(found)


def norms(p: TwoLayers, step: Step) -> Tensor:
    """‖r_k‖ / ‖r_0‖."""
    lengths = residuals(p, step).norm(dim=1)
    return lengths / lengths[0]


@claim("wide-relu", "Zhang, Martens & Grosse 2019, Theorems 3 and 5")
def wide_relu() -> Result:
    """In a wide two-layer ReLU network the residual contracts by 1 − η a step; K-FAC's by 1 − η h_i, h_i ≥ 1/λ_max(XᵀX).

    The theorem bounds ‖r_k‖² by (1 − η)^k ‖r_0‖² for widths of the order of N⁴; in the limit it is (1 − η)^2k. What one
    step leaves beside 1 − η comes from the units that change sides: each of m moves by m^{−1/2}, a share of m^{−1/2} of
    them across zero, by m^{−1/2} each, of random sign a_r: (m · m^{−1/2} · m^{−1})^{1/2} m^{−1/2} = m^{−3/4}. K-FAC's step without
    damping moves example i by h_i = x_iᵀ(XᵀX)⁻¹x_i of its residual, whose mean is n_0/N: 1/λ_max(XᵀX) ≤ h_i ≤ 1 is the
    theorem's rate, and with n_0 ≥ N inputs it would be exact.
    """
    widths = torch.tensor(WIDTHS)
    rest = torch.tensor([[off_line(two_layers(m, 100 * s)) for s in SEEDS] for m in WIDTHS]).double()
    means = rest.square().mean(1).sqrt()
    steps = torch.arange(STEPS + 1)
    runs = {m: norms(two_layers(m, 0), natural_step) for m in (64, 512, 8192)}
    off = (runs[8192] / (1 - RATE) ** steps - 1).abs().max()
    bounded = max(
        float((norms(two_layers(m, 100 * s), natural_step) ** 2 / (1 - RATE) ** steps)[1:].max())
        for m in (512, 8192)
        for s in range(3)
    )
    p = two_layers(8192, 0)
    kfac = residuals(p, kfac_step)
    by_leverage = float((kfac[1] - (1 - RATE * p.leverages) * kfac[0]).norm() / kfac[0].norm())
    bound = (1 - RATE * p.bound) ** steps
    checks = [
        Check("‖r_k‖ / (1 − η)^k ‖r_0‖ − 1, η = ½, k ≤ 8, width 8192, worst", float(off), most=0.1),
        Check("slope of log ‖r_1 − (1 − η) r_0‖ against log width", slope(widths.double(), means), -0.85, -0.65),
        Check("‖r_k‖² / (1 − η)^k ‖r_0‖², widths 512 and 8192, 3 seeds, k = 1 … 8, worst", bounded, most=1),
        Check("K-FAC: ‖r_1 − (1 − η h_i) r_0‖ / ‖r_0‖, width 8192", by_leverage, most=0.02),
        Check("K-FAC: least h_i λ_max(XᵀX)", float(p.leverages.min() / p.bound), least=1),
        Check("K-FAC: ‖r_8‖² / (1 − η/λ_max)^8 ‖r_0‖²", float(kfac[8].norm() ** 2 / kfac[0].norm() ** 2 / bound[8]), most=1),
    ]  # fmt: skip

    def draw_runs(axes: Axes) -> None:
        for (m, lengths), colour in zip(runs.items(), style.PALETTE, strict=False):
            axes.semilogy(lengths.numpy(), ".-", color=colour, label=f"width {m}")
        axes.semilogy(steps, (1 - RATE) ** steps, "k:", label="$(1 − η)^k$")
        axes.semilogy(steps, (1 - RATE) ** (steps / 2), "--", color="0.5", label="the theorem's bound")
        axes.set(xlabel="steps k", ylabel="‖r‖ ÷ start")
        axes.legend()

    def draw_widths(axes: Axes) -> None:
        axes.loglog(WIDTHS, rest.numpy(), ".", color="0.75", ms=3)
        axes.loglog(WIDTHS, means.numpy(), "o-", ms=3, color=style.PALETTE[0], label="r.m.s. over seeds")
        axes.loglog(WIDTHS, means[0].item() * (np.array(WIDTHS) / WIDTHS[0]) ** -0.75, "k:", label="width$^{−3/4}$")
        axes.set(xlabel="width m", ylabel="‖r₁ − (1 − η) r₀‖ ÷ ‖r₀‖")
        axes.legend()

    def draw_kfac(axes: Axes) -> None:
        lengths = (kfac.norm(dim=1) / kfac[0].norm()).numpy()
        axes.semilogy(lengths, ".-", color=style.PALETTE[1], label="K-FAC, width 8192")
        limit = (1 - RATE * p.leverages) ** steps[:, None] * kfac[0]
        axes.semilogy(limit.norm(dim=1) / kfac[0].norm(), "k:", label="$(1 − η h_i)^k$ each")
        axes.semilogy(steps, bound.sqrt(), "--", color="0.5", label="the theorem's bound")
        axes.set(xlabel="steps k", ylabel="‖r‖ ÷ start")
        axes.legend()

    return Result(checks, draw_runs, (draw_widths, draw_kfac))
