"""What is lost where layers are stepped one by one: the coefficients that the layers' own natural gradients want. Ours.

Layer i's own natural gradient D_i = B̂_i⁺ R̂ Â_i⁺ (its block of F alone) moves the function by m_i = P_i R̂ Q_i, with
P_i and Q_i the projectors on col B̂_i and row Â_i (nglab/curvature/deep_linear.py). A step
Σ c_i D_i leaves ‖R̂ − Σ c_i m_i‖²:

    A_ij = ⟨m_i, m_j⟩,   b_i = ⟨D_i, −∂h/∂W_i⟩ = A_ii,   least where A c = b.

Eq. 20 takes c_i = 1/L; the step rule `line` one c for all layers; `layerwise` the solution of A c = b. Col B̂_i has
b_i dimensions, the least width from layer i on, and row Â_i has a_i, the least width before it; both are nested. So
for an R̂ of independent entries A_ij ∝ min(b_i, b_j) min(a_i, a_j): the widths alone say what is expected.
"""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from nglab.claims.claim import Check, Result, claim
from nglab.claims.linear_problems import NARROW, WHOLE, LinearProblem, linear_problem
from nglab.claims.small_problems import randn, relative
from nglab.curvature.deep_linear import Whitened, eq16, projection, whiten
from nglab.networks.linearised import Linearised
from nglab.networks.network import Network
from nglab.plotting import style

BOTTLENECK = (200, 80, 34, 20, 10, 5, 2, 5, 10, 20, 34, 80, 200)
"""Figure 1C's widths."""

CUTOFF = 1e-10
RULES = ("Eq. 20: 1/L", "one for all layers (line)", "one a layer (layerwise)")


def network(widths: Sequence[int], seed: int) -> Whitened:
    """Weights of orthonormal rows or columns, since subspaces alone count here; R̂ of independent N(0, 1)."""
    shapes = Network(tuple(widths)).shapes
    weights = [orthonormal(n, m, seed + i) for i, (n, m) in enumerate(shapes)]
    residual = randn(widths[-1], widths[0], seed=seed + 100)
    return whiten(weights, residual, torch.eye(widths[0], dtype=torch.float64))


def orthonormal(rows: int, columns: int, seed: int) -> Tensor:
    """A random matrix `[rows, columns]` whose columns, or if they are more its rows, are orthonormal."""
    tall = randn(max(rows, columns), min(rows, columns), seed=seed)
    q = torch.linalg.qr(tall).Q
    return q if rows >= columns else q.mT


def own_steps(whitened: Whitened) -> list[Tensor]:
    """D_1 … D_L: block-diagonal natural gradient descent, L × Eq. 10 layer by layer."""
    return [whitened.depth * step for step in eq16(whitened)]


def overlaps(whitened: Whitened) -> Tensor:
    """A `[L, L]`, from how each D_i moves the function."""
    pairs = zip(whitened.back, own_steps(whitened), whitened.forth, strict=True)
    moves = torch.stack([(b @ d @ a).flatten() for b, d, a in pairs])
    return moves @ moves.mT


def expected_overlaps(widths: Sequence[int]) -> tuple[Tensor, float]:
    """A for an R̂ of independent entries, and ‖R̂‖² less what no layer can move."""
    forth = torch.tensor(list(accumulate(widths[:-1], min)))  # a_i
    back = torch.tensor(list(accumulate(widths[:0:-1], min))[::-1])  # b_i
    expected = torch.minimum(back, back[:, None]) * torch.minimum(forth, forth[:, None])
    reach = torch.zeros(widths[-1], widths[0], dtype=torch.bool)
    for b, a in zip(back.tolist(), forth.tolist(), strict=True):
        reach[:b, :a] = True
    return expected.double(), float(reach.sum())


def line(system: Tensor) -> float:
    """The best c for all layers, α L in the rate α/L of Eq. 20: Σ b / Σ A."""
    return float(system.diagonal().sum() / system.sum())


def coefficients(system: Tensor) -> list[Tensor]:
    """c of the three `RULES`; the shortest solution of A c = b where layers move alike."""
    depth = len(system)
    ones = torch.ones(depth, dtype=torch.float64)
    layerwise = torch.linalg.pinv(system, rtol=CUTOFF, hermitian=True) @ system.diagonal()
    return [ones / depth, line(system) * ones, layerwise]


def left(system: Tensor, movable: float, c: Tensor) -> float:
    """‖R̂ − Σ c_i m_i‖² over its start, of what layers can move."""
    return float(1 - (2 * system.diagonal() @ c - c @ system @ c) / movable)


