"""(A + δI)⁻¹ of symmetric positive semi-definite matrices by Cholesky factorisation.

The inverse is formed: on the sizes of these networks `cholesky_inverse` and one product take less time than
two triangular solves, in batches above all. A factorisation that fails is reported, never raised.
"""

import torch
from torch import Tensor


def damped_inverse_(a: Tensor, damping: Tensor, scratch: Tensor) -> Tensor:
    """Replace A by (A + δI)⁻¹, for contiguous symmetric A `[..., n, n]` and δ `[...]` (broadcast).

    `scratch` is overwritten, of A's shape and contiguous. Returns `ok [...]`, False where A + δI is not numerically
    positive definite: what stands in A there has no meaning.
    """
    a.diagonal(dim1=-2, dim2=-1).add_(damping.unsqueeze(-1))
    info = torch.empty(a.shape[:-2], dtype=torch.int32, device=a.device)
    factor, a_columns = scratch.mT, a.mT  # LAPACK works on columns; A is symmetric
    torch.linalg.cholesky_ex(a_columns, out=(factor, info))
    ok = info == 0
    factor.diagonal(dim1=-2, dim2=-1).masked_fill_(
        ~ok.unsqueeze(-1), 1.0
    )  # a zero would raise below
    torch.cholesky_inverse(factor, out=a_columns)
    return ok
