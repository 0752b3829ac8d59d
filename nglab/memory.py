"""What the process asks of the memory's keepers: of the C library, and of Python's collector."""

import ctypes
import gc
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's <malloc.h>


def keep_freed_memory() -> None:
    """Have glibc keep what a step frees: given back, it is fetched anew, page by page, at the next.

    By chance of where its memory lies that costs a step up to a third of its time. Other libraries do as they do.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_TRIM_THRESHOLD, 2**30)
        library.mallopt(M_MMAP_THRESHOLD, 2**25)  # the most that it takes


def collect_rarely() -> None:
    """Have Python's collector look for cycles after 50 000 new objects, not 700.

    Importing PyTorch and composing configurations make a million objects that stay: looking at them took a tenth of a
    command's start.
    """
    gc.set_threshold(50_000, *gc.get_threshold()[1:])
