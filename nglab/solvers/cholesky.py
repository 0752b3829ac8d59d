"""The inverse of symmetric positive definite matrices by Cholesky factorisation.

The inverse is formed: on the sizes of these networks `cholesky_inverse` and one product take less time than
two triangular solves, in batches above all. A factorisation that fails is reported, never raised.
"""

import torch
from torch import Tensor


def inverse_(a: Tensor, scratch: Tensor) -> Tensor:
    """Replace symmetric A `[..., n, n]` (contiguous) by A⁻¹; `scratch`, of A's shape and contiguous, is overwritten.

    Returns `ok [...]`, False where A is not numerically positive definite: what stands in A there has no meaning.
    """
    info = torch.empty(a.shape[:-2], dtype=torch.int32, device=a.device)
    factor, a_columns = scratch.mT, a.mT  # LAPACK works on columns; A is symmetric
    torch.linalg.cholesky_ex(a_columns, out=(factor, info))
    ok = info == 0
    factor.diagonal(dim1=-2, dim2=-1).masked_fill_(
        ~ok.unsqueeze(-1), 1.0
    )  # a zero would raise below
    torch.cholesky_inverse(factor, out=a_columns)
    return ok
