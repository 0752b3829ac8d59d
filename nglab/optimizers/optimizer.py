"""What the training loop asks of an optimizer: two functions.

`init(params, streams) -> state` and `step(params, state, x, y) -> params, state`. A step owns what it is given: the
memory of `params` and `state` may be reused for what it returns, so a caller keeps only the returned ones.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from nglab.networks.layers import Layers
from nglab.networks.network import Network

Streams = Callable[[str], Sequence[torch.Generator]]
"""purpose → the random generators, one a replica."""


class Optimizer(Protocol):
    """A pure update. Hyper-parameters are floats, or tensors `[replicas]` in a stack."""

    @property
    def lr(self) -> float | Tensor:
        """α."""

    @property
    def batch_size(self) -> int:
        """M."""

    @property
    def graph_steps(self) -> int:
        """How many steps a CUDA graph holds (nglab/capture.py); 0: they cannot be captured."""

    def init(self, network: Network, params: Layers, streams: Streams) -> Any:
        """The state before the first step."""

    def step(self, params: Layers, state: Any, x: Tensor, y: Tensor) -> tuple[Layers, Any]:
        """One update from a batch x `[..., M, n_0]`, y `[..., M, n_L]`."""

    def diagnostics(self, state: Any) -> dict[str, Tensor]:
        """What the method knows of itself (`damping`, `reduction_ratio`, …), each `[...]`."""
