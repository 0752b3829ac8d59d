"""A curvature matrix by its leading eigenpairs, found from random products (Halko, Martinsson & Tropp 2011)."""

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from nglab.curvature.solvers.solver import (
    Matrix,
    Solution,
    Solver,
    as_scalars,
    columns,
    eigenpairs,
    solution,
)
from nglab.settings.fields import Count, setting


@dataclass(frozen=True)
class RandomizedSVD(Solver):
    """x = (U diag(s) Uᵀ + λI)⁻¹ b with the leading eigenpairs of A alone: exact where A's rank is at most `rank`.

    It takes (power_steps + 2)(rank + oversample) products with A, and λ > 0. It fails where λ is not, or where A + λI
    is not positive definite on the range that was found.

    >>> a, b = torch.diag(torch.tensor([3.0, 0.0])), torch.ones(2)
    >>> RandomizedSVD(rank=1, oversample=1, power_steps=1, seed=0).solve(a, b, damping=1.0).x
    tensor([0.2500, 1.0000])
    """

    rank: Count = setting("leading eigenpairs of A that are kept")
    oversample: Annotated[int, Ge(0)] = setting("random columns beyond the rank", paper="5 or 10")
    power_steps: Annotated[int, Ge(0)] = setting(
        "products with A that sharpen the range, for spectra that fall slowly", paper="1 or 2"
    )
    seed: Annotated[int, Ge(0)] = setting("of the random columns, the same at each solve")

    def solve(self, a: Matrix, b: Tensor, damping: float | Tensor) -> Solution:
        generator = torch.Generator(device=b.device).manual_seed(self.seed)
        found = min(a.shape[-1], self.rank + self.oversample)
        vectors, values = low_rank(a, found, generator, b, 0, self.power_steps)
        each = as_scalars(damping, b)
        positive = (each > 0) & (as_scalars(values[..., -1], b) + each > 0)
        vectors, values = vectors[..., : self.rank], values[..., : self.rank]
        right = columns(a, b)
        along = vectors.mT @ right
        x = vectors @ (along / (values.unsqueeze(-1) + each)) + (right - vectors @ along) / each
        return solution(a, b, damping, x, positive[..., 0, 0], (self.power_steps + 2) * found)


def low_rank(
    c: Matrix,
    rank: int,
    generator: torch.Generator,
    like: Tensor,
    oversample: int = 8,
    power_steps: int = 2,
) -> tuple[Tensor, Tensor]:
    """Eigenvectors `[..., P, rank]` and eigenvalues `[..., rank]` of a symmetric PSD C, largest first.

    The range of C^(q+1) Ω with Ω random `[P, rank + oversample]` (Alg. 4.4, q = `power_steps`), then C within it
    (Alg. 5.3). It takes (q + 2)(rank + oversample) products with C; `like` gives type and device.
    `torch.svd_lowrank` does the same for a stored matrix only.
    """
    p = c.shape[-1]
    drawn = min(p, rank + oversample)
    basis = torch.empty(p, drawn, dtype=like.dtype, device=like.device).normal_(generator=generator)
    basis = basis.expand(*c.shape[:-2], p, drawn)
    for _ in range(power_steps + 1):
        basis = torch.linalg.qr(c @ basis).Q
    values, rotation = eigenpairs(basis.mT @ (c @ basis))
    return basis @ rotation[..., -rank:].flip(-1), values[..., -rank:].flip(-1)
