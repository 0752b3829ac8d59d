"""Karakida & Osawa (2020, arXiv 2010.00879): approximate Fishers follow exact NGD in wide networks.

The step of layer i is v_i J_iᵀ(J_i J_iᵀ)⁻¹ r, where v solves Σ v = 1 with the L × L pattern Σ of the blocks that are
kept (I: block-diagonal; ones within one layer of the diagonal: block-tridiagonal). Each J_iᵀ(J_iJ_iᵀ)⁻¹ r moves the
function by r, so together they move it by α r, α = 1ᵀΣ⁻¹1, and the rate η/α makes it η r as exact NGD's. K-FAC likewise
with α = L − 1 + 1/N: a last layer of one unit has one error for all examples. Weights in the scale of the tangent
kernel: W_i = n_{i−1}^{−1/2} θ_i with θ ~ N(0, 1), so that the exact step weighs J_iJ_iᵀ by 1/n_{i−1}. All in float64.
"""

from collections.abc import Callable

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from nglab.claims.after.wide_networks import Linear, moved
from nglab.claims.claim import Check, Result, claim
from nglab.claims.small_problems import randn, rng, slope
from nglab.networks.initial import random_parameters
from nglab.networks.network import Network
from nglab.plotting import style

INPUTS, EXAMPLES, LAYERS = 20, 10, 4
WIDTHS = (32, 64, 128, 256, 512, 1024)
SEEDS = range(8)
RATE, STEPS = 0.5, 5

Steps = Callable[[Linear, Tensor], list[Tensor]]


def exact(linear: Linear, residual: Tensor) -> list[Tensor]:
    """Jᵀ(J Jᵀ)⁻¹ r of all layers at once."""
    scales = [1 / x.shape[-1] for x in linear.inputs]
    whole = sum(s * k for s, k in zip(scales, linear.kernels, strict=True))
    c = torch.linalg.solve(whole, residual)
    return [s * linear.pull(i, c) for i, s in enumerate(scales)]


def by_pattern(pattern: Tensor) -> Steps:
    """v_i J_iᵀ(J_iJ_iᵀ)⁻¹ r, Σ v = 1."""
    shares = torch.linalg.solve(pattern, torch.ones(len(pattern), dtype=pattern.dtype))

    def steps(linear: Linear, residual: Tensor) -> list[Tensor]:
        solved = [torch.linalg.solve(k, residual) for k in linear.kernels]
        return [v * linear.pull(i, c) for i, (v, c) in enumerate(zip(shares, solved, strict=True))]

    return steps


def kfac(linear: Linear, residual: Tensor) -> list[Tensor]:
    """K-FAC's step of every layer for `residual`."""
    return [linear.kfac(i, residual) for i in range(len(linear.inputs))]


def diagonal(layers: int) -> Tensor:
    """1 on the diagonal: the blocks of block-diagonal natural gradient descent."""
    return torch.eye(layers, dtype=torch.float64)


def tridiagonal(layers: int) -> Tensor:
    """Ones on the diagonal and beside it; singular for 2, 5, 8, … layers."""
    ones = torch.ones(layers, layers, dtype=torch.float64)
    return ones.triu(-1).tril(1)


def isotropy(pattern: Tensor) -> float:
    """α = 1ᵀΣ⁻¹1."""
    ones = torch.ones(len(pattern), dtype=pattern.dtype)
    return float(ones @ torch.linalg.solve(pattern, ones))


def methods(layers: int, examples: int) -> dict[str, tuple[Steps, float]]:
    """Each approximation's step and its α."""
    return {
        "block-diagonal": (by_pattern(diagonal(layers)), isotropy(diagonal(layers))),
        "block-tridiagonal": (by_pattern(tridiagonal(layers)), isotropy(tridiagonal(layers))),
        "K-FAC": (kfac, layers - 1 + 1 / examples),
    }


