"""Products with (1/N) Σ g gᵀ, a mean over gradients of single examples that are never formed."""

from collections.abc import Sequence

import torch
from torch import Tensor


def multiply_scores(
    errors: Sequence[Tensor], inputs: Sequence[Tensor], v: Sequence[Tensor]
) -> list[Tensor]:
    """(1/SM) Σ g (gᵀv) for S sets of output errors, where layer i of g is e_i x_{i-1}ᵀ.

    Errors are `[..., S, M, n_i]`, inputs `[..., M, m_i]`, directions `[..., k, n_i, m_i]`. gᵀv = Σ_i e_iᵀ V_i x_{i-1}.
    """
    sets, examples = errors[0].shape[-3:-1]
    along = torch.zeros((), dtype=v[0].dtype, device=v[0].device)  # gᵀv, [..., k, S, M]
    for e, x, v_i in zip(errors, inputs, v, strict=True):
        along = along + torch.einsum("...smn,...kmn->...ksm", e, x.unsqueeze(-3) @ v_i.mT)
    along = along / (sets * examples)
    return [
        torch.einsum("...ksm,...smn->...kmn", along, e).mT @ x.unsqueeze(-3)
        for e, x in zip(errors, inputs, strict=True)
    ]
