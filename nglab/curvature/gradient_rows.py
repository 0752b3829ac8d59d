"""Gradients of single examples as the rows u of a matrix U that is never formed.

Layer i of a row is e_i x_{i-1}ᵀ for one of S output errors of one of M examples. So U Uᵀ comes from inner products of
errors and of inputs, Uᵀ a is one backward pass, and U v one linearised forward pass. Rows are counted set by set.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from nglab.curvature.batch import Batch
from nglab.networks import products
from nglab.networks.layers import Layers
from nglab.networks.passes import Errors, add_outer_, backward


def inner_products_(
    kernel: Tensor, scratch: Tensor, sets: Sequence[Tensor], inputs: Sequence[Tensor]
) -> None:
    """kernel ← U Uᵀ `[..., S·M, S·M]`, whose entries are Σ_i (e_i·e_i') (x_{i-1}·x'_{i-1}).

    From errors `[..., S, M, n_i]` and inputs `[..., M, m_i]`; `scratch`, shaped as the kernel, is overwritten.
    """
    shape = sets[0].shape[-3:-1]
    by_pair, of_errors = (
        a.unflatten(-1, shape).unflatten(-3, shape) for a in (kernel.zero_(), scratch)
    )
    for e, x in zip(sets, inputs, strict=True):
        rows = e.flatten(-3, -2)
        multiply = products.mm if rows.dim() == 2 else products.bmm
        multiply(rows, rows.mT, out=scratch)
        of_inputs = x @ x.mT
        by_pair.addcmul_(of_errors, of_inputs[..., None, :, None, :])


def combine_(
    batch: Batch, output_errors: Tensor, a: Tensor, errors: Errors, out: Layers, keep: float
) -> None:
    """out ← keep · out + Uᵀ a for a `[..., S·M]`: the pass back of Σ_s a e_L, of errors `[..., S, M, n_L]`.

    `errors`, of one set, is overwritten.
    """
    weights = a.unflatten(-1, output_errors.shape[-3:-1]).unsqueeze(-1)
    torch.sum(weights * output_errors, -3, keepdim=True, out=errors.output)
    backward(batch.network, batch.params, batch.activations, errors)
    for d, e, x in zip(
        out.batched, errors.layers.batched, batch.activations.inputs.batched, strict=True
    ):
        add_outer_(d, e, x, keep=keep)


def products_with(batch: Batch, output_errors: Tensor, v: Sequence[Tensor]) -> Tensor:
    """U v `[..., S·M]` for one direction, v_i `[..., n_i, m_i]`: e_L · (J v) of every row."""
    moved = batch.linearised(batch.params, None).forward([v_i.unsqueeze(-3) for v_i in v])
    return (output_errors * moved).sum(-1).flatten(-2)
