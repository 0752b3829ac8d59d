"""A tensor for each layer, those of equal shape in one stack, and how the values of a layer lie in memory.

Whoever reads parameters reads them by layer, 1 to L: a `Layers` and a plain list of tensors alike. The parameter vector
θ is their weights one after the other, each flattened row by row. How the stacks lie in memory is another order, that
of `Shapes.groups`, which work entry by entry alone may use.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import groupby

import torch
from torch import Tensor

from nglab.networks import products
from nglab.networks.scratch import Held
from nglab.networks.shapes import Shapes


def to_vector(layers: Sequence[Tensor]) -> Tensor:
    """θ `[..., P]` of layers `[..., n_i, m_i]`, a copy.

    >>> to_vector([torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[5.0, 6.0]])])
    tensor([1., 2., 3., 4., 5., 6.])
    """
    return torch.cat([w.flatten(-2) for w in layers], -1)


def from_vector(network: Shapes, theta: Tensor) -> list[Tensor]:
    """Layers `[..., n_i, m_i]` of θ `[..., P]` (views). `Layers.from_vector` puts them into stacks.

    >>> from nglab.networks.network import Network
    >>> from_vector(Network((2, 1, 1)), torch.tensor([1.0, 2.0, 3.0]))
    [tensor([[1., 2.]]), tensor([[3.]])]
    """
    parts = theta.split([rows * columns for rows, columns in network.shapes], -1)
    return [part.unflatten(-1, shape) for part, shape in zip(parts, network.shapes, strict=True)]


class Layers(Sequence[Tensor], Held):
    """A tensor for each layer, in the layers' order: parameters θ = (W_1, …, W_L), a gradient, a direction.

    Those of one shape are views of one stack.

    `layers[i]` (also `views[i]`) is `[..., rows, columns]`, `stacks[g]` is `[layers of group g, ..., rows, columns]`
    and `batched[g]` the same memory as `[layers × replicas, rows, columns]`, or `[rows, columns]` where that product
    is 1: what the batched and the plain matrix products of BLAS take.
    `pieces` are for work entry by entry: the stacks, or, where the stacks are views of one memory, that memory alone as
    `[1, 1, numbers]`.

    Parameters have no unit of their own; a gradient has that of the loss. `Layers.of` and `Layers.from_vector` copy a
    list of tensors and a vector θ `[..., P]`; `to_vector` of `nglab.networks.layers` is the way back.

    Raises InputError where `Fisher`, `predict` and their like are given layers of another network.

    Source: ours; W_i are those of Bernacchia et al. (2018), Eq. 1.

    >>> from nglab.networks.network import Network
    >>> layers = Layers.from_vector(Network([2, 2, 1]), torch.arange(6.0))
    >>> layers
    Layers([2, 2], [1, 2]; 6 numbers, float32)
    >>> layers[1]
    tensor([[4., 5.]])
    """

    def __init__(self, network: Shapes, stacks: list[Tensor], memory: Tensor | None = None) -> None:
        self.network = network
        self.stacks = stacks
        self.pieces = stacks if memory is None else [memory]
        self.batched = [as_batch(stack) for stack in stacks]
        place = {i: (g, k) for g, group in enumerate(network.groups) for k, i in enumerate(group)}
        self.views = [stacks[g][k] for g, k in (place[i] for i in range(network.depth))]

    @classmethod
    def of(cls, network: Shapes, layers: Sequence[Tensor]) -> "Layers":
        """Copy a plain list of tensors, one a layer, into stacks; those of one network into one memory."""
        stacks = [torch.stack([layers[i] for i in group]) for group in network.groups]
        if stacks[0].dim() > 3:
            return cls(network, stacks)
        memory = torch.cat([stack.flatten() for stack in stacks])
        return cls.within(network, memory.view(1, 1, -1))

    @classmethod
    def from_vector(cls, network: Shapes, theta: Tensor) -> "Layers":
        """The parameters of θ `[..., P]`, copied.

        >>> from nglab.networks.network import Network
        >>> network = Network((2, 1, 1, 2))
        >>> [tuple(w.shape) for w in Layers.from_vector(network, torch.arange(5.0))]
        [(1, 2), (1, 1), (2, 1)]
        """
        return cls.of(network, from_vector(network, theta))

    @classmethod
    def within(cls, network: Shapes, memory: Tensor) -> "Layers":
        """The parameters of one network, laid out in `memory` `[1, 1, numbers]`."""
        shapes = [(len(group), *network.shapes[group[0]]) for group in network.groups]
        parts = memory.flatten().split([math.prod(shape) for shape in shapes])
        return cls(network, [p.view(s) for p, s in zip(parts, shapes, strict=True)], memory)

    def map(self, function: Callable[[Tensor], Tensor]) -> "Layers":
        """The Layers with `function(piece)`, of the same shape, for every piece."""
        pieces = [function(piece) for piece in self.pieces]
        if self.pieces is self.stacks:
            return Layers(self.network, pieces)
        return Layers.within(self.network, pieces[0])

    def replicas(self, some: slice | Sequence[int]) -> "Layers":
        """Those of a stack's networks; of a slice, views."""
        return Layers(self.network, [stack[:, some] for stack in self.stacks])

    def __repr__(self) -> str:
        """`Layers(2 × [4, 4], [3, 4]; 44 numbers, float64)`: the shapes in the layers' order."""
        runs = [(len(list(same)), shape) for shape, same in groupby(list(w.shape) for w in self)]
        shapes = ", ".join(f"{n} × {shape}" if n > 1 else str(shape) for n, shape in runs)
        numbers = sum(w.numel() for w in self)
        dtype = str(self[0].dtype).removeprefix("torch.")
        return f"Layers({shapes}; {numbers} numbers, {dtype})"

    def held(self) -> list[Tensor]:
        return self.stacks

    def __getitem__(self, i):  # type: ignore[no-untyped-def]
        return self.views[i]

    def __len__(self) -> int:
        return len(self.views)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.views)

    @cached_property
    def leading(self) -> torch.Size:
        """The replica axes `...`."""
        return self.views[0].shape[:-2]

    @property
    def per_replica(self) -> Tensor:
        """A new zero for every replica, `[...]`, of the type and on the device of the weights."""
        return self.views[0].new_zeros(self.leading)

    @cached_property
    def transposed(self) -> list[Tensor]:
        """W_iᵀ (views)."""
        return [w.mT for w in self.views]

    @cached_property
    def without_bias(self) -> list[Tensor]:
        """W_i less its bias column (views): what the error flows back through."""
        return [w[..., :n] for w, n in zip(self.views, self.network.inputs, strict=True)]


BY_COLUMNS = math.inf if products.LIFTED else 100
"""Examples from which on BLAS is faster where the values of one unit lie side by side in memory."""


def layer_values(like: Tensor, layers: int, examples: int, units: int, hidden: bool) -> Tensor:
    """Memory for x_i or e_i of `layers` layers, `[layers, ..., examples, units]`, for replicas as `like` has them.

    One example a row, as everywhere; in memory, of `BY_COLUMNS` examples or more, one unit after the other. Only what a
    data set or a density fills (not `hidden`) lies as they do.
    """
    if hidden and examples >= BY_COLUMNS:
        return like.new_empty(layers, *like.shape[:-2], units, examples).mT
    return like.new_empty(layers, *like.shape[:-2], examples, units)


def as_batch(stack: Tensor) -> Tensor:
    """`[a, b, …, rows, columns]` as `[a·b·…, rows, columns]`, as `[rows, columns]` where a·b·… = 1 (a view)."""
    batch = stack.flatten(0, -3)
    return batch[0] if len(batch) == 1 else batch
