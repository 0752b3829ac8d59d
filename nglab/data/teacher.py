"""Regression data drawn from a random teacher network (§5 of Bernacchia et al. 2018).

x ~ N(0, Σ) with Σ = Q diag(e^{−s i/n_0}) Qᵀ, Q random orthogonal, i = 0 … n_0−1 (s = 5 in the paper);
y ~ N(teacher(x), σ² I), the teacher's weights N(0, gain²/n_in).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nglab.data.dataset import Dataset
from nglab.data.source import DataSource
from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.initial import random_parameters
from nglab.networks.layers import Layers
from nglab.networks.network import Network
from nglab.networks.passes import forward
from nglab.randomness import stream
from nglab.settings.fields import NonNegative, setting


@dataclass(frozen=True)
class Teacher(DataSource):
    """A random network of the student's shape labels Gaussian inputs, in float64.

    x ~ N(0, Σ) `[N, n_0]` with Σ = Q diag(e^{−s i/n_0}) Qᵀ, and y ~ N(teacher(x), σ² I) `[N, n_L]`: numbers without a
    unit. The smallest possible loss of a Gaussian density is ½ n_L σ², on average over test sets.

    What is left out is as in conf/data/teacher.yaml. Raises InputError where a setting is out of its range.

    Source: Bernacchia et al. (2018), §5.

    >>> Teacher(train_examples=100)
    Teacher(train_examples=100, test_examples=1000, noise_variance=1e-06, spectrum_decay=5.0)
    """

    targets: ClassVar[str] = "real"
    drawn: ClassVar[bool] = True

    noise_variance: NonNegative = setting("variance σ² of the targets' noise", paper="1e-6")
    spectrum_decay: NonNegative = setting(
        "s: the inputs' covariance has the eigenvalues e^{−s i/n_0}", paper="5"
    )

    def dataset(self, network: Network, gain: float, seed: int) -> Dataset:
        teacher = random_parameters(network, gain, stream(seed, "teacher"))
        root = self.input_root(network, seed)
        train_x, train_y = self._draw(network, teacher, root, seed, "train", self.train_examples)
        test_x, test_y = self._draw(network, teacher, root, seed, "test", self.test_examples)
        return Dataset(train_x, train_y, test_x, test_y)

    def _draw(
        self, network: Network, teacher: Layers, root: Tensor, seed: int, split: str, examples: int
    ) -> tuple[Tensor, Tensor]:
        """x `[1, N, n_0]` and y `[1, N, n_L]` of a split."""
        source, noise = stream(seed, f"{split} inputs"), stream(seed, f"{split} noise")
        x = torch.randn(examples, len(root), dtype=root.dtype, generator=source) @ root.mT
        clean = forward(network, teacher, x).output
        y = clean + self.noise_variance**0.5 * torch.randn(
            clean.shape, dtype=root.dtype, generator=noise
        )
        return x.unsqueeze(0), y.unsqueeze(0)

    def input_root(self, network: Network, seed: int) -> Tensor:
        """A with A Aᵀ = Σ, `[n_0, n_0]`."""
        generator = stream(seed, "covariance")
        return input_covariance_root(network.widths[0], self.spectrum_decay, generator)

    def input_moment(self, network: Network, seed: int) -> Tensor:
        root = self.input_root(network, seed)
        return root @ root.mT

    def minimum_loss(self, network: Network, likelihood: Likelihood) -> float | None:
        """What the teacher itself reaches: ½ n_L σ² for the Gaussian."""
        return likelihood.noise_floor(network.widths[-1], self.noise_variance)


def input_covariance_root(n: int, spectrum_decay: float, generator: torch.Generator) -> Tensor:
    """Σ^{1/2}'s factor A = Q diag(e^{−s i/2n}), `[n, n]` with A Aᵀ = Σ."""
    gaussian = torch.randn(n, n, dtype=torch.float64, generator=generator)
    q, r = torch.linalg.qr(gaussian)
    q = q * r.diagonal().sign()  # Haar measure (Mezzadri 2007)
    eigenvalues = torch.exp(-spectrum_decay * torch.arange(n, dtype=torch.float64) / n)
    return q * eigenvalues.sqrt()
