"""Small random deep linear networks for the claims of Bernacchia et al. (2018), and brute force on them.

Everything is float64. θ is all weights, layer after layer, each flattened row by row; F_ij is the block of W_i and W_j.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from nglab.claims.small_problems import randn
from nglab.curvature.deep_linear import Whitened, second_moment_root, whiten
from nglab.curvature.fisher import Fisher
from nglab.likelihoods.gaussian_mean import GaussianMean
from nglab.networks.layers import Layers
from nglab.networks.network import Network
from nglab.networks.passes import forward, gradient

WHOLE = {  # every layer but the ends' passes all of the inputs and reaches all of the outputs
    "square": (4, 4, 4, 4),
    "expanding": (3, 5, 7, 5, 3),
}
NARROW = {"contracting": (6, 5, 4, 3), "bottleneck": (6, 4, 2, 4, 6)}
ROUNDING = 1e-10  # relative, float64: products of a few well-conditioned matrices


@dataclass(frozen=True)
class LinearProblem:
    """Weights, M examples with targets of no linear relation to them, and a full Σ̃ = S Sᵀ."""

    network: Network
    params: Layers
    x: Tensor
    y: Tensor
    noise_root: Tensor  # S

    @property
    def likelihood(self) -> GaussianMean:
        return GaussianMean(self.noise_root @ self.noise_root.mT)

    @cached_property
    def whitened(self) -> Whitened:
        """By nglab/curvature/deep_linear.py, Σ being the ⟨x xᵀ⟩ of these examples."""
        error = self.y - forward(self.network, self.params, self.x).output
        root, root_pinv = second_moment_root(self.x.mT @ self.x / len(self.x))
        residual = error.mT @ self.x / len(self.x) @ root_pinv.mT @ root_pinv
        return whiten(list(self.params), residual, root, self.noise_root)

    @cached_property
    def descent(self) -> Tensor:
        """−∇h by the backward pass (Eqs. 7, 8)."""
        z = forward(self.network, self.params, self.x).output
        error = self.likelihood.error(z, self.y)
        return flatten(gradient(self.network, self.params, self.x, error))

    @cached_property
    def jacobian(self) -> Tensor:
        """∂(S⁻¹ x_L)/∂θ / √M of all examples, `[M n_L, P]`, by autodiff: F = JᵀJ."""

        def outputs(theta: Tensor) -> Tensor:
            h, start = self.x, 0
            for w in self.params:
                h = h @ theta[start : start + w.numel()].view_as(w).mT
                start += w.numel()
            return torch.linalg.solve_triangular(self.noise_root, h.mT, upper=False).mT

        theta = flatten(self.params)
        return torch.func.jacrev(outputs)(theta).flatten(0, 1) / len(self.x) ** 0.5

    @cached_property
    def fisher(self) -> Tensor:
        """F by nglab's operator, dense."""
        return Fisher(self.network, self.params, self.x, self.likelihood).to_dense()

    def blocks(self, matrix: Tensor) -> list[list[Tensor]]:
        """A P × P matrix as the blocks (i, j)."""
        sizes = [w.numel() for w in self.params]
        return [list(row.split(sizes, 1)) for row in matrix.split(sizes, 0)]


def linear_problem(widths: tuple[int, ...], seed: int = 0, examples: int = 20) -> LinearProblem:
    network = Network(widths)
    weights = [randn(n, m, seed=seed + i) / m**0.5 for i, (n, m) in enumerate(network.shapes)]
    mix = torch.eye(widths[0], dtype=torch.float64) + 0.4 * randn(
        widths[0], widths[0], seed=seed + 50
    )
    noise = torch.eye(widths[-1], dtype=torch.float64) + 0.3 * randn(
        widths[-1], widths[-1], seed=seed + 51
    )
    x = randn(examples, widths[0], seed=seed + 52) @ mix
    y = randn(examples, widths[-1], seed=seed + 53) + x @ randn(
        widths[0], widths[-1], seed=seed + 54
    )
    noise_root = torch.linalg.cholesky(noise @ noise.mT)
    return LinearProblem(network, Layers.of(network, weights), x, y, noise_root)


def flatten(layers: Sequence[Tensor]) -> Tensor:
    return torch.cat([w.flatten() for w in layers])
