"""The machine that runs are timed on: what it is, and how fast it is just now."""

import os
import platform
import re
from statistics import median
from time import perf_counter

import torch
from torch import Tensor

from nglab.native.arithmetic import arithmetic
from nglab.runs.cores import available_cores
from nglab.runs.provenance import git_commit, processor
from nglab.runs.versions import versions
from nglab.training.clock import limited_to

SMALL_PRODUCTS, LARGE_PRODUCTS, FACTORS = 33_000, 36, 95  # 45 ms each on a core of 2026


def machine() -> dict[str, str]:
    """What a timing depends on, name → value: the processor, its cores, memory, system, libraries, nglab's commit.

    `threads` are those that PyTorch may take. What cannot be found is left out.
    """
    known = versions()
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    facts = {
        "processor": processor(),
        "cores": str(available_cores()),
        "memory": memory(),
        "system": f"{platform.system()} {platform.release()}".strip(),
        "GPU": ", ".join(gpus),
        "threads": str(torch.get_num_threads()),
        "BLAS": arithmetic()["blas"],
        "oneDNN": onednn(torch.__config__.show()),
        "native kernels": arithmetic()["native"],
        "Python": platform.python_version(),
        "torch": known["torch"],
        "numpy": known["numpy"],
        "nglab": known["nglab"],
        "commit": git_commit() or "",
    }
    return {name: value for name, value in facts.items() if value}


def memory() -> str:
    """In GiB; "" where the system does not tell."""
    try:
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return ""
    return f"{size / 2**30:.0f} GiB"


def onednn(built_with: str) -> str:
    """The version of oneDNN, out of what PyTorch says it was built with; "" if not told.

    >>> onednn("Intel(R) MKL-DNN v3.12.0 (Git Hash 1a2b)")
    '3.12.0'
    """
    found = re.search(r"MKL-DNN v([\d.]+)", built_with)
    return found[1] if found else ""


def calibrate(rounds: int = 15) -> float:
    """Median seconds of a fixed piece of work on one thread, always the same: by what they change the machine drifts.

    The work is what training is made of: thousands of small products, large ones, and factorisations. 15 rounds take
    about two seconds on a core of 2026; a first one is off the clock.
    """
    small, large = symmetric(20), symmetric(400)
    with limited_to(1):
        work(small, large)
        return median(seconds_of_work(small, large) for _ in range(rounds))


def symmetric(n: int) -> Tensor:
    """Positive definite and without chance, `[n, n]` float32: 1 / (1 + |i − j|), and 1 more on the diagonal."""
    i = torch.arange(n, dtype=torch.float32)
    return 1 / (1 + (i[:, None] - i).abs()) + torch.eye(n)


def seconds_of_work(small: Tensor, large: Tensor) -> float:
    start = perf_counter()
    work(small, large)
    return perf_counter() - start


@torch.inference_mode()
def work(small: Tensor, large: Tensor) -> None:
    """About equal times of products 20 wide, products 400 wide and Cholesky factors 400 wide."""
    small_product, large_product = torch.empty_like(small), torch.empty_like(large)
    for _ in range(SMALL_PRODUCTS):
        torch.mm(small, small, out=small_product)
    for _ in range(LARGE_PRODUCTS):
        torch.mm(large, large, out=large_product)
    for _ in range(FACTORS):
        torch.linalg.cholesky(large)
