"""Output densities r(y|z) of the network's output z = x_L: loss, output error, sampling.

Losses are means over examples and sums over outputs.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class Gaussian:
    """r(y|z) = N(y; z, Σ̃) with Σ̃ = I factored out, so that h = ½ ⟨‖y − z‖²⟩ (Eq. 6)."""

    @staticmethod
    def error(z: Tensor, y: Tensor, out: Tensor) -> Tensor:
        """e_L = y − z, the negative gradient of the loss of each example (Eq. 8)."""
        return torch.sub(y, z, out=out)

    @staticmethod
    def sample_error(out: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """e_L for targets drawn from the model: y ~ N(z, I), so y − z ~ N(0, I) whatever z is.

        One generator fills `out`; several fill one replica `out[r]` each.
        """
        if len(generators) == 1:
            return out.normal_(generator=generators[0])
        for replica, generator in zip(out, generators, strict=True):
            replica.normal_(generator=generator)
        return out

    @staticmethod
    def loss(error: Tensor) -> Tensor:
        """h = ½ · mean over examples of ‖y − z‖² from e_L `[..., M, n_L]` → `[...]`."""
        return error.square().sum((-2, -1)).mul_(0.5 / error.shape[-2])
