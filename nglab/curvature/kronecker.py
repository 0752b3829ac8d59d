"""The Kronecker factors of a layer's Fisher block: F_ii = Λ_i ⊗ Λ̃_i (Eq. 22 with i = j)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nglab.curvature.solvers.cholesky import inverse_
from nglab.networks import products
from nglab.networks.layers import Layers, as_batch
from nglab.networks.passes import add_outer_
from nglab.networks.scratch import Scratch

BLOCK = 64
"""Rows of a product that fill BLAS and waste little of the half that is not needed; twice as many fill oneDNN."""

HALF = 200
"""Columns from which on half a matrix takes oneDNN less time than the whole; BLAS from one block on."""


def second_moment(rows: Tensor, out: Tensor) -> Tensor:
    """⟨r rᵀ⟩ over the rows: `[(batch,) M, n]` → `[(batch,) n, n]`.

    Of the layer inputs x_{i-1} it is Λ_i; of errors e_i of targets sampled from the model it is Λ̃_i (Eqs. 14, 15, 20).
    """
    return add_outer_(out, rows, rows, scale=1 / rows.shape[-2], keep=0)


def second_moment_above(rows: Tensor, out: Tensor) -> None:
    """The entries of `second_moment` on the diagonal and above it; those below have no meaning.

    A large matrix is made by rows of blocks, in little more than half the arithmetic; a small one, a batch of small
    ones and whatever lies on a GPU whole, in one product.
    """
    batch, n = out.dim() > 2, out.shape[-1]
    onednn = not batch and products.by_onednn(rows.mT, rows)
    least = 2 * BLOCK if batch else HALF if onednn else BLOCK + 1
    if n < least or out.is_cuda:
        second_moment(rows, out)
        return
    if batch:
        for one in zip(rows, out, strict=True):
            second_moment_above(*one)
        return
    add: Callable[..., Tensor] = torch.addmm
    step = BLOCK
    if onednn:  # it wants the columns side by side in memory
        add, rows, step = products.addmm, rows.mT.contiguous().mT, 2 * BLOCK
    for k in range(0, n, step):
        left, right, block = rows[:, k : k + step], rows[:, k:], out[k : k + step, k:]
        add(block, left.mT, right, beta=0, alpha=1 / len(rows), out=block)


class KroneckerFactors(Scratch):
    """Λ_i and Λ̃_i of every layer, in kept memory; `inverse_` turns them into their damped inverses.

    `inputs[g]` (Λ_i) and `errors[g]` (Λ̃_i) are `[layers, ..., n, n]` for each group g of layers. All factors of one
    size n lie in one tensor of `stacks`, so that one batched factorisation serves them.
    """

    def __init__(self, params: Layers) -> None:
        sizes = [w.shape[-1] for w in params.stacks] + [w.shape[-2] for w in params.stacks]
        layers = [len(w) for w in params.stacks] * 2
        total = {n: sum(k for k, m in zip(layers, sizes, strict=True) if m == n) for n in sizes}
        leading, like = params.leading, params[0]
        by_size = {n: like.new_empty(k, *leading, n, n) for n, k in total.items()}
        self.stacks = list(by_size.values())
        self._diagonals = [stack.diagonal(dim1=-2, dim2=-1) for stack in self.stacks]
        # of every factorisation, and the views of each stack's
        self._info = like.new_zeros(sum(total.values()), *leading, dtype=torch.int32)
        self._info_of = self._info.split(list(total.values()))
        self._scratch = [torch.empty_like(stack) for stack in self.stacks]
        first = dict.fromkeys(total, 0)
        views = []
        for k, n in zip(layers, sizes, strict=True):
            views.append(by_size[n][first[n] : first[n] + k])
            first[n] += k
        self.inputs, self.errors = views[: len(params.stacks)], views[len(params.stacks) :]
        batched = [as_batch(view) for view in views]
        self.batched = batched[: len(params.stacks)], batched[len(params.stacks) :]

    def average_(self, inputs: Sequence[Tensor], errors: Sequence[Tensor]) -> None:
        """Λ_i from the layer inputs, Λ̃_i from errors of sampled targets; `[(batch,) rows, n]` for each group.

        Only the entries on and above the diagonals count from here to `invert_`.
        """
        for rows, out in zip([*inputs, *errors], [*self.batched[0], *self.batched[1]], strict=True):
            second_moment_above(rows, out)

    def damp_(self, root: Tensor, split: str) -> None:
        """Add √λ `[...]` to every diagonal, "equal" on both factors, or split by "pi"."""
        if split == "equal":
            for diagonal in self._diagonals:
                diagonal.add_(root.unsqueeze(-1))
            return
        for in_, out in zip(self.inputs, self.errors, strict=True):
            in_, out = (factor.diagonal(dim1=-2, dim2=-1) for factor in (in_, out))
            pi = pi_of(in_, out)
            in_.add_((root * pi).unsqueeze(-1))
            out.add_((root / pi).unsqueeze(-1))

    def invert_(self) -> Tensor:
        """Replace every factor by its inverse; False `[...]` where one is not numerically positive definite."""
        for a, scratch, info in zip(self.stacks, self._scratch, self._info_of, strict=True):
            inverse_(a, scratch, info)
        return (self._info == 0).all(0)


def pi_of(inputs: Tensor, errors: Tensor) -> Tensor:
    """π of the asymmetric damping, π√λ on Λ and √λ/π on Λ̃: π² = (tr Λ / dim Λ) / (tr Λ̃ / dim Λ̃), `[layers, ...]`.

    From the diagonals `[layers, ..., n]`; of Martens & Grosse (2015), §6.3, which the paper's conclusions ask for.
    """
    return (inputs.mean(-1) / errors.mean(-1)).sqrt()
