"""What the methods share that follow the gradient and what they keep of earlier ones, entry by entry."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from nglab.networks.hyperparameters import as_like
from nglab.networks.layers import Layers
from nglab.networks.scratch import Scratch
from nglab.optimizers.first_order.compiled import CompiledDescent
from nglab.optimizers.first_order.descent import Descent
from nglab.optimizers.optimizer import Optimizer, Streams, Task
from nglab.optimizers.schedules.rate import Rate

Number = float | Tensor
"""A setting as it multiplies a layer: one number, or `[replicas, 1, 1]`."""


class Work(Scratch):
    """The passes, the settings as they multiply a layer, and as many layers as a step writes anew: first of all G."""

    def __init__(self, descent: Descent, settings: list[Number], layers: list[Layers]) -> None:
        self.descent, self.settings, self.layers = descent, settings, layers
        self.compiled: CompiledDescent | None = None  # of a method that has it


@dataclass
class FirstOrderState:
    rate: Rate  # α_k, `[..., 1, 1]`
    kept: list[Layers]  # of the earlier gradients
    work: Work

    def gradient_(self, params: Layers, x: Tensor, y: Tensor) -> None:
        """G_i = ⟨e_i x_{i-1}ᵀ⟩ into the first of the work's layers (Eq. 7)."""
        gradient = self.work.layers[0]
        for g in gradient.pieces:
            g.zero_()
        self.work.descent.backpropagate_(params, x, y, 1 / x.shape[-2])
        self.work.descent.add_to_(gradient)

    def pieces(self, params: Layers) -> Iterator[tuple[Tensor, ...]]:
        """(W, each of the work's layers, each of the kept ones), piece by piece: what is done entry by entry."""
        return zip(
            *(layers.pieces for layers in (params, *self.work.layers, *self.kept)), strict=True
        )


@dataclass(frozen=True, kw_only=True)
class FirstOrder(Optimizer):
    """W ← W + α D, where D follows from G and from `kept` layers of numbers that begin as zeros.

    `anew` is the number of layers that a step has as its working memory.
    """

    graph_steps: ClassVar[int] = 10
    kept: ClassVar[int]
    anew: ClassVar[int]

    @abstractmethod
    def numbers(self) -> Sequence[Number]:
        """The settings that a step takes from `state.work.settings`, numbers or `[replicas]`."""

    def init(self, task: Task, params: Layers, streams: Streams) -> Any:
        settings = [for_layers(number, params) for number in self.numbers()]
        work = [params.map(torch.empty_like) for _ in range(self.anew)]
        return FirstOrderState(
            self.rate(task, params),
            [params.map(torch.zeros_like) for _ in range(self.kept)],
            Work(Descent(task, params, self.batch_size), settings, work),
        )


def for_layers(number: Number, params: Layers) -> Number:
    """A number as it is, `[replicas]` as `[replicas, 1, 1]` of the type of `params`."""
    return as_like(number, params[0])[..., None, None] if isinstance(number, Tensor) else number
