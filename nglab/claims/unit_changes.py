"""Bernacchia et al. (2018) §3: Eq. 10 under a change of the hidden units."""

from dataclasses import replace

import torch
from torch import Tensor

from nglab.claims.claim import Check, Result, claim
from nglab.claims.linear import SHAPES
from nglab.claims.linear_problems import LinearProblem, flatten, linear_problem
from nglab.claims.small_problems import randn, relative
from nglab.curvature.deep_linear import eq10
from nglab.networks.layers import Layers


@claim("eq10-covariant", "B §3")
def eq10_covariant() -> Result:
    """Eq. 10 is covariant for linear transformations: hidden units T_i x_i in place of x_i move the function alike.

    With W_i → T_i W_i T_{i−1}⁻¹ the network is the same. In a square network the step is T_i δ_i T_{i−1}⁻¹ too. Where
    pseudo-inverses stand for inverses it is not, since they depend on the units, but B_i δ_i A_i does not: it is
    P_i R̂ Q_i / L, and T_i changes no column or row space. For T_i = c I the step's unit is that of the weights.
    """
    checks = []
    for name, widths in SHAPES.items():
        p = linear_problem(widths)
        steps, mixers = eq10(p.whitened), mixes(widths)
        other = replace(p, params=Layers.of(p.network, carried(list(p.params), mixers)))
        theirs = eq10(other.whitened)
        moved = relative(other.whitened.push(theirs), p.whitened.push(steps))
        checks.append(Check(f"moves of the function apart, relative, {name}", moved, most=1e-8))
        apart = relative(flatten(theirs), flatten(carried(steps, mixers)))
        limits = {"most": 1e-8} if name == "square" else {"least": 0.01}
        checks.append(Check(f"steps apart, relative, {name}", apart, **limits))
        scaled = scaled_units(p, 3.0)
        checks.append(
            Check(f"steps apart, units of the first hidden layer × 3, {name}", scaled, most=1e-8)
        )
    return Result(checks)


def mixes(widths: tuple[int, ...]) -> list[Tensor]:
    """T_0 … T_L: the identity at the ends, well-conditioned random matrices between."""
    inner = [
        torch.eye(n, dtype=torch.float64) + 0.2 * randn(n, n, seed=n + i)
        for i, n in enumerate(widths)
    ]
    ends = [torch.eye(n, dtype=torch.float64) for n in (widths[0], widths[-1])]
    return [ends[0], *inner[1:-1], ends[1]]


def carried(layers: list[Tensor], mixers: list[Tensor]) -> list[Tensor]:
    """T_i M_i T_{i−1}⁻¹ of each layer."""
    return [
        after @ m @ torch.linalg.inv(before)
        for m, before, after in zip(layers, mixers[:-1], mixers[1:], strict=True)
    ]


def scaled_units(p: LinearProblem, unit: float) -> float:
    """How far Eq. 10's step with x_1 in another unit is from its own in that unit."""
    mixers = [torch.eye(n, dtype=torch.float64) for n in p.network.widths]
    mixers[1] = unit * mixers[1]
    other = replace(p, params=Layers.of(p.network, carried(list(p.params), mixers)))
    return relative(flatten(eq10(other.whitened)), flatten(carried(eq10(p.whitened), mixers)))
