"""What the training loop asks of a method: a pure update.

`init(task, params, streams) -> state` and `step(params, state, x, y) -> params, state`. A step owns what it is given:
the memory of `params` and `state` may be reused for what it returns, so a caller keeps only the returned ones.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.layers import Layers
from nglab.networks.network import Network
from nglab.settings.fields import Count, Positive, setting

Streams = Callable[[str], Sequence[torch.Generator]]
"""purpose → the random generators, one a replica."""


@dataclass(frozen=True)
class Task:
    """What a method is told before its first step: the model r(y | f(x, θ)), and how long it will be trained."""

    network: Network  # f
    likelihood: Likelihood  # r
    steps: int  # planned in all
    input_moment: Tensor | None = None  # Σ = E[x xᵀ] `[n_0, n_0]` where the data know it


@dataclass(frozen=True, kw_only=True)
class Optimizer(ABC):
    """A method and its settings. Real numbers are floats, or tensors `[replicas]` in a stack.

    A method states the diagnostics that it records, name → meaning, and how many of its steps a CUDA graph holds (0:
    they cannot be captured).
    """

    columns: ClassVar[Mapping[str, str]] = {}
    graph_steps: ClassVar[int] = 1

    lr: Positive = setting("learning rate α")
    batch_size: Count = setting("examples a step, M")

    @abstractmethod
    def init(self, task: Task, params: Layers, streams: Streams) -> Any:
        """The state before the first step."""

    @abstractmethod
    def step(self, params: Layers, state: Any, x: Tensor, y: Tensor) -> tuple[Layers, Any]:
        """One update from a batch x `[..., M, n_0]`, y `[..., M, n_y]`."""

    def diagnostics(self, state: Any) -> dict[str, Tensor]:
        """What `columns` names (`damping`, `reduction_ratio`, …), each `[...]`."""
        return {}
