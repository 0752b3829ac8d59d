"""The Kronecker factors of a layer's Fisher block: F_ii = Λ_i ⊗ Λ̃_i (Eq. 22 with i = j)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nglab.networks import Layers, add_outer_, as_batch
from nglab.solvers.cholesky import inverse_

Split = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def second_moment(rows: Tensor, out: Tensor) -> Tensor:
    """⟨r rᵀ⟩ over the rows: `[(batch,) M, n]` → `[(batch,) n, n]`.

    Of the layer inputs x_{i-1} it is Λ_i; of errors e_i of targets sampled from the model it is Λ̃_i (Eqs. 14, 15, 20).
    """
    return add_outer_(out, rows, rows, scale=1 / rows.shape[-2], keep=0)


class KroneckerFactors:
    """Λ_i and Λ̃_i of every layer, in kept memory; `inverse_` turns them into their damped inverses.

    `inputs[g]` (Λ_i) and `errors[g]` (Λ̃_i) are `[layers, ..., n, n]` for each group g of layers. All factors of one
    size n lie in one tensor of `stacks`, so that one batched factorisation serves them.
    """

    def __init__(self, params: Layers) -> None:
        sizes = [w.shape[-1] for w in params.stacks] + [w.shape[-2] for w in params.stacks]
        layers = [len(w) for w in params.stacks] * 2
        total = {n: sum(k for k, m in zip(layers, sizes, strict=True) if m == n) for n in sizes}
        by_size = {n: params[0].new_empty(k, *params.leading, n, n) for n, k in total.items()}
        self.stacks = list(by_size.values())
        self.scratch = [torch.empty_like(stack) for stack in self.stacks]
        first = dict.fromkeys(total, 0)
        views = []
        for k, n in zip(layers, sizes, strict=True):
            views.append(by_size[n][first[n] : first[n] + k])
            first[n] += k
        self.inputs, self.errors = views[: len(params.stacks)], views[len(params.stacks) :]
        self._batches = [as_batch(view) for view in views]
        self._diagonals = [view.diagonal(dim1=-2, dim2=-1) for view in views]

    def average_(self, inputs: Sequence[Tensor], errors: Sequence[Tensor]) -> None:
        """Λ_i from the layer inputs, Λ̃_i from errors of sampled targets; `[(batch,) rows, n]` for each group."""
        for rows, out in zip([*inputs, *errors], self._batches, strict=True):
            second_moment(rows, out)

    def damp_(self, root: Tensor, split: Split) -> None:
        """Add to every factor's diagonal what `split` makes of √λ `[...]`."""
        groups = len(self.inputs)
        for g in range(groups):
            in_, out = split(root, self._diagonals[g], self._diagonals[groups + g])
            self._diagonals[g].add_(in_.unsqueeze(-1))
            self._diagonals[groups + g].add_(out.unsqueeze(-1))

    def invert_(self) -> Tensor:
        """Replace every factor by its inverse; False `[...]` where one is not numerically positive definite."""
        ok = [inverse_(a, s).all(0) for a, s in zip(self.stacks, self.scratch, strict=True)]
        return torch.stack(ok).all(0)


def equal_split(root: Tensor, inputs: Tensor, errors: Tensor) -> tuple[Tensor, Tensor]:
    """√λ on both factors, as the paper has it (Eq. 20)."""
    return root, root


def pi_split(root: Tensor, inputs: Tensor, errors: Tensor) -> tuple[Tensor, Tensor]:
    """π√λ on Λ and √λ/π on Λ̃, with π² = (tr Λ / dim Λ) / (tr Λ̃ / dim Λ̃), from their diagonals `[layers, ..., n]`.

    The asymmetric damping of Martens & Grosse (2015), §6.3, which the paper's conclusions ask for.
    """
    pi = (inputs.mean(-1) / errors.mean(-1)).sqrt()
    return root * pi, root / pi


SPLITS: dict[str, Split] = {"equal": equal_split, "pi": pi_split}