def waist(layers: int, width: int, narrow: int) -> tuple[int, ...]:
    """`width` everywhere but in the middle."""
    widths = [width] * (layers + 1)
    widths[layers // 2] = narrow
    return tuple(widths)


def taper(layers: int, width: int = 200, narrow: int = 2) -> tuple[int, ...]:
    """From `width` down to `narrow` in the middle and up again, in equal ratios."""
    down = np.geomspace(width, narrow, layers // 2 + 1).round().astype(int).tolist()
    return (*down, *down[-2::-1])


def from_products(p: LinearProblem) -> Tensor:
    """A by the network's J v on the examples, as the step rule `layerwise` makes it."""
    pushed = Linearised.at(p.network, list(p.params), p.x).by_layer(own_steps(p.whitened))
    whitened = torch.linalg.solve_triangular(p.noise_root, pushed.flatten(0, 1).mT, upper=False).mT
    flat = whitened.reshape(len(pushed), -1)
    return flat @ flat.mT / len(p.x)


@claim("layer-coefficients", "ours; Bernacchia et al. 2018, Eqs. 20, 22, 23")
def layer_coefficients() -> Result:
    """Block-diagonal NGD is L × Eq. 10 on square networks, its best rate 1/L; in bottlenecks each layer wants its own.

    With a waist of w units in the middle of L layers of n the best rate is (1/L) 2n/(n + w): the layers before the
    waist move what those after it cannot, and only w × w components are moved by all. Where the widths taper, as in
    Figure 1C, the first and the last layer want the coefficient 1 whatever the depth, since nobody shares what they
    alone can move, those between want 0, and the two at the waist take back what both sides do twice. Eq. 20's 1/L
    leaves (1 − 1/L)² of the outer components, and one coefficient for all layers half as much. That is why `layerwise`
    wins on C, and gains nothing on A. Second panel: dots measured, lines by the widths alone.
    """
    checks = []
    for name, widths in (WHOLE | NARROW).items():
        p = linear_problem(widths)
        system = overlaps(p.whitened)
        checks.append(
            Check(f"‖A by J v − A‖ / ‖A‖, {name}", relative(from_products(p), system), most=1e-8)
        )
        if name == "square":
            checks.append(
                Check(
                    "L × best rate along block-diagonal NGD, square",
                    len(system) * line(system),
                    1 - 1e-8,
                    1 + 1e-8,
                )
            )
    waists, points = (1, 2, 4, 8, 12, 16), {}
    for layers in (4, 8, 16):
        points[layers] = [mean_line(waist(layers, 16, w)) for w in waists]
        ratio = max(abs(m * (16 + w) / 32 - 1) for m, w in zip(points[layers], waists, strict=True))
        checks.append(
            Check(
                f"L × best rate ÷ 2n/(n + w) − 1, {layers} layers of 16, waists 1 … 16, worst",
                ratio,
                most=0.05,
            )
        )
    c_measured, c_expected, shares = of_bottleneck(BOTTLENECK)
    off = float((c_measured[2] - c_expected[2]).abs().max())
    checks.append(
        Check("C: layerwise c_i − that of the widths alone, worst of 12 layers", off, most=0.05)
    )
    for rule, measured, expected in zip(RULES, *shares, strict=True):
        checks.append(
            Check(
                f"C: share of the movable loss left by one step, {rule}",
                measured,
                max(0.0, expected - 0.02),
                expected + 0.02,
            )
        )
    depths = range(4, 33, 4)
    by_depth = np.array([expected_left(taper(layers)) for layers in depths])
    checks.append(
        Check(
            "the same by layerwise, expected, tapers of 4 … 32 layers, at most",
            by_depth[:, 2].max(),
            most=0.02,
        )
    )
    checks.append(Check("… by line, least", by_depth[:, 1].min(), least=0.05))

    def draw_waists(axes: Axes) -> None:
        fine = np.linspace(0, 1, 50)
        axes.plot(fine, 2 / (1 + fine), "k:", label="2n / (n + w)")
        for (layers, means), marker in zip(points.items(), "os^", strict=True):
            axes.plot(np.array(waists) / 16, means, marker, ms=4, mfc="none", label=f"L = {layers}")
        axes.set(xlabel="waist ÷ width, w / n", ylabel="L × best rate", ylim=(0.9, 2.05))
        axes.legend()

    def draw_layers(axes: Axes) -> None:
        layers = np.arange(1, 13)
        for rule, c, expected, colour in zip(
            RULES, c_measured, c_expected, style.PALETTE, strict=False
        ):
            axes.plot(layers, c, "o", ms=4, color=colour)
            axes.plot(layers, expected, "-", linewidth=0.9, color=colour, label=rule)
        axes.set(xlabel="layer of C (200 … 2 … 200)", ylabel="coefficient $c_i$")
        axes.legend(loc="upper center")

    def draw_depths(axes: Axes) -> None:
        for rule, shares, colour in zip(RULES, by_depth.T, style.PALETTE, strict=False):
            axes.plot(list(depths), shares, ".-", color=colour, label=rule)
        axes.set(
            yscale="log",
            xlabel="layers of a taper 200 … 2 … 200",
            ylabel="movable loss left by one step",
        )

    return Result(checks, draw_waists, (draw_layers, draw_depths))


def mean_line(widths: tuple[int, ...], seeds: int = 20) -> float:
    """L × the best rate, mean over seeds."""
    each = (len(widths) - 1) * np.array(
        [line(overlaps(network(widths, 200 * s))) for s in range(seeds)]
    )
    return float(each.mean())


def of_bottleneck(
    widths: tuple[int, ...], seeds: int = 20
) -> tuple[list[Tensor], list[Tensor], tuple[list[float], list[float]]]:
    """The coefficients of the rules, mean over seeds, and by the widths alone; the shares left, alike."""
    nets = [network(widths, 200 * s) for s in range(seeds)]
    systems = [(overlaps(n), float(projection(n).square().sum())) for n in nets]
    each = [[left(s, movable, c) for c in coefficients(s)] for s, movable in systems]
    found = [
        torch.stack(list(c)).mean(0)
        for c in zip(*(coefficients(s) for s, _ in systems), strict=True)
    ]
    expected, _ = expected_overlaps(widths)
    shares = np.mean(each, axis=0).tolist(), expected_left(widths)
    return found, coefficients(expected), shares


def expected_left(widths: tuple[int, ...]) -> list[float]:
    """What one step of each rule leaves, by the widths alone."""
    system, movable = expected_overlaps(widths)
    return [left(system, movable, c) for c in coefficients(system)]
