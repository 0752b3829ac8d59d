"""Random parameters to start from."""

import torch

from nglab.networks.layers import Layers
from nglab.networks.network import Network


def random_parameters(network: Network, gain: float, generator: torch.Generator) -> Layers:
    """W_i with entries from N(0, gain² / n_{i-1}), b_i = 0, in float64 on the CPU."""
    layers = []
    for n_in, (n, columns) in zip(network.widths[:-1], network.shapes, strict=True):
        w = torch.zeros(n, columns, dtype=torch.float64)
        w[:, :n_in] = torch.randn(n, n_in, dtype=torch.float64, generator=generator)
        layers.append(w.mul_(gain / n_in**0.5))
    return Layers.of(network, layers)
