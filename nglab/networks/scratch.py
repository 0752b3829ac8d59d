"""What of a state outlives a step, and what does not."""

from abc import ABC, abstractmethod

from torch import Tensor


class Scratch:
    """Memory that each step writes before it reads: no part of what a checkpoint holds."""


class Held(ABC):
    """Memory in stacks of layers that a checkpoint holds."""

    @abstractmethod
    def held(self) -> list[Tensor]:
        """The stacks, `[layers, ..., rows, columns]`: in a stack of networks the replicas are on the second axis."""
