"""Products of matrices, of pairs or of batches of pairs: by BLAS, or the large float32 ones on the CPU by oneDNN.

PyTorch gives float32 products on the CPU to the BLAS that it was built with, most often MKL, and keeps oneDNN, which it
brings along, for what it compiles. On processors that MKL does not serve well (AMD's) oneDNN takes down to half of its
time; a call costs some 15 µs more. Where MKL's vendor check is lifted, MKL is the faster at every size. Neither rounds
alike, so the choice depends on that and on sizes, never on a measurement.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from nglab.native import vendor_check

LIFTED = vendor_check.lifted()
"""Whether BLAS is an MKL whose kernels are those of the processor's own instructions: what is fastest depends on it."""

LEAST_WORK = math.inf if LIFTED else 4_000_000
"""Multiply-adds from which on oneDNN is worth its call."""

ONEDNN: Callable[..., Tensor] | None = (
    getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    if torch.backends.mkldnn.is_available()
    else None
)


def mm(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """out ← a b, `[n, k]` times `[k, m]`."""
    if not by_onednn(a, b):
        return torch.mm(a, b, out=out)
    if out.stride(-1) != 1:  # by columns: a product of the transposed, which lie by rows
        a, b, out = b.mT, a.mT, out.mT
    out.copy_(onednn(a, b))
    return out


def addmm(
    c: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1, out: Tensor
) -> Tensor:
    """out ← β c + α a b; with β = 0, c is not read."""
    if not by_onednn(a, b):
        return torch.addmm(c, a, b, beta=beta, alpha=alpha, out=out)
    # oneDNN wants the rows of its left matrix side by side in memory
    swap = a.stride(-1) != 1 and b.stride(-1) != 1
    product = onednn(b.mT, a.mT).mT if swap else onednn(a, b)
    if beta == 0:
        return torch.mul(product, alpha, out=out)
    return torch.add(c if beta == 1 else c * beta, product, alpha=alpha, out=out)


def bmm(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """out ← a b, `[batch, n, k]` times `[batch, k, m]`."""
    if not by_onednn(a, b):
        return torch.bmm(a, b, out=out)
    for one in zip(a, b, out, strict=True):
        mm(*one)
    return out


def multiply(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """out ← a b, for a pair or a batch of pairs."""
    return (mm if out.dim() == 2 else bmm)(a, b, out=out)


def baddbmm(
    c: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1, out: Tensor
) -> Tensor:
    """out ← β c + α a b, for batches as in `bmm`; with β = 0, c is not read."""
    if not by_onednn(a, b):
        return torch.baddbmm(c, a, b, beta=beta, alpha=alpha, out=out)
    for c_i, a_i, b_i, out_i in zip(c, a, b, out, strict=True):
        addmm(c_i, a_i, b_i, beta=beta, alpha=alpha, out=out_i)
    return out


def by_onednn(a: Tensor, b: Tensor) -> bool:
    """Whether the products of the matrices a and b, or of each pair of them, are for oneDNN."""
    return (
        a.shape[-2] * a.shape[-1] * b.shape[-1] >= LEAST_WORK
        and a.dtype is torch.float32
        and a.is_cpu
        and ONEDNN is not None
    )


def onednn(a: Tensor, b: Tensor) -> Tensor:
    """a b, newly allocated; b is copied unless it or its transpose fills its memory, which oneDNN is slow without."""
    if not (b.is_contiguous() or b.mT.is_contiguous()):
        b = b.mT.contiguous().mT if b.stride(-2) == 1 else b.contiguous()
    assert ONEDNN is not None
    return ONEDNN(a, b.mT, None, "none", [], "")
