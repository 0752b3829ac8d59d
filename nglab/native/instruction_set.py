"""The processor as Linux describes it: whose it is, and which level of x86-64's instructions it has.

Levels are those of the x86-64 psABI as far as kernels use them: v3 adds AVX2 and FMA to the baseline, v4 AVX-512.
"""

from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
FIRST_PROCESSOR = 8192  # bytes; with hundreds of cores the whole file takes long to read

LEVELS = {
    "x86-64-v4": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx2", "fma", "bmi2"),
    "x86-64-v3": ("avx2", "fma", "bmi2"),
    "baseline": (),
}
"""Level → the instructions that it needs, by the names that Linux and the compilers' `-m…` share; the best first."""


@cache
def processor() -> dict[str, str]:
    """What Linux says of the first processor (`vendor_id`, `model name`, `flags`, …); nothing elsewhere."""
    try:
        with CPUINFO.open() as file:
            described = file.read(FIRST_PROCESSOR).partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in described.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def flags() -> frozenset[str]:
    return frozenset(processor().get("flags", "").split())


def levels() -> list[str]:
    """The levels that this processor has, the best first."""
    return [level for level, needed in LEVELS.items() if flags().issuperset(needed)]


def compiler_flags(level: str) -> list[str]:
    """What tells a C compiler that it may use a level's instructions.

    >>> compiler_flags("x86-64-v3")
    ['-mavx2', '-mfma', '-mbmi2']
    """
    return [f"-m{name}" for name in LEVELS[level]]
