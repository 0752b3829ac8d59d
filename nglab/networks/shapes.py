"""The shapes of a network's weights, W_1 … W_L, and which of them lie in one tensor."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property


class Shapes(ABC):
    """Layers of weights W_i: what parameters, their curvature and a step along it ask of a network."""

    @property
    @abstractmethod
    def shapes(self) -> Sequence[tuple[int, int]]:
        """The shape of every W_i, the bias column counted."""

    @property
    @abstractmethod
    def inputs(self) -> Sequence[int]:
        """The columns of every W_i, the bias column not counted."""

    @property
    def depth(self) -> int:
        """L, the number of weight layers."""
        return len(self.shapes)

    @cached_property
    def largest(self) -> int:
        """The number of weights of the largest layer."""
        return max(n * n_in for n, n_in in self.shapes)

    @cached_property
    def groups(self) -> list[list[int]]:
        """The layers (from 0) that share a shape, in order of first appearance."""
        by_shape: dict[tuple[int, int], list[int]] = {}
        for i, shape in enumerate(self.shapes):
            by_shape.setdefault(shape, []).append(i)
        return list(by_shape.values())
