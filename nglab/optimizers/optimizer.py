"""What the training loop asks of a method: a pure update.

`init(task, params, streams) -> state` and `step(params, state, x, y) -> params, state`. A step owns what it is given:
the memory of `params` and `state` may be reused for what it returns, so a caller keeps only the returned ones.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.hyperparameters import each
from nglab.networks.layers import Layers
from nglab.networks.network import Network
from nglab.optimizers.schedules.rate import Rate
from nglab.optimizers.schedules.schedule import Schedule
from nglab.settings.checked import Settings
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
class Optimizer(Settings):
    """A method and its settings. Real numbers are floats, or tensors `[replicas]` in a stack.

    A method states the diagnostics that it records, name → meaning, how many of its steps a CUDA graph holds (0: they
    cannot be captured), and whether it can train a stack. Its rate of each step is `schedule.start(…)` in `init`,
    `advance_()` in `step`.

    θ ← θ + ΔW from the mean loss of M examples: params are `Layers` of W_i `[..., n_i, n_{i−1} (+ 1)]`, with the
    replicas of a stack in front. `lr` is in the unit that ΔW asks for. A new method defines `init` and `step` and
    declares its settings as fields.

    Raises InputError where a setting is unknown, missing, of another type or out of range; `check` is for what concerns
    several, or the run.

    Source: ours; the methods name theirs.

    >>> import nglab as ng
    >>> isinstance(ng.SGD(), Optimizer), isinstance(ng.optimizer("kfac"), ng.NGD)
    (True, True)
    """

    columns: ClassVar[Mapping[str, str]] = {}
    graph_steps: ClassVar[int] = 1
    stackable: ClassVar[bool] = True

    lr: Positive = setting("learning rate α")
    batch_size: Count = setting("examples a step, M")
    schedule: Schedule = setting("how α falls from step to step")

    @abstractmethod
    def init(self, task: Task, params: Layers, streams: Streams) -> Any:
        """The state before the first step: a tree that a checkpoint can hold (nglab/training/state_tree.py)."""

    @abstractmethod
    def step(self, params: Layers, state: Any, x: Tensor, y: Tensor) -> tuple[Layers, Any]:
        """One update from a batch x `[..., M, n_0]`, y `[..., M, n_y]`."""

    def steps(self, params: Layers, state: Any, x: Tensor, y: Tensor) -> tuple[Layers, Any]:
        """As `step` on each of the batches x `[steps, ..., M, n_0]`, y `[steps, ..., M, n_y]` after the other."""
        for x_k, y_k in zip(x, y, strict=True):
            params, state = self.step(params, state, x_k, y_k)
        return params, state

    def takes_turns(self, state: Any) -> bool:
        """Whether `steps` takes a stack's networks a few at a time through all its steps: each stack fits the cache."""
        return False

    def diagnostics(self, state: Any) -> dict[str, Tensor]:
        """What `columns` names, each `[...]`."""
        return {}

    def check(self, key: str, run: Any) -> None:
        """InputError where the settings do not fit those of the rest of the `run`; `key` is their place in it."""

    def rate(self, task: Task, params: Layers) -> Rate:
        """α_k of each step as it multiplies a layer, `[..., 1, 1]`: a part of the state."""
        alpha = each(self.lr, params.per_replica)
        return self.schedule.start(alpha, task.steps, lambda alpha: alpha[..., None, None])

    def learning_rate(self, step: int, steps: int) -> Tensor:
        """α_k at `step` k of `steps`, `[]` or `[replicas]`, float64 on the CPU."""
        k = torch.tensor(step, dtype=torch.float64)
        return self.lr * self.schedule.factor(k, steps)
