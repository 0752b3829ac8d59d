"""What computes the products of this process, on which the last digits of its results depend."""

import re
from functools import cache

from nglab.native.library import level
from nglab.native.vendor_check import instructions, lifted, mkl_processor


@cache
def arithmetic() -> dict[str, str]:
    """`blas`, the library of the products and its kernels, and `native`, the instructions that our own take."""
    return {"blas": blas(), "native": level()}


def blas() -> str:
    """The library of the products, its version, and the kernels that it says it takes; "" where nothing is told.

    `MKL 2024.2, AVX-512 (vendor check lifted)`, or `MKL 2024.2 (vendor check in place)`, on a processor that is not
    Intel's; `MKL 2024.2, AVX2` on one that is; `open` for OpenBLAS.
    """
    import torch

    library, processor = named(torch.__config__.show()), mkl_processor()
    if processor is None:
        return library
    if not (kernels := instructions(processor)):
        return f"{library} (vendor check in place)"
    return f"{library}, {kernels}" + (" (vendor check lifted)" if lifted() else "")


def named(built_with: str) -> str:
    """The library of the products and its version, out of what PyTorch says it was built with; "" if not told.

    >>> named("Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build 20240605\\nBLAS_INFO=mkl")
    'MKL 2024.2'
    >>> named("Build settings: BLAS_INFO=open, BUILD_TYPE=Release")
    'open'
    """
    mkl = re.search(r"Math Kernel Library Version ([\d.]+)", built_with)
    other = re.search(r"BLAS_INFO=(\w+)", built_with)
    return f"MKL {mkl[1]}" if mkl else other[1] if other else ""
