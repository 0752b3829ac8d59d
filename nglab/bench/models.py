"""What is timed beyond nglab's own networks: `nn.Module`s as others write them, and batches of white noise for them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nglab.bench.cases import make_case, network_of, sequential
from nglab.bench.steps import half_squared_error

Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES: dict[str, Loss] = {
    "gaussian": half_squared_error,
    "categorical": nn.functional.cross_entropy,
}
"""likelihood → (output, target) → the loss that is minus its mean logarithm."""


@dataclass(frozen=True)
class ModelCase:
    """A model and batches x `[steps, M, …]`, y `[steps, M, n]` or classes `[steps, M]`.

    Curvature is made anew on the first of the batches.
    """

    model: nn.Module
    likelihood: str
    x: Tensor
    y: Tensor

    @property
    def steps(self) -> int:
        return len(self.x)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        return LOSSES[self.likelihood](self.model(x), y)


@dataclass(frozen=True)
class ModelPlan:
    """What a case is made from: each process that times a contender makes its own."""

    name: str
    batch_size: int
    steps: int
    dtype: torch.dtype

    def case(self) -> ModelCase:
        return MODELS[self.name](self.batch_size, self.steps, self.dtype)


def mlp(batch_size: int, steps: int, dtype: torch.dtype) -> ModelCase:
    """The autoencoder of panel D as an `nn.Sequential`."""
    case = make_case(network_of("D"), batch_size, steps, lr=0.0, dtype=dtype)
    return ModelCase(sequential(case), "gaussian", case.x, case.y)


def convolutional() -> nn.Sequential:
    """Digits of 28 × 28 pixels by 8 filters of 5 × 5, 16 of 3 × 3, both at every second pixel, and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2, padding=2), nn.Tanh(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.Tanh(),
        nn.Flatten(), nn.Linear(16 * 7 * 7, 10),
    )  # fmt: skip


def cnn(batch_size: int, steps: int, dtype: torch.dtype) -> ModelCase:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(steps, batch_size, 1, 28, 28, dtype=dtype, generator=generator)
    y = torch.randint(10, (steps, batch_size), generator=generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = convolutional()
    return ModelCase(model.to(dtype), "categorical", x, y)


MODELS: dict[str, Callable[[int, int, torch.dtype], ModelCase]] = {"MLP": mlp, "CNN": cnn}
