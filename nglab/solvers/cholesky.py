"""(A + δI)⁻¹ of symmetric positive semi-definite matrices by Cholesky factorisation.

The inverse is formed: on the sizes of these networks `cholesky_inverse` and one product take less time than
two triangular solves, in batches above all. A factorisation that fails is reported, never raised.
"""

import torch
from torch import Tensor


def damped_inverse_(a: Tensor, damping: Tensor) -> tuple[Tensor, Tensor]:
    """(A + δI)⁻¹ for A `[..., n, n]` and δ `[...]` (broadcast); A is overwritten by A + δI.

    Returns the inverses and `ok [...]`, False where A + δI is not numerically positive definite (the inverse
    returned there has no meaning). Only the lower triangle of A is read.
    """
    a.diagonal(dim1=-2, dim2=-1).add_(damping.unsqueeze(-1))
    factor, info = torch.linalg.cholesky_ex(a)
    ok = info == 0
    factor.diagonal(dim1=-2, dim2=-1).masked_fill_(~ok.unsqueeze(-1), 1.0)  # a zero would raise below
    return torch.cholesky_inverse(factor), ok
