"""Natural-gradient flow of deep linear networks: dW_i/dt = δ_i (Eq. 4), integrated by SciPy's adaptive solver."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from nglab.curvature.deep_linear import Whitened, products, whiten

RTOL, ATOL = 1e-8, 1e-10
"""Of the solver; the loss is then right to far below the two per cent that the figure speaks of."""

Step = Callable[[Whitened], list[Tensor]]


@dataclass(frozen=True)
class Regression:
    """A linear regression in population: y = W* x + noise, ⟨x xᵀ⟩ = K Kᵀ, noise of covariance S Sᵀ (None: I)."""

    target: Tensor  # W* `[n_L, n_0]`
    input_root: Tensor  # K
    noise_root: Tensor | None = None  # S

    def whiten(self, weights: Sequence[Tensor]) -> Whitened:
        return whiten(weights, self.target - total(weights), self.input_root, self.noise_root)


@dataclass(frozen=True)
class Trajectory:
    """What a flow passed through. It ends early where it ran into weights that have lost rank."""

    times: np.ndarray
    weights: list[list[Tensor]]  # one list of W_i a time
    losses: np.ndarray  # ½ ‖R̂‖² = h less the loss of W*


def total(weights: Sequence[Tensor]) -> Tensor:
    """W = W_L ⋯ W_1."""
    return products(weights)[0][0] @ weights[0]


def flow(
    weights: Sequence[Tensor], regression: Regression, step: Step, times: np.ndarray
) -> Trajectory:
    """The weights at `times` (ascending, from 0) along dW_i/dt = step(network)_i, in float64."""
    sizes = [w.numel() for w in weights]

    def unpack(vector: np.ndarray) -> list[Tensor]:
        parts = torch.from_numpy(vector.copy()).split(sizes)
        return [part.view_as(w) for part, w in zip(parts, weights, strict=True)]

    def velocity(_: float, vector: np.ndarray) -> np.ndarray:
        return pack(step(regression.whiten(unpack(vector))))

    solution = solve_ivp(
        velocity, (0.0, times[-1]), pack(weights), "DOP853", times, rtol=RTOL, atol=ATOL
    )
    path = [unpack(vector) for vector in solution.y.T]
    losses = [float(regression.whiten(w).residual.square().sum()) / 2 for w in path]
    return Trajectory(solution.t, path, np.array(losses))


def pack(weights: Sequence[Tensor]) -> np.ndarray:
    return torch.cat([w.flatten() for w in weights]).numpy()
