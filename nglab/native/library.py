"""The compiled kernels, and the functions of the linear-algebra library that PyTorch has loaded.

A wheel brings the kernels ready for each level of the processor's instructions; a source tree has them compiled at
first use. `NGLAB_NATIVE=off` does without.
"""

import ctypes
import os
from functools import cache
from pathlib import Path

from nglab.errors import InputError
from nglab.native import compiler
from nglab.native.instruction_set import compiler_flags, levels

HERE = Path(__file__).parent
READY = HERE / "lib"
"""Where a wheel has what was compiled when it was built."""

VENDOR_CHECK = HERE / "vendor_check.c"
KERNELS = sorted(set(HERE.glob("*.c")) - {VENDOR_CHECK})


@cache
def library() -> ctypes.CDLL | None:
    """The kernels; None where they cannot be had (neither built with the package nor compiled here) or are off."""
    return loaded()[1]


def level() -> str:
    """The instructions that the kernels in use were compiled for, "x86-64-v4" say; "none" where none are."""
    return loaded()[0]


@cache
def loaded() -> tuple[str, ctypes.CDLL | None]:
    if allowed():
        for level in levels():
            file = ready(f"kernels-{level}") or compiler.build(KERNELS, compiler_flags(level))
            if file and (found := opened(file)):
                return level, found
    return "none", None


def allowed() -> bool:
    """Whether there are kernels and `NGLAB_NATIVE` is not "off"; InputError where it is neither that nor "on"."""
    asked = os.environ.get("NGLAB_NATIVE") or "on"
    if asked not in ("on", "off"):
        raise InputError(f"NGLAB_NATIVE={asked}: must be on or off")
    return asked == "on" and bool(KERNELS)


def ready(name: str) -> Path | None:
    """What was built with the package under this name."""
    file = READY / f"{name}.so"
    return file if file.exists() else None


def opened(file: Path, mode: int = ctypes.DEFAULT_MODE) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(str(file), mode=mode)
    except OSError:  # made for another system
        return None


@cache
def torch_library() -> ctypes.CDLL | None:
    """PyTorch's own library as it stands in memory; what it is linked to is found through it."""
    import torch

    folder = Path(torch.__file__).parent / "lib"
    files = (folder / name for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"))
    return next((opened(file) for file in files if file.exists()), None)


@cache
def blas(name: str) -> int | None:
    """The address of a Fortran function of BLAS or LAPACK ("sgemm_") in what PyTorch has loaded; None if not there."""
    try:
        return ctypes.cast(getattr(torch_library(), name), ctypes.c_void_p).value
    except AttributeError:
        return None
