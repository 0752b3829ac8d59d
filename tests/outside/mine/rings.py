"""Points of the plane on rings, a class a ring."""

from dataclasses import dataclass
from math import pi
from typing import ClassVar

import torch

from nglab import DataSource
from nglab.data.dataset import Dataset
from nglab.randomness import stream
from nglab.settings.fields import NonNegative, setting
from nglab.settings.messages import demand


@dataclass(frozen=True)
class Rings(DataSource):
    """x = (k + 1 + noise) (cos φ, sin φ) for the class k, φ uniform; y one-hot."""

    targets: ClassVar[str] = "classes"
    drawn: ClassVar[bool] = True

    noise: NonNegative = setting("standard deviation of the radius")

    def check(self, key, run):
        demand(run.arch.widths[0] == 2, "arch.widths", list(run.arch.widths), "2 first: a plane")

    def dataset(self, network, gain, seed):
        return Dataset(
            *self.draw(network, seed, "train", self.train_examples),
            *self.draw(network, seed, "test", self.test_examples),
        )

    def draw(self, network, seed, split, examples):
        generator = stream(seed, f"{split} rings")
        ring = torch.randint(network.widths[-1], (examples,), generator=generator)
        angle = 2 * pi * torch.rand(examples, dtype=torch.float64, generator=generator)
        noise = torch.randn(examples, dtype=torch.float64, generator=generator)
        x = (ring + 1 + self.noise * noise) * torch.stack([angle.cos(), angle.sin()])
        return x.T.unsqueeze(0), torch.eye(network.widths[-1])[ring].double().unsqueeze(0)
