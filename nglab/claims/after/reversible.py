"""Buffelli et al. (2024, arXiv 2411.07979): exact Gauss–Newton steps of reversible networks, in closed form.

A block takes x = (x¹, x²) `[M, n]`, two halves, to y¹ = x¹ + φ(x² V) W and y² = x² + φ(y¹ V') W': invertible whatever
its weights. The V `[n/2, H]` are random and stay, the W `[H, n/2]` are trained; φ is the ReLU. Everything is float64.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor
from torch.func import grad, jacrev, jvp

from nglab.claims.claim import Check, Result, claim
from nglab.claims.small_problems import randn, relative, rng
from nglab.curvature.deep_linear import pinv
from nglab.plotting import style

ROUNDING = 1e-9  # relative: pseudo-inverses of random features, of condition numbers up to 1e3
CUTOFF = 1e-12


@dataclass(frozen=True)
class Reversible:
    """The fixed expansions V, V' of each block, `[blocks, 2, n/2, H]`; the trained W are `[blocks, 2, H, n/2]`."""

    expansions: Tensor

    @classmethod
    def random(cls, blocks: int, width: int, hidden: int, seed: int) -> "Reversible":
        return cls(randn(blocks, 2, width // 2, hidden, seed=seed) / (width / 2) ** 0.5)

    def weights(self, seed: int, gain: float = 0.1) -> Tensor:
        """Random W of variance gain²/H."""
        blocks, two, half, hidden = self.expansions.shape
        return gain * randn(blocks, two, hidden, half, seed=seed) / hidden**0.5

    def features(self, block: int, half: int, x: Tensor) -> Tensor:
        """φ(x V) `[M, H]`."""
        return torch.relu(x @ self.expansions[block, half])

    def block(self, i: int, w: Tensor, x: Tensor) -> Tensor:
        x1, x2 = x.chunk(2, -1)
        y1 = x1 + self.features(i, 0, x2) @ w[0]
        return torch.cat([y1, x2 + self.features(i, 1, y1) @ w[1]], -1)

    def unblock(self, i: int, w: Tensor, y: Tensor) -> Tensor:
        """The x that the block takes to y."""
        y1, y2 = y.chunk(2, -1)
        x2 = y2 - self.features(i, 1, y1) @ w[1]
        return torch.cat([y1 - self.features(i, 0, x2) @ w[0], x2], -1)

    def forward(self, weights: Tensor, x: Tensor) -> Tensor:
        for i, w in enumerate(weights):
            x = self.block(i, w, x)
        return x

    def step(self, weights: Tensor, x: Tensor, move: Tensor) -> Tensor:
        """ΔW that moves the outputs by `move` `[M, n]` to first order: each of the L blocks by 1/L of it.

        The move is carried backwards through the inverse of the blocks, and in each made by the pseudo-inverse of its
        features: exact where these have full row rank, M ≤ H; else as near as each block alone can come.
        """
        y, blocks = self.forward(weights, x), len(weights)
        steps: list[Tensor] = []
        for i in range(blocks - 1, -1, -1):
            w = weights[i]
            before, carried = along(partial(self.unblock, i, w), y, move)
            steps.append(self.block_step(i, w, before, move / blocks))
            y, move = before, carried
        return torch.stack(steps[::-1])

    def block_step(self, i: int, w: Tensor, x: Tensor, move: Tensor) -> Tensor:
        """ΔW, ΔW' for the outputs of one block: the first half, then what that does not do of the second."""
        x1, x2 = x.chunk(2, -1)
        move1, move2 = move.chunk(2, -1)
        first = self.features(i, 0, x2)
        step1 = pinv(first, CUTOFF) @ move1
        y1 = x1 + first @ w[0]
        _, dragged = along(lambda y: self.features(i, 1, y) @ w[1], y1, first @ step1)
        return torch.stack([step1, pinv(self.features(i, 1, y1), CUTOFF) @ (move2 - dragged)])

    def jacobian(self, weights: Tensor, x: Tensor) -> Tensor:
        """∂(outputs)/∂W `[M n, P]` by autodiff."""
        return jacrev(lambda w: self.forward(w, x).flatten())(weights).flatten(1)


def along(function: Callable[[Tensor], Tensor], x: Tensor, move: Tensor) -> tuple[Tensor, Tensor]:
    """function(x) and its derivative along `move`, by autodiff."""
    value, derivative, *_ = jvp(function, (x,), (move,))
    return value, derivative


def natural_mismatch(net: Reversible, weights: Tensor, x: Tensor, residual: Tensor) -> float:
    """‖Fδ + ∇h‖ / ‖∇h‖ by the dense Jacobian, for h = ½ mean ‖r‖² and F = JᵀJ/M."""
    jacobian = net.jacobian(weights, x)
    delta = net.step(weights, x, residual).flatten()
    return relative(jacobian.mT @ (jacobian @ delta), jacobian.mT @ residual.flatten())


@dataclass(frozen=True)
class Task:
    """Inputs and the targets that a random reversible network of other weights makes of them."""

    net: Reversible
    x: Tensor
    y: Tensor

    def loss(self, weights: Tensor, rows: slice | Tensor = slice(None)) -> Tensor:
        return (
            0.5 * (self.y[rows] - self.net.forward(weights, self.x[rows])).square().sum(-1).mean()
        )


def task(blocks: int, width: int, hidden: int, examples: int, seed: int = 0) -> Task:
    """A reversible network, inputs `[examples, width]`, and the outputs of another as targets."""
    net, other = (Reversible.random(blocks, width, hidden, seed + s) for s in (0, 1))
    x = randn(examples, width, seed=seed + 2)
    return Task(net, x, other.forward(other.weights(seed + 3), x))


def batches(examples: int, size: int, passes: int, seed: int) -> Iterator[Tensor]:
    """The rows of each batch, every pass shuffled anew."""
    generator = rng(seed)
    for _ in range(passes):
        yield from torch.randperm(examples, generator=generator).split(size)


Step = Callable[[Tensor, Tensor], Tensor]


def gauss_newton(t: Task) -> Step:
    """W + ΔW of a batch, the whole step."""

    def step(weights: Tensor, rows: Tensor) -> Tensor:
        residual = t.y[rows] - t.net.forward(weights, t.x[rows])
        return weights + t.net.step(weights, t.x[rows], residual)

    return step


def adam(t: Task, weights: Tensor, rate: float = 1e-3) -> Step:
    """PyTorch's Adam on the same batches."""
    weights = weights.clone().requires_grad_()
    optimizer = torch.optim.Adam([weights], lr=rate)
    gradient = grad(t.loss)

    def step(_: Tensor, rows: Tensor) -> Tensor:
        weights.grad = gradient(weights.detach(), rows)
        optimizer.step()
        return weights.detach().clone()

    return step


@dataclass(frozen=True)
class Training:
    """After each pass: the training loss and how far the tangent kernel is from the first, ‖K − K₀‖/‖K₀‖."""

    losses: list[float]
    kernel_changes: list[float]
    batch_ratios: list[float]  # of each step: its batch's loss after it over that before


def train(t: Task, weights: Tensor, step: Step, size: int, passes: int, probe: int = 6) -> Training:
    """A `step` a batch: the loss on all examples and the change of the tangent kernel, pass by pass."""
    per_pass = -(-len(t.x) // size)
    first = kernel(t, weights, probe)
    losses, changes, ratios = [float(t.loss(weights))], [0.0], []
    for k, rows in enumerate(batches(len(t.x), size, passes, seed=9), 1):
        before = t.loss(weights, rows)
        weights = step(weights, rows)
        ratios.append(float(t.loss(weights, rows) / before))
        if k % per_pass == 0:
            losses.append(float(t.loss(weights)))
            changes.append(relative(kernel(t, weights, probe), first))
    return Training(losses, changes, ratios)


def kernel(t: Task, weights: Tensor, probe: int) -> Tensor:
    """The tangent kernel J Jᵀ of the first examples."""
    jacobian = t.net.jacobian(weights, t.x[:probe])
    return jacobian @ jacobian.mT


@claim("reversible", "Buffelli et al. 2024")
def reversible() -> Result:
    """In a reversible network the exact Gauss–Newton step has a closed form; on mini-batches it soon saturates.

    The residual is carried backwards through the inverse of each block, and each of the L blocks makes 1/L of it: for
    a batch of M ≤ H examples, H the hidden units, Fδ = −∇h to rounding, and of more not. On one batch the loss goes to
    zero in a few steps. On mini-batches each step fits its own batch and undoes what others did: the training loss
    falls fast in the first pass and then saturates above Adam's, while the tangent kernel hardly moves. The bounds
    on training were set on another seed.
    """
    checks = []
    for blocks in (1, 3):
        net = Reversible.random(blocks, 6, 12, seed=blocks)
        weights, x, residual = net.weights(5), randn(12, 6, seed=6), randn(12, 6, seed=7)
        few = natural_mismatch(net, weights, x, residual)
        checks.append(Check(f"‖Fδ + ∇h‖ / ‖∇h‖, M = H = 12, {blocks} blocks", few, most=ROUNDING))
    many = natural_mismatch(net, weights, randn(24, 6, seed=6), randn(24, 6, seed=7))
    checks.append(Check("the same, M = 2H = 24, 3 blocks", many, least=0.01))
    t = task(2, 20, 200, 1000, seed=20)
    start, few_of_it = t.net.weights(25), Task(t.net, t.x[:50], t.y[:50])
    whole = train(few_of_it, start, gauss_newton(few_of_it), 50, 5)
    ours = train(t, start, gauss_newton(t), 50, 15)
    adams = train(t, start, adam(t, start), 50, 15)
    checks += [
        Check(
            "50 examples as one batch: loss after 5 steps over its start",
            whole.losses[-1] / whole.losses[0],
            most=1e-12,
        ),
        Check(
            "batches of 50 of 1000: a batch's loss after its step over that before, median",
            float(np.median(ours.batch_ratios)),
            most=0.01,
        ),
        Check(
            "the training loss after one pass over Adam's",
            ours.losses[1] / adams.losses[1],
            most=0.67,
        ),
        Check(
            "the training loss after 15 passes over that after one",
            ours.losses[-1] / ours.losses[1],
            least=0.5,
        ),
        Check(
            "the training loss after 15 passes over Adam's",
            ours.losses[-1] / adams.losses[-1],
            least=1.5,
        ),
        Check(
            "‖K − K₀‖ / ‖K₀‖ of the tangent kernel, the greatest of 15 passes",
            max(ours.kernel_changes),
            most=0.2,
        ),
    ]

    def draw_losses(axes: Axes) -> None:
        for name, run, colour in (
            ("Gauss–Newton", ours, style.PALETTE[1]),
            ("Adam", adams, style.PALETTE[0]),
        ):
            axes.semilogy(run.losses, ".-", label=name, color=colour)
        axes.set(xlabel="passes in batches of 50", ylabel="training loss")
        axes.legend()

    def draw_kernels(axes: Axes) -> None:
        axes.plot(ours.kernel_changes, ".-", color=style.PALETTE[1])
        axes.plot(adams.kernel_changes, ".-", color=style.PALETTE[0])
        axes.set(
            xlabel="passes in batches of 50", ylabel="change of the tangent kernel", ylim=(0, 0.3)
        )

    def draw_full(axes: Axes) -> None:
        axes.semilogy(whole.losses, ".-", color=style.PALETTE[1])
        axes.set(xlabel="steps on the full batch of 50", ylabel="training loss")

    return Result(checks, draw_full, (draw_losses, draw_kernels))
