"""Dufort-Labbé et al. (2026, arXiv 2605.04230): the Gauss–Newton step as a linear-quadratic regulator over the layers.

The state s_i `[M n_i]` is how the x_i of all M examples move, the control u_i `[n_i m_i]` the step ΔW_i, row by row:

    s_i = A_i s_{i−1} + B_i u_i,   s_0 = 0,     cost ‖s_L − e‖²/2M + ½ λ Σ ‖u_i‖²,     e = y − x_L.

With x_i = φ(W_i x_{i−1}), example j's rows are A_i = φ' ∘ W_i and B_i = φ' ⊗ x_{i−1,j}ᵀ. The cost from layer i on is
½ sᵀK_i s − k_iᵀ s, backwards by Riccati's recursion, and the best u_i is linear in s_{i−1}. Everything is float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from nglab.claims.after.layer_coefficients import coefficients
from nglab.claims.claim import Check, Result, claim
from nglab.claims.linear_problems import NARROW, WHOLE, flatten
from nglab.claims.small_problems import Problem, randn, relative, rng
from nglab.curvature.deep_linear import pinv, second_moment_root, shells, whiten
from nglab.curvature.natural_gradient import natural_gradient
from nglab.likelihoods.gaussian import Gaussian
from nglab.networks.initial import random_parameters
from nglab.networks.layers import to_vector
from nglab.networks.network import Network
from nglab.networks.passes import forward
from nglab.plotting import style

ROUNDING = 1e-8  # relative: the systems have condition numbers up to that of F + λI, 1e6
CUTOFF = 1e-10


@dataclass(frozen=True)
class Layer:
    """s_i = A s_{i−1} + B u_i."""

    carried: Tensor  # A_i `[M n_i, M n_{i-1}]`
    steered: Tensor  # B_i `[M n_i, n_i m_i]`


def layers_of(p: Problem) -> list[Layer]:
    """The network linearised at its parameters, layer by layer, dense."""
    activations, found = forward(p.network, p.params, p.x), []
    for i, w in enumerate(p.params):
        slopes = torch.ones_like(activations.x[i + 1])
        if i < p.network.depth - 1:
            slopes = p.network.phi.chain_(
                slopes, activations.x[i + 1]
            )  # φ' of layer i + 1, from its output
        carried = [d[:, None] * w[:, : p.network.widths[i]] for d in slopes]
        steered = [
            torch.kron(d.diag(), x[None])
            for d, x in zip(slopes, activations.inputs[i], strict=True)
        ]
        found.append(Layer(torch.block_diag(*carried), torch.cat(steered)))
    return found


def riccati_step(layers: Sequence[Layer], error: Tensor, damping: float = 0.0) -> list[Tensor]:
    """u_1 … u_L, by the recursion backwards and the states forwards; λ = 0 takes pseudo-inverses.

    With K_L = I/M and k_L = e/M: H = λI + BᵀKB, u = H⁻¹Bᵀ(k − K A s),
    K ← Aᵀ(K − K B H⁻¹ BᵀK)A, k ← Aᵀ(k − K B H⁻¹ Bᵀk).
    """
    examples, k = len(error), error.flatten() / len(error)
    value = torch.eye(len(k), dtype=k.dtype) / examples
    feedback: list[tuple[Tensor, Tensor]] = []  # u = offset − gain s
    for layer in reversed(layers):
        a, b = layer.carried, layer.steered
        system = b.mT @ value @ b
        system.diagonal().add_(damping)
        solved = torch.linalg.pinv(system, rtol=CUTOFF, hermitian=True) @ b.mT  # H⁻¹ Bᵀ
        feedback.append((solved @ k, solved @ value @ a))
        k, value = (
            a.mT @ (k - value @ b @ (solved @ k)),
            a.mT @ (value - value @ b @ solved @ value) @ a,
        )
    steps, state = [], torch.zeros(layers[0].carried.shape[1], dtype=k.dtype)
    for layer, (offset, gain) in zip(layers, reversed(feedback), strict=True):
        steps.append(offset - gain @ state)
        state = layer.carried @ state + layer.steered @ steps[-1]
    return steps


def problem(
    widths: Sequence[int], activation: str, bias: bool, examples: int = 6, seed: int = 0
) -> Problem:
    """A network of random weights, random inputs and targets `[examples, n]`, Gaussian."""
    network = Network(tuple(widths), activation, bias=bias)
    params = random_parameters(network, 1.0, rng(seed))
    x, y = (randn(examples, n, seed=seed + s) for s, n in ((1, widths[0]), (2, widths[-1])))
    return Problem(network, params, x, y, Gaussian())


def error_of(p: Problem) -> Tensor:
    """y − x_L, `[examples, n_L]`."""
    return p.y - p.output


def dense(p: Problem, damping: float) -> Tensor:
    """(F + λI)⁺(−∇h) with the whole Fisher."""
    return -to_vector(natural_gradient(p.network, p.params, p.x, p.y, damping=damping))


def shell_move(p: Problem) -> Tensor:
    """J δ of the closed form for deep linear networks, of these examples."""
    root, inverse = second_moment_root(p.x.mT @ p.x / len(p.x))
    residual = error_of(p).mT @ p.x / len(p.x) @ inverse.mT @ inverse
    return p.jacobian().flatten(0, 1) @ flatten(shells(whiten(list(p.params), residual, root)))


def decreases(p: Problem) -> list[float]:
    """What the quadratic model says that each step gains, of what the exact Gauss–Newton step does.

    Along each layer's own natural gradient by the three rules of `layer_coefficients`.
    """
    jacobian = p.jacobian().flatten(0, 1) / len(p.x) ** 0.5
    error = error_of(p).flatten() / len(p.x) ** 0.5
    sizes = [w.numel() for w in p.params]
    moves = torch.stack([j @ pinv(j) @ error for j in jacobian.split(sizes, 1)])
    whole = (jacobian @ pinv(jacobian) @ error).square().sum()
    system = moves @ moves.mT
    return [
        float((2 * system.diagonal() @ c - c @ system @ c) / whole) for c in coefficients(system)
    ]


SHAPES = WHOLE | NARROW
NARROWING = {n: (12, 9, 6, n, 6, 9, 12) for n in (12, 9, 6, 4, 2, 1)}


@claim("regulator", "Dufort-Labbé et al. 2026")
def regulator() -> Result:
    """The Gauss–Newton step is the solution of a linear-quadratic regulator over the layers, by Riccati's recursion.

    So on deep linear networks without damping it moves the function as the shells and as the dense pseudo-inverse do,
    and damped, on tanh networks too, it is (F + λI)⁻¹(−∇h) itself. What a rule for the layers' own steps gains of the
    quadratic model's decrease says what the interactions are worth that it leaves out: each rule contains the one
    before it, so that Eq. 20 ≤ one coefficient ≤ a coefficient a layer ≤ 1.
    """
    checks = []
    for name, widths in SHAPES.items():
        p = problem(widths, "identity", bias=False)
        free = torch.cat(riccati_step(layers_of(p), error_of(p)))
        jacobian = p.jacobian().flatten(0, 1)
        exact = jacobian @ dense(p, 0.0)
        checks += [
            Check(
                f"‖J(Riccati − F⁺∇h)‖ / ‖J F⁺∇h‖, λ = 0, linear {name}",
                relative(jacobian @ free, exact),
                most=ROUNDING,
            ),
            Check(
                f"‖J(Riccati − shells)‖ / ‖J shells‖, λ = 0, linear {name}",
                relative(jacobian @ free, shell_move(p)),
                most=ROUNDING,
            ),
        ]
    for activation in ("identity", "tanh", "softplus"):
        p = problem((4, 3, 2, 5, 3), activation, bias=True)
        damped = torch.cat(riccati_step(layers_of(p), error_of(p), 1e-3))
        off = relative(damped, dense(p, 1e-3))
        checks.append(
            Check(
                f"‖Riccati − (F + λI)⁻¹∇h‖ / ‖·‖, λ = 1e-3, {activation}, bias", off, most=ROUNDING
            )
        )
    shares = {
        act: np.array([share(w, act) for w in NARROWING.values()]) for act in ("identity", "tanh")
    }
    worst = max(float(np.max(s[:, :-1] - s[:, 1:])) for s in shares.values())
    most = max(float(s.max()) for s in shares.values())
    checks.append(
        Check("gain of the model's decrease, a rule less the next, at most", worst, most=ROUNDING)
    )
    checks.append(
        Check(
            "gain of a coefficient a layer, of the exact step's, at most", most, most=1 + ROUNDING
        )
    )

    def draw(axes: Axes, activation: str) -> None:
        for rule, gains, colour in zip(
            ("Eq. 20", "line", "layerwise"), shares[activation].T, style.PALETTE, strict=False
        ):
            axes.plot(list(NARROWING), gains, ".-", color=colour, label=rule)
        axes.axhline(1, color="black", linestyle=":", linewidth=1, label="regulator (exact)")
        axes.set(
            xlabel="waist of 12, 9, 6, ·, 6, 9, 12",
            ylabel="model's decrease ÷ exact",
            ylim=(0, 1.05),
        )
        axes.set_title("linear" if activation == "identity" else activation)
        axes.legend()

    return Result(checks, lambda axes: draw(axes, "identity"), (lambda axes: draw(axes, "tanh"),))


def share(widths: Sequence[int], activation: str, seeds: int = 5) -> np.ndarray:
    """`decreases`, mean over seeds."""
    each = [
        decreases(problem(widths, activation, False, examples=30, seed=10 * s))
        for s in range(seeds)
    ]
    return np.mean(each, axis=0)
