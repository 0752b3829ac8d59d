"""A curvature matrix by its leading eigenpairs, found from random products (Halko, Martinsson & Tropp 2011)."""

import torch
from torch import Tensor

from nglab.curvature.operator import Operator


def low_rank(
    c: Operator | Tensor,
    rank: int,
    generator: torch.Generator,
    like: Tensor,
    oversample: int = 8,
    power_steps: int = 2,
) -> tuple[Tensor, Tensor]:
    """Eigenvectors `[P, rank]` and eigenvalues `[rank]` of a symmetric PSD C, largest first.

    The range of C^(q+1) Ω with Ω random `[P, rank + oversample]` (Alg. 4.4, q = `power_steps`), then C within it
    (Alg. 5.3). It takes (q + 2)(rank + oversample) products with C; `like` gives type and device.
    `torch.svd_lowrank` does the same for a stored matrix only.
    """
    p = c.shape[-1]
    columns = min(p, rank + oversample)
    random = torch.empty(p, columns, dtype=like.dtype, device=like.device)
    basis = random.normal_(generator=generator)
    for _ in range(power_steps + 1):
        basis = torch.linalg.qr(c @ basis).Q
    values, rotation = torch.linalg.eigh(basis.mT @ (c @ basis))
    leading = values.argsort(descending=True)[:rank]
    return basis @ rotation[:, leading], values[leading]


def solve_low_rank(vectors: Tensor, values: Tensor, b: Tensor, damping: float) -> Tensor:
    """(U diag(s) Uᵀ + λI)⁻¹ b for orthonormal U `[P, rank]`, s `[rank]`, b `[P]`: λ > 0.

    = b/λ + U (1/(s + λ) − 1/λ) Uᵀ b
    """
    return b / damping - vectors @ (values / (damping * (values + damping)) * (vectors.mT @ b))
