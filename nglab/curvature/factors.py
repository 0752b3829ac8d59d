"""The Kronecker factors of the layers' Fisher blocks, F_ii = Λ_i ⊗ Λ̃_i (Eq. 22 with i = j), in memory."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nglab.networks import products
from nglab.networks.layers import Layers, as_batch
from nglab.networks.passes import add_outer_
from nglab.networks.scratch import Held
from nglab.networks.shapes import Shapes

BLOCK, ONEDNN_BLOCK = 48, 128
"""Rows of a product that fill BLAS, or oneDNN, and waste little of the half that is not needed."""

HALF, ONEDNN_HALF = 80, 200
"""Columns from which on half a matrix takes less time than the whole."""


class Factors(Held):
    """A symmetric matrix for either side of each layer: Λ_i of its inputs, Λ̃_i of its errors.

    `inputs[g]` and `errors[g]` are `[layers, ..., n, n]` for each group g of layers. All of one size n lie in one
    tensor of `stacks`, so that one batched factorisation serves them. Entries below the diagonals may have no
    meaning: `of_layer` gives whole matrices. `sides`: 1 for Λ_i alone, `errors` is empty then. Of `layers` the
    shapes alone are asked, of `per_replica` `[...]` the replicas, the type and the device.
    """

    def __init__(self, layers: Shapes, per_replica: Tensor, sides: int = 2) -> None:
        self.layers = layers
        axes = (-1, -2)[:sides]  # Λ_i is as large as W_i has columns, Λ̃_i as it has rows
        sizes = [layers.shapes[group[0]][axis] for axis in axes for group in layers.groups]
        counts = [len(group) for group in layers.groups] * sides
        self.of_size = {n: 0 for n in sizes}
        self._places = []  # of each side of each group: its size and where in the stack of that size it lies
        for n, count in zip(sizes, counts, strict=True):
            self._places.append((n, slice(self.of_size[n], self.of_size[n] + count)))
            self.of_size[n] += count
        self.stacks = [
            per_replica.new_zeros(count, *per_replica.shape, n, n)
            for n, count in self.of_size.items()
        ]
        self.inputs, self.errors = self.by_side(self.stacks)
        self.batched = [as_batch(a) for a in self.inputs], [as_batch(a) for a in self.errors]

    def by_side(self, stacks: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Of something `[layers, ...]` for every stack, the views that belong to Λ and to Λ̃ of each group."""
        by_size = dict(zip(self.of_size, stacks, strict=True))
        views = [by_size[n][place] for n, place in self._places]
        groups = len(self.layers.groups)
        return views[:groups], views[groups:]

    def measure_(
        self, inputs: Sequence[Tensor], errors: Sequence[Tensor], examples: int | None = None
    ) -> None:
        """Λ_i = ⟨x_{i-1} x_{i-1}ᵀ⟩, Λ̃_i = ⟨e_i e_iᵀ⟩ (Eqs. 14, 15, 20), on and above the diagonals.

        From the layer inputs and the errors of sampled targets (none for Λ alone), `[(batch,) rows, n]` for each group.
        Of weights that stand at several positions of an example there is a row for each: Λ_i is their sum over the
        positions, the mean over the `examples` (None: a row each), Λ̃_i the mean over both (Grosse & Martens 2016, §3).
        """
        for side, rows_of, count in zip(
            self.batched, (inputs, errors), (examples, None), strict=True
        ):
            for out, rows in zip(side, rows_of, strict=True):
                second_moment_above(rows, out, count)

    def add_squares_(self, layers: Layers, keep: float = 1.0) -> None:
        """Λ_i ← keep Λ_i + V_iᵀV_i and Λ̃_i ← keep Λ̃_i + V_i V_iᵀ with V_i `[..., n_i, m_i]` of `layers`, whole."""
        rows = layers.batched, [v.mT for v in layers.batched]
        for side, rows_of in zip(self.batched, rows, strict=True):
            for out, v in zip(side, rows_of, strict=True):
                add_outer_(out, v, v, keep=keep)

    def multiply_(self, layers: Layers, product: Layers, out: Layers) -> None:
        """out ← Λ̃_i V_i Λ_i for V_i of `layers`, V_i Λ_i where there is Λ_i alone; `product` is overwritten."""
        inputs, errors = self.batched
        both_sides_(errors, layers, inputs, product, out)

    def average_(self, other: "Factors", weight: Tensor) -> None:
        """Become (1 − weight) · this + weight · other, the weight `[...]`."""
        for mine, theirs in zip(self.stacks, other.stacks, strict=True):
            mine.lerp_(theirs, weight[..., None, None])

    def copy_(self, other: "Factors") -> None:
        for mine, theirs in zip(self.stacks, other.stacks, strict=True):
            mine.copy_(theirs)

    def of_layer(self, i: int) -> tuple[Tensor, ...]:
        """Λ and Λ̃, as far as there are, of layer i (from 0) as whole symmetric matrices, `[..., n, n]`."""
        g, k = next((g, group.index(i)) for g, group in enumerate(self.layers.groups) if i in group)
        return tuple(symmetric(side[g][k]) for side in (self.inputs, self.errors) if side)

    def held(self) -> list[Tensor]:
        return self.stacks


def both_sides_(
    left: Sequence[Tensor], layers: Layers, right: Sequence[Tensor], product: Layers, out: Layers
) -> None:
    """out ← A_i V_i B_i for V_i of `layers`, A and B as `Factors.batched` has them; V_i B_i where `left` is empty.

    `product` is overwritten; where `left` is not empty `out` may be `layers`.
    """
    middle = layers.batched
    if left:
        middle = product.batched
        _multiply_(left, layers.batched, middle)
    _multiply_(middle, right, out.batched)


def _multiply_(left: Sequence[Tensor], right: Sequence[Tensor], out: Sequence[Tensor]) -> None:
    for a, b, product in zip(left, right, out, strict=True):
        products.multiply(a, b, out=product)


def symmetric(above: Tensor) -> Tensor:
    """The symmetric matrix with the entries of `above` on and above the diagonal."""
    return above.triu() + above.triu(1).mT


def second_moment_above(rows: Tensor, out: Tensor, count: int | None = None) -> None:
    """Σ r rᵀ / count over the rows, the mean where there is no `count`: `[(batch,) M, n]` → `[(batch,) n, n]`.

    Below the diagonal it may have no meaning.

    A large matrix is made by rows of blocks, in little more than half the arithmetic; a small one, a batch of small
    ones and whatever lies on a GPU whole, in one product.
    """
    batch, n, scale = out.dim() > 2, out.shape[-1], 1 / (count or rows.shape[-2])
    onednn = not batch and products.by_onednn(rows.mT, rows)
    if n < (ONEDNN_HALF if onednn else HALF) or out.is_cuda:
        product = products.baddbmm if batch else products.addmm
        product(out, rows.mT, rows, beta=0, alpha=scale, out=out)
    elif batch:
        for one in zip(rows, out, strict=True):
            second_moment_above(*one, count)
    else:
        _by_rows_of_blocks(rows, out, scale, onednn)


def _by_rows_of_blocks(rows: Tensor, out: Tensor, scale: float, onednn: bool) -> None:
    add: Callable[..., Tensor] = torch.addmm
    step = BLOCK
    if onednn:  # it wants the columns side by side in memory
        add, rows, step = products.addmm, rows.mT.contiguous().mT, ONEDNN_BLOCK
    for k in range(0, out.shape[-1], step):
        left, right, block = rows[:, k : k + step], rows[:, k:], out[k : k + step, k:]
        add(block, left.mT, right, beta=0, alpha=scale, out=block)
