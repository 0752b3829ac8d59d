"""A curvature matrix C as a preconditioner: what turns the gradient G into the direction (C + λI)⁻¹ G."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nglab.curvature.batch import Batch
from nglab.networks.layers import Layers
from nglab.settings.checked import Settings


@dataclass(frozen=True)
class Metric(Settings):
    """C and its settings; what it keeps between steps is the state that `init` makes.

    A step calls `update_`, `invert_` and `multiply_`, in this order.
    """

    @property
    def sampled(self) -> bool:
        """Whether C is made of errors of targets sampled from the model."""
        return True

    @property
    def any_gradient(self) -> bool:
        """Whether (C + λI)⁻¹ multiplies any G, not only that of the batch taken in."""
        return False

    @property
    def capturable(self) -> bool:
        """Whether a CUDA graph may hold a step: no decision that changes from step to step is made in Python."""
        return True

    def check(self, key: str, run: Any) -> None:
        """Raise InputError where the settings at `key` do not go with the rest of the run."""

    @abstractmethod
    def init(self, params: Layers, batch: Batch) -> Any:
        """The state before the first step."""

    def takes(self, state: Any) -> bool:
        """Whether the next `update_` takes anything of its batch; of one that does not no targets are sampled."""
        return True

    @abstractmethod
    def update_(self, state: Any, batch: Batch) -> None:
        """Take in the curvature of the batch, after its `gradient_`."""

    @abstractmethod
    def invert_(self, state: Any, damping: Tensor) -> Tensor:
        """Make (C + λI)⁻¹ ready for λ `[...]`; whether it could be inverted, bool `[...]`."""

    @abstractmethod
    def multiply_(self, state: Any, gradient: Layers, out: Layers) -> None:
        """out ← (C + λI)⁻¹ G, where G need be the gradient of the batch taken in only without `any_gradient`."""


def weight_of_batch(average: Tensor, steps: int) -> Tensor:
    """1 − keep: what this batch, the k-th, counts in a running average, with keep = min(1 − 1/k, average), `[...]`.

    So the first 1 / (1 − average) batches count alike (Martens & Grosse 2015, §5).
    """
    return 1 - average.clamp(max=1 - 1 / steps)


def is_zero(average: float | Tensor) -> bool:
    """Whether no replica averages over steps; asked once, before the first."""
    return not torch.as_tensor(average).any()
