"""Regression data drawn from a random teacher network (§5 of Bernacchia et al. 2018).

x ~ N(0, Σ) with Σ = Q diag(e^{−s i/n_0}) Qᵀ, Q random orthogonal, i = 0 … n_0−1 (s = 5 in the paper);
y ~ N(teacher(x), σ² I), the teacher's weights N(0, gain²/n_in).
"""

import torch
from torch import Tensor

from nglab.data.dataset import Dataset
from nglab.networks.initial import random_parameters
from nglab.networks.network import Network
from nglab.networks.passes import forward
from nglab.randomness import stream


def input_covariance_root(n: int, spectrum_decay: float, generator: torch.Generator) -> Tensor:
    """Σ^{1/2}'s factor A = Q diag(e^{−s i/2n}), `[n, n]` with A Aᵀ = Σ."""
    gaussian = torch.randn(n, n, dtype=torch.float64, generator=generator)
    q, r = torch.linalg.qr(gaussian)
    q = q * r.diagonal().sign()  # Haar measure (Mezzadri 2007)
    eigenvalues = torch.exp(-spectrum_decay * torch.arange(n, dtype=torch.float64) / n)
    return q * eigenvalues.sqrt()


def teacher_dataset(
    network: Network,
    seed: int,
    train_examples: int,
    test_examples: int,
    noise_variance: float,
    spectrum_decay: float,
    gain: float,
) -> Dataset:
    """One data set in float64; `minimum_loss` = ½ n_L σ², what the teacher itself would reach."""
    teacher = random_parameters(network, gain, stream(seed, "teacher"))
    root = input_covariance_root(network.widths[0], spectrum_decay, stream(seed, "covariance"))

    def draw(split: str, examples: int) -> tuple[Tensor, Tensor]:
        source, noise = stream(seed, f"{split} inputs"), stream(seed, f"{split} noise")
        white = torch.randn(examples, network.widths[0], dtype=torch.float64, generator=source)
        x = white @ root.mT
        clean = forward(network, teacher, x).output
        return x, clean + noise_variance**0.5 * torch.randn(
            clean.shape, dtype=x.dtype, generator=noise
        )

    train, test = draw("train", train_examples), draw("test", test_examples)
    train_x, train_y, test_x, test_y = (t.unsqueeze(0) for t in (*train, *test))
    return Dataset(train_x, train_y, test_x, test_y, 0.5 * network.widths[-1] * noise_variance)