def outputs(
    width: int, seed: int, step: Steps, rate: float, steps: int = STEPS
) -> tuple[Tensor, Tensor]:
    """The residual at the start, and the outputs after so many steps."""
    network = Network((INPUTS, *(width,) * (LAYERS - 1), 1), "tanh")
    params = random_parameters(network, 1.0, rng(seed))
    x, y = randn(EXAMPLES, INPUTS, seed=seed + 1), randn(EXAMPLES, seed=seed + 2)
    start = y - Linear.at(network, params, x).outputs
    for _ in range(steps):
        linear = Linear.at(network, params, x)
        params = moved(network, params, step(linear, y - linear.outputs), rate)
    return start, Linear.at(network, params, x).outputs


def gap(width: int, seed: int, step: Steps, scale: float) -> float:
    """‖f − f of exact NGD‖ / ‖r_0‖ after the steps."""
    start, ours = outputs(width, seed, step, RATE / scale)
    _, right = outputs(width, seed, exact, RATE)
    return float((ours - right).norm() / start.norm())


def isotropic_off(width: int, seed: int, step: Steps, scale: float) -> float:
    """‖JΔ − α r‖ / ‖α r‖ of the first step, to first order."""
    network = Network((INPUTS, *(width,) * (LAYERS - 1), 1), "tanh")
    params = random_parameters(network, 1.0, rng(seed))
    x, y = randn(EXAMPLES, INPUTS, seed=seed + 1), randn(EXAMPLES, seed=seed + 2)
    linear = Linear.at(network, params, x)
    residual = y - linear.outputs
    move = sum(
        (e @ d * inputs).sum(1)
        for e, d, inputs in zip(linear.errors, step(linear, residual), linear.inputs, strict=True)
    )
    return float((move - scale * residual).norm() / (scale * residual).norm())


@claim("wide-layers", "Karakida & Osawa 2020")
def wide_layers() -> Result:
    """In wide networks block-diagonal, block-tridiagonal and K-FAC steps, scaled by 1/α, follow exact NGD.

    α = L for the block-diagonal Fisher; s for the tridiagonal one of L = 3s layers, s + 1 of 3s + 1, and none of
    3s + 2, whose pattern is singular; L − 1 + 1/N for K-FAC without damping where every width is N or more. To first
    order the move of the function is η r at any width. The rest is curvature, bounded by width^−½ in the paper; in the
    tangent kernel's expansion the term δᵀ∇²f δ of a step δ in the span of the gradients is of the order 1/width, and
    that is what the gap should show.
    """
    checks = [
        Check(
            f"α of the block-tridiagonal Fisher, {layers} layers",
            isotropy(tridiagonal(layers)),
            a - 1e-12,
            a + 1e-12,
        )
        for layers, a in ((3, 1), (4, 2), (6, 2), (7, 3))
    ]
    gaps = {}
    widths = torch.tensor(WIDTHS).double()
    for name, (step, scale) in methods(LAYERS, EXAMPLES).items():
        checks.append(
            Check(
                f"‖JΔ − α r‖ / ‖α r‖ at width 64, {name}",
                isotropic_off(64, 0, step, scale),
                most=1e-8,
            )
        )
        each = torch.tensor(
            [[gap(m, 100 * s, step, scale) for s in SEEDS] for m in WIDTHS]
        ).double()
        gaps[name] = each.square().mean(1).sqrt()
        checks.append(
            Check(
                f"slope of log gap to exact NGD against log width, {name}",
                slope(widths[2:], gaps[name][2:]),
                -1.25,
                -0.75,
            )
        )
        checks.append(
            Check(
                f"gap at width {WIDTHS[-1]}, after {STEPS} steps of η = ½, {name}",
                float(gaps[name][-1]),
                most=0.02,
            )
        )

    def draw(axes: Axes) -> None:
        for (name, found), colour in zip(gaps.items(), style.PALETTE, strict=False):
            axes.loglog(WIDTHS, found.numpy(), "o-", ms=3, color=colour, label=name)
        top = float(max(found[-1] for found in gaps.values())) * 2
        for power, look in ((-0.5, "--"), (-1.0, ":")):
            axes.loglog(
                WIDTHS,
                top * (np.array(WIDTHS) / WIDTHS[-1]) ** power,
                "k",
                linestyle=look,
                linewidth=0.8,
                label=f"width$^{{{power:g}}}$",
            )
        axes.set(xlabel="width", ylabel="‖f − f of exact NGD‖ ÷ ‖r₀‖")
        axes.legend()

    return Result(checks, draw)
