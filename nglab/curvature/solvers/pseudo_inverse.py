"""The Moore–Penrose inverse of symmetric matrices by their eigenvalues, with a stated cut-off."""

import torch
from torch import Tensor


def pseudo_inverse(a: Tensor, damping: float | Tensor = 0.0, cutoff: float | None = None) -> Tensor:
    """(A + λI)⁺ for symmetric A `[..., n, n]`; λ is a float or `[...]`.

    Eigenvalues of A + λI that are at most `cutoff` × the largest in size count as zero. The default, n times the
    machine epsilon, is that of `torch.linalg.matrix_rank`.

    >>> pseudo_inverse(torch.diag(torch.tensor([2.0, 0.0])))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    values, vectors = torch.linalg.eigh(a)
    values = values + torch.as_tensor(damping, dtype=a.dtype, device=a.device).unsqueeze(-1)
    size = values.abs()
    relative = a.shape[-1] * torch.finfo(a.dtype).eps if cutoff is None else cutoff
    kept = size > relative * size.amax(-1, keepdim=True)
    inverse = torch.where(kept, 1 / torch.where(kept, values, 1.0), 0.0)
    return (vectors * inverse.unsqueeze(-2)) @ vectors.mT
