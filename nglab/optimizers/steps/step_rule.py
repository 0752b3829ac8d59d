"""How far to go: from the metric's direction D to the step ΔW."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from nglab.curvature.batch import Batch
from nglab.networks.layers import Layers
from nglab.settings.checked import Settings


@dataclass(frozen=True)
class StepRule(Settings):
    """ΔW from D, and the decrease of the batch's loss that its quadratic model foretells."""

    linearises: ClassVar[bool] = False
    """Whether it asks the batch for J v."""

    @property
    def capturable(self) -> bool:
        """Whether a CUDA graph may hold a step: no decision that changes from step to step is made in Python."""
        return True

    def check(self, key: str, run: Any) -> None:
        """Raise InputError where the settings at `key` do not go with the rest of the run."""

    def init(self, params: Layers, batch: Batch) -> Any:
        """The state before the first step."""
        return None

    @abstractmethod
    def propose_(
        self, state: Any, params: Layers, rate: Tensor, batch: Batch, direction: Layers,
        damping: Tensor, trial: Layers,
    ) -> Tensor:  # fmt: skip
        """trial ← W + ΔW; returns the decrease that the model without damping predicts, `[...]`.

        `batch` holds the passes at W and their gradient G; `rate` is α and `damping` λ, both `[...]`.
        """

    def settle_(self, state: Any, taken: Tensor) -> None:
        """Learn whether the proposed step was taken, bool `[...]`."""
        return None


def slope(direction: Layers, gradient: Layers, product: Layers) -> Tensor:
    """Σ_i tr(D_iᵀ G_i) `[...]`; `product` is overwritten."""
    total = direction[0].new_zeros(direction.leading)
    for d, g, out in zip(direction.pieces, gradient.pieces, product.pieces, strict=True):
        total += torch.mul(d, g, out=out).sum((0, -2, -1))
    return total
