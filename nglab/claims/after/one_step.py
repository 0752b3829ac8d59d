"""Kunstner, Balles & Hennig (2019, arXiv 1905.12558): the Fisher and the empirical Fisher on least squares.

θ = (slope, intercept) of one linear unit, h = ½ ⟨r²⟩ with r = y − z: F = ⟨x xᵀ⟩ and F̄ = ⟨r² x xᵀ⟩ with x = (x, 1).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from nglab.claims.claim import Check, Result, claim
from nglab.claims.small_problems import randn, slope
from nglab.curvature.empirical_fisher import EmpiricalFisher
from nglab.curvature.fisher import Fisher
from nglab.networks.layers import Layers, to_vector
from nglab.networks.network import Network
from nglab.networks.passes import forward, gradient
from nglab.plotting import style

UNIT = Network((1, 1), bias=True)
TRUE = torch.tensor([2.0, 2.0], dtype=torch.float64)
ROUNDING = 1e-10


@dataclass(frozen=True)
class LeastSquares:
    """N examples of one input and one target."""

    x: Tensor
    y: Tensor

    @cached_property
    def optimum(self) -> Tensor:
        """θ* by least squares."""
        rows = torch.cat([self.x, torch.ones_like(self.x)], 1)
        return torch.linalg.lstsq(rows, self.y).solution[:, 0]

    def descent(self, theta: Tensor) -> Tensor:
        """−∇h."""
        params = Layers.from_vector(UNIT, theta)
        error = self.y - forward(UNIT, params, self.x).output
        return to_vector(gradient(UNIT, params, self.x, error))

    def fisher(self, theta: Tensor) -> Tensor:
        return Fisher(UNIT, Layers.from_vector(UNIT, theta), self.x).to_dense()

    def empirical(self, theta: Tensor) -> Tensor:
        return EmpiricalFisher(UNIT, Layers.from_vector(UNIT, theta), self.x, self.y).to_dense()

    def natural_step(self, theta: Tensor) -> Tensor:
        """F⁻¹(−∇h)."""
        return torch.linalg.solve(self.fisher(theta), self.descent(theta))

    def empirical_step(self, theta: Tensor) -> Tensor:
        """F̄⁻¹(−∇h)."""
        return torch.linalg.solve(self.empirical(theta), self.descent(theta))


def least_squares(examples: int, seed: int = 0, widening: float = 0.0) -> LeastSquares:
    """x ~ N(0, 1), y = 2x + 2 + noise of variance (1 − w) + w x²: 1 as the model has it where the `widening` w is 0."""
    x = randn(examples, 1, seed=seed)
    noise = ((1 - widening) + widening * x.square()).sqrt() * randn(examples, 1, seed=seed + 1)
    return LeastSquares(x, TRUE[0] * x + TRUE[1] + noise)


def around(p: LeastSquares, distance: float, count: int = 16) -> list[Tensor]:
    """Points on a circle about θ*."""
    angles = torch.arange(count, dtype=torch.float64) * 2 * torch.pi / count
    return [p.optimum + distance * torch.stack([a.cos(), a.sin()]) for a in angles]


def degrees_off(p: LeastSquares, theta: Tensor) -> float:
    """Between F̄⁻¹(−∇h) and the way to θ*."""
    step, way = p.empirical_step(theta), p.optimum - theta
    return float(torch.rad2deg(((step @ way) / step.norm() / way.norm()).clamp(-1, 1).acos()))


def predicted_degrees(angle: np.ndarray) -> np.ndarray:
    """The same far from θ*, for x ~ N(0, 1) and θ* − θ ∝ (cos φ, sin φ): F̄⁻¹ turns it to (cos φ cos 2φ, sin φ).

    F̄ ∝ ⟨(x cos φ + sin φ)² (x, 1)(x, 1)ᵀ⟩ = [[3 cos² φ + sin² φ, sin 2φ], [sin 2φ, 1]].
    """
    turned = np.arctan2(np.sin(angle), np.cos(angle) * np.cos(2 * angle))
    return np.rad2deg(np.abs(np.arctan2(np.sin(turned - angle), np.cos(turned - angle))))


def mismatch(p: LeastSquares) -> float:
    """‖F̄ − F‖ / ‖F‖ at θ*."""
    fisher = p.fisher(p.optimum)
    return float((p.empirical(p.optimum) - fisher).norm() / fisher.norm())


@claim("one-step", "Kunstner, Balles & Hennig 2019, §1 and Fig. 1")
def one_step() -> Result:
    """On least squares one step of the Fisher reaches the optimum from anywhere; the empirical Fisher's does not.

    With residuals r the empirical Fisher is ⟨r² x xᵀ⟩ where the Fisher is ⟨x xᵀ⟩. Far from the optimum r grows with
    the distance, so that its step falls as 1 over the distance where it should grow with it; and it weighs directions
    by r², which turns the step: for x ~ N(0, 1) by up to 48.7 degrees, although F = I there. At the optimum it comes
    to the Fisher, as 1/√N, where the noise is the model's. Where it is not it does not: with noise of variance x² it
    tends to ⟨x² x xᵀ⟩, and ‖F̄ − F‖/‖F‖ to √2.
    """
    p, large = least_squares(100), least_squares(200_000)
    starts = [point for distance in (0.1, 1.0, 10.0) for point in around(p, distance)]
    left = [
        float((t + p.natural_step(t) - p.optimum).norm() / (t - p.optimum).norm()) for t in starts
    ]
    far = torch.logspace(2, 4, 5, dtype=torch.float64)
    lengths = [
        torch.tensor([float(step(around(p, float(d))[1]).norm()) for d in far]).double()
        for step in (p.natural_step, p.empirical_step)
    ]
    turned = max(degrees_off(large, theta) for theta in around(large, 1e3, 180))
    angles = np.linspace(0, np.pi, 1801)
    examples = torch.tensor([100, 1000, 10_000, 100_000])
    right = torch.stack(
        [
            torch.tensor([mismatch(least_squares(int(n), 10 * s)) for s in range(20)])
            .double()
            .square()
            .mean()
            .sqrt()
            for n in examples
        ]
    )
    wrong = mismatch(least_squares(200_000, widening=1.0))
    checks = [
        Check(
            "distance left after one step of F, over that before, worst of 48 starts",
            max(left),
            most=ROUNDING,
        ),
        Check(
            "slope of log ‖F⁻¹∇h‖ against log distance", slope(far, lengths[0]), 1 - 1e-6, 1 + 1e-6
        ),
        Check(
            "slope of log ‖F̄⁻¹∇h‖ against log distance, 100 … 10000",
            slope(far, lengths[1]),
            -1.02,
            -0.98,
        ),
        Check(
            "degrees that F̄ turns the step far away, at most",
            turned,
            predicted_degrees(angles).max() - 1.5,
            predicted_degrees(angles).max() + 1.5,
        ),
        Check(
            "slope of log ‖F̄ − F‖ at θ* against log N, the model's noise",
            slope(examples.double(), right),
            -0.6,
            -0.4,
        ),
        Check("‖F̄ − F‖ / ‖F‖ at θ*, noise of variance x²", wrong, 2**0.5 - 0.1, 2**0.5 + 0.1),
    ]
    fields = {
        "steps of −∇h / 3": (p.descent, 1 / 3),
        "steps of the Fisher": (p.natural_step, 1.0),
        "steps of the empirical Fisher": (p.empirical_step, 1.0),
    }
    panels = [
        partial(draw_field, p=p, name=name, step=step, rate=rate)
        for name, (step, rate) in fields.items()
    ]
    return Result(checks, panels[0], tuple(panels[1:]))


def draw_field(
    axes: Axes, p: LeastSquares, name: str, step: Callable[[Tensor], Tensor], rate: float
) -> None:
    """Arrows of one length along the steps, shades by their true length; contours of h; a few ways."""
    across, up = np.linspace(-6, 10, 23), np.linspace(-3, 7, 15)
    grid = [torch.tensor([a, b]) for b in up for a in across]
    steps = np.array([step(theta).numpy() for theta in grid]).reshape(len(up), len(across), 2)
    lengths = np.linalg.norm(steps, axis=-1)
    losses = np.array(
        [float((theta - p.optimum) @ p.fisher(theta) @ (theta - p.optimum)) for theta in grid]
    )
    axes.contour(
        across,
        up,
        losses.reshape(len(up), -1),
        np.geomspace(0.3, 100, 8),
        colors="0.85",
        linewidths=0.7,
    )
    unit = steps / np.maximum(lengths, 1e-12)[..., None]
    axes.quiver(
        across,
        up,
        unit[..., 0],
        unit[..., 1],
        np.log10(lengths),
        cmap="viridis_r",
        scale=34,
        width=0.004,
    )
    draw_ways(axes, p, step, rate)
    axes.set(xlim=(-6.4, 10.4), ylim=(-3.4, 7.4), xlabel="slope", title=name, aspect="equal")
    axes.set_ylabel("intercept")


def draw_ways(axes: Axes, p: LeastSquares, step: Callable[[Tensor], Tensor], rate: float) -> None:
    """Steps from three starts, and the optimum."""
    starts = torch.tensor([[-2.5, 5.5], [5.5, 6.0], [-2.0, -2.0]], dtype=torch.float64)
    for start, colour in zip(starts, style.PALETTE[1:], strict=False):
        way = np.array(path(step, start, rate))
        axes.plot(*way.T, ".-", color=colour, ms=3, linewidth=1)
    axes.plot(*p.optimum.numpy(), "*", color="black", ms=7)


def path(
    step: Callable[[Tensor], Tensor], theta: Tensor, rate: float, count: int = 15
) -> list[np.ndarray]:
    """θ and the points that so many steps lead to."""
    points = [theta.numpy()]
    for _ in range(count):
        theta = theta + rate * step(theta)
        points.append(theta.numpy())
    return points
