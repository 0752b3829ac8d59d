"""Zhang, Martens & Grosse (2019, arXiv 1905.10961): natural gradient descent of wide two-layer ReLU networks.

f(x) = m^{−1/2} Σ_r a_r max(0, w_rᵀx) with a_r = ±1 fixed, w_r ~ N(0, I) trained and ‖x‖ = 1. Everything is float64.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

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


def kinks(p: TwoLayers, residual: Tensor, draws: int = 20_000) -> Tensor:
    """The mean over w_r of r_1 − (1 − η) r_0, times √m, for wide networks: η² E[u_i|u_i| − v_i|v_i|] / 4√(2π), `[N]`.

    c = K⁻¹r moves a unit on the edge w ⟂ x_i along x_i by η a_r m^{−1/2} u_i from the active side, by v_i = u_i − c_i
    in place of u_i from the other, u_i = Σ_j c_j [wᵀx_j > 0] x_jᵀx_i + c_i; w_rᵀx_i has the density 1/√(2π) there.
    """
    gram = (p.x @ p.x.mT).clamp(-1, 1)
    kernel = gram * (torch.pi - gram.acos()) / (2 * torch.pi)  # lim J Jᵀ (Cho & Saul 2009)
    c = torch.linalg.solve(kernel, residual)
    w = randn(draws, p.x.shape[1], seed=77)
    found = []
    for i, x in enumerate(p.x):
        active = ((w - (w @ x)[:, None] * x) @ p.x.mT > 0).double()
        active[:, i] = 0
        v = active @ (c * gram[i])
        u = v + c[i]
        found.append((u * u.abs() - v * v.abs()).mean())
    return RATE**2 * torch.stack(found) / (32 * torch.pi) ** 0.5


def kinks_off(width: int = 4096, seeds: int = 100) -> float:
    """How far `kinks` is from the mean over networks, on the same examples and with targets that make r_0 the same."""
    residual, total = randn(EXAMPLES, seed=3), torch.zeros(EXAMPLES, dtype=torch.float64)
    for seed in range(seeds):
        p = replace(two_layers(width, 0), params=two_layers(width, 100 + 10 * seed).params)
        p = replace(p, y=residual + p.linear(p.params[0]).outputs)
        total += (
            p.residual(p.params[0] + RATE * natural_step(p, p.params[0])) - (1 - RATE) * residual
        )
    expected = kinks(p, residual) / width**0.5
    return float((total / seeds - expected).norm() / expected.norm())


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


@claim("wide-relu", "Zhang, Martens & Grosse 2019")
def wide_relu() -> Result:
    """In a wide two-layer ReLU network the residual contracts by 1 − η a step, K-FAC's by 1 − η/λ_max(XᵀX) at least.

    The theorem bounds ‖r_k‖² by (1 − η)^k ‖r_0‖² for widths of the order of N⁴; in the limit it is (1 − η)^2k. What
    one step leaves beside (1 − η) r_0 comes from the units that change sides: each of m moves by m^{−1/2}, a share of
    m^{−1/2} of them across zero, which errs by m^{−1/2} each. Were the signs a_r of these errors random that would be
    m^{−3/4} in all, as was expected at first. Measured was m^{−1/2}, and for a reason: a unit on the active side of x_i
    is pulled by x_i's own residual, one on the inactive side is not, so that the errors do not cancel: `kinks` has
    their mean.

    K-FAC's step without damping takes h_i = x_iᵀ(XᵀX)⁻¹x_i of example i's residual, whose mean is n_0/N: 1/λ_max(XᵀX) ≤
    h_i ≤ 1 is the theorem's rate, and with n_0 ≥ N inputs it would be exact.
    """
    widths = torch.tensor(WIDTHS)
    rest = torch.tensor(
        [[off_line(two_layers(m, 100 * s)) for s in SEEDS] for m in WIDTHS]
    ).double()
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
        Check(
            "slope of log ‖r_1 − (1 − η) r_0‖ against log width",
            slope(widths.double(), means),
            -0.57,
            -0.43,
        ),
        Check(
            "‖mean of r_1 − (1 − η) r_0 − kinks‖ / ‖kinks‖, 100 networks of width 4096",
            kinks_off(),
            most=0.1,
        ),
        Check(
            "‖r_k‖² / (1 − η)^k ‖r_0‖², widths 512 and 8192, 3 seeds, k = 1 … 8, worst",
            bounded,
            most=1,
        ),
        Check("K-FAC: ‖r_1 − (1 − η h_i) r_0‖ / ‖r_0‖, width 8192", by_leverage, most=0.02),
        Check("K-FAC: least h_i λ_max(XᵀX)", float(p.leverages.min() / p.bound), least=1),
        Check(
            "K-FAC: ‖r_8‖² / (1 − η/λ_max)^8 ‖r_0‖²",
            float(kfac[8].norm() ** 2 / kfac[0].norm() ** 2 / bound[8]),
            most=1,
        ),
    ]

    def draw_runs(axes: Axes) -> None:
        for (m, lengths), colour in zip(runs.items(), style.PALETTE, strict=False):
            axes.semilogy(lengths.numpy(), ".-", color=colour, label=f"width {m}")
        axes.semilogy(steps, (1 - RATE) ** steps, "k:", label="$(1 − η)^k$")
        axes.semilogy(
            steps, (1 - RATE) ** (steps / 2), "--", color="0.5", label="the theorem's bound"
        )
        axes.set(xlabel="steps k", ylabel="‖r‖ ÷ start")
        axes.legend()

    def draw_widths(axes: Axes) -> None:
        axes.loglog(WIDTHS, rest.numpy(), ".", color="0.75", ms=3)
        axes.loglog(
            WIDTHS, means.numpy(), "o-", ms=3, color=style.PALETTE[0], label="r.m.s. over seeds"
        )
        axes.loglog(
            WIDTHS,
            means[0].item() * (np.array(WIDTHS) / WIDTHS[0]) ** -0.5,
            "k:",
            label="width$^{−1/2}$",
        )
        axes.set(xlabel="width m", ylabel="‖r₁ − (1 − η) r₀‖ ÷ ‖r₀‖")
        axes.legend()

    def draw_kfac(axes: Axes) -> None:
        lengths = (kfac.norm(dim=1) / kfac[0].norm()).numpy()
        axes.semilogy(lengths, ".-", color=style.PALETTE[1], label="K-FAC, width 8192")
        limit = (1 - RATE * p.leverages) ** steps[:, None] * kfac[0]
        axes.semilogy(limit.norm(dim=1) / kfac[0].norm(), "k:", label="$(1 − η h_i)^k$ each")
        axes.semilogy(steps, bound.sqrt(), "--", color="0.5", label="the theorem's bound")
        axes.set(xlabel="steps k", ylabel="‖r‖ ÷ start", ylim=(0.08, 1.2))
        axes.legend()

    return Result(checks, draw_runs, (draw_widths, draw_kfac))
