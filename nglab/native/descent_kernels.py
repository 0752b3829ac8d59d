"""The functions of descent.c for a network and a type of numbers, on memory given by addresses."""

from collections.abc import Sequence
from ctypes import POINTER, Structure, byref, c_int32, c_int64, c_void_p

from nglab.native.library import blas, library

TYPES = {"float32": ("float", "sgemm_", "vmsTanh"), "float64": ("double", "dgemm_", "vmdTanh")}
"""Type of numbers → its name in C, and the functions for it in PyTorch's BLAS and vector mathematics."""

PHI = {"identity": 0, "tanh": 1, "relu": 2}
"""The activations that it has, by their numbers there."""

OUTSIDE, PADDED, LANES = range(3)
"""The kinds of memory that steps are made in: the caller's own, for BLAS; rows filled up to registers; a stack's."""


class Network(Structure):
    """`struct network`."""

    _fields_ = (
        *((name, c_int32) for name in ("depth", "bias", "phi", "examples", "ahead")),
        ("widths", POINTER(c_int32)),
    )


class Batches(Structure):
    """`struct batches`."""

    _fields_ = (
        *((name, c_void_p) for name in ("x", "y", "rates", "momenta")),
        *((name, c_int64) for name in ("x_step", "x_apart", "y_step", "y_apart", "rate_step")),
    )


class Functions(Structure):
    """`struct functions`."""

    _fields_ = (("gemm", c_void_p), ("tanh", c_void_p))


class Descent:
    """Chunks of steps of one network or many of M examples each; `lanes`: how many networks fit side by side."""

    def __init__(
        self, dtype: str, widths: Sequence[int], bias: bool, activation: str, examples: int,
        momentum: bool, ahead: bool,
    ) -> None:  # fmt: skip
        """Call `available` first. `ahead`: the momentum is Nesterov's."""
        name, gemm, tanh = TYPES[dtype]
        depth = len(widths) - 1
        self.widths = (c_int32 * (depth + 1))(*widths)
        self.network = Network(depth, bias, PHI[activation], examples, ahead, self.widths)
        self.momentum, self.functions = momentum, Functions(blas(gemm), blas(tanh))
        self.function = getattr(library(), f"nglab_descent_{name}")
        self.lanes: int = getattr(library(), f"nglab_lanes_{name}")()
        self.memory_of = getattr(library(), f"nglab_memory_{name}")
        self.memory_of.restype = c_int64

    @staticmethod
    def available(dtype: str, activation: str) -> bool:
        """Whether there is such code, and what it calls."""
        if library() is None or dtype not in TYPES or activation not in PHI:
            return False
        _, gemm, tanh = TYPES[dtype]
        return blas(gemm) is not None and (activation != "tanh" or blas(tanh) is not None)

    def memory(self, kind: int) -> int:
        """How many numbers a step's memory takes, which begins at the beginning of a register."""
        return int(self.memory_of(byref(self.network), self.momentum, kind))

    def run(
        self, count: int, least: int, alone: int, weights: Sequence[int],
        velocities: Sequence[int], apart: Sequence[int], batches: Batches, steps: int, memory: int,
    ) -> None:  # fmt: skip
        """`nglab_descent`; no velocities: plain descent."""
        depth = self.network.depth
        self.function(
            byref(self.network), c_int32(count), c_int32(least), c_int32(alone),
            (c_void_p * depth)(*weights), (c_void_p * depth)(*velocities) if velocities else None,
            (c_int64 * depth)(*apart), byref(batches), c_int64(steps), c_void_p(memory),
            byref(self.functions),
        )  # fmt: skip
