"""MKL's vendor check: its fast kernels are for Intel's processors alone unless it is answered.

MKL, which PyTorch's own builds for x86-64 bring along, asks two functions whether the processor is Intel's, and takes
slower kernels where it is not, whatever its instructions. Both are found by name, and the first found counts: a
library of ours that says yes, loaded before torch, lifts the check. Afterwards it is too late. `NGLAB_MKL=vendor`
leaves all as it is. Intel does not support this; so what MKL then does is asked, and a product checked.
"""

import ctypes
import os
import re
import sys
from functools import cache
from typing import TYPE_CHECKING

from nglab.errors import InputError
from nglab.native.compiler import build
from nglab.native.instruction_set import flags, processor
from nglab.native.library import VENDOR_CHECK, opened, ready, torch_library

if TYPE_CHECKING:
    from torch import dtype

VENDORS = ("AuthenticAMD", "HygonGenuine")
NEEDED = {"avx2", "fma"}


def lift() -> None:
    """Answer the check, where it applies and can be; silent otherwise. Call it before torch is imported.

    Raises InputError where `NGLAB_MKL` is neither "lifted" nor "vendor".
    """
    if wanted() and (file := ready("vendor_check") or build([VENDOR_CHECK])):
        opened(file, ctypes.RTLD_GLOBAL)


def wanted() -> bool:
    asked = os.environ.get("NGLAB_MKL") or "lifted"
    if asked not in ("lifted", "vendor"):
        raise InputError(f"NGLAB_MKL={asked}: must be lifted or vendor")
    applies = processor().get("vendor_id") in VENDORS and flags() >= NEEDED
    return asked == "lifted" and applies and "torch" not in sys.modules


class Version(ctypes.Structure):
    """What MKL says of itself (`MKLVersion` of its <mkl_types.h>)."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("major", "minor", "update")),
        *((name, ctypes.c_char_p) for name in ("status", "build", "processor", "platform")),
    )


def mkl_processor() -> str | None:
    """MKL's own words for the kind of processor whose kernels it takes; None where PyTorch has no MKL."""
    for name in ("mkl_serv_get_version", "MKL_Get_Version"):
        if hasattr(torch_library(), name):
            getattr(torch_library(), name)(ctypes.byref(version := Version()))
            return version.processor.decode()
    return None


def instructions(described: str) -> str:
    """The instruction set named in MKL's words; "" in those that it has for processors of others.

    >>> instructions("Intel(R) Advanced Vector Extensions 2 (Intel(R) AVX2) enabled processors")
    'AVX2'
    >>> instructions("Intel(R) Architecture processors")
    ''
    """
    named = re.search(r"\(Intel\(R\) ([\w.-]+)\)", described)
    return named[1] if named else ""


@cache
def lifted() -> bool:
    """Whether this process's MKL takes the kernels of the processor's own instruction set though it is not Intel's."""
    return processor().get("vendor_id") in VENDORS and bool(instructions(mkl_processor() or ""))


@cache
def demand_right_products() -> None:
    """InputError where an MKL whose check is lifted errs in products of whole numbers, which it must have exactly."""
    import torch

    if lifted() and not all(map(exact, (torch.float32, torch.float64))):
        raise InputError(
            f"NGLAB_MKL: with its vendor check lifted MKL multiplies wrongly on this processor"
            f" ({processor().get('model name')}): set NGLAB_MKL=vendor"
        )


def exact(dtype: "dtype") -> bool:
    """Whether Σ_k (a_i + b_k) (c_k + d_j), as a product of matrices, is a_i Σc + Σbc + d_j (K a_i + Σb)."""
    import torch

    a, b, c, d = (torch.arange(n) % m - 3 for n, m in ((203, 7), (150, 8), (150, 11), (171, 9)))
    expected = a[:, None] * c.sum() + (b * c).sum() + d * (len(b) * a[:, None] + b.sum())
    left, right = (a[:, None] + b).to(dtype), (c[:, None] + d).to(dtype)
    products = left @ right, (right.T.contiguous() @ left.T.contiguous()).T
    return all(torch.equal(product.long(), expected) for product in products)
