"""What solves (A + λI) x = b, one contract for every solver.

A is symmetric positive semi-definite, `[..., n, n]` with the replicas in front: a tensor, a curvature operator, or a
second moment given by its rows. b is `[..., n]`, with as many axes in front as A, or `[..., n, k]`; λ is a float or
`[...]`. A solve that fails is reported, never raised; what x holds then has no meaning.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from nglab.networks import products
from nglab.settings.checked import Settings


class Matrix(Protocol):
    """A symmetric matrix that multiplies columns `[..., n, k]`: a tensor, an `Operator`, a `SecondMoment`."""

    @property
    def shape(self) -> Sequence[int]: ...

    def __matmul__(self, v: Tensor, /) -> Tensor: ...

    def to_dense(self) -> Tensor: ...


@dataclass(frozen=True)
class Solution:
    """x, shaped as b; `ok` `[...]` (bool), whether it solves the system; `steps`, the products with A that it took.

    `ok` is False where A + λI was found not to be positive (semi-)definite, where x is not finite, and where an
    iteration ended before its tolerance. A solver of low rank solves the system of that rank: `residual` tells.
    """

    x: Tensor
    ok: Tensor
    steps: int
    system: tuple[Matrix, Tensor, float | Tensor]  # A, b, λ

    @property
    def residual(self) -> Tensor:
        """‖b − (A + λI) x‖ / ‖b‖ `[...]`, over all columns of b; it costs a product with A each time it is asked."""
        a, b, damping = self.system
        x, b = columns(a, self.x), columns(a, b)
        rest = torch.linalg.matrix_norm(b - a @ x - as_scalars(damping, b) * x)
        scale = torch.linalg.matrix_norm(b)
        return torch.where(scale > 0, rest / scale, rest)


class Solver(Settings):
    """A frozen dataclass of its settings, which solves and inverts; `capturable`: in a CUDA graph too."""

    capturable: ClassVar[bool] = False

    @abstractmethod
    def solve(self, a: Matrix, b: Tensor, damping: float | Tensor) -> Solution:
        """x of (A + λI) x = b."""

    def invert_(self, a: Tensor, damping: Tensor, info: Tensor) -> None:
        """Leave in A `[..., n, n]` what the two products take for (A + λI)⁻¹, λ `[...]`: here the inverse itself.

        The entries on and above A's diagonal are read; `info` `[...]` (int32) is 0 where it worked.
        """
        one = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
        solution = self.solve(a.triu() + a.triu(1).mT, one.expand_as(a), damping)
        a.copy_(solution.x)
        info.copy_(~solution.ok)

    def from_left(self, inverse: Tensor, v: Tensor, out: Tensor) -> None:
        """out ← (A + λI)⁻¹ v with what `invert_` left, `[(batch,) n, n]`; v and out `[(batch,) n, k]`."""
        products.multiply(inverse, v, out)

    def from_right(self, v: Tensor, inverse: Tensor, out: Tensor) -> None:
        """out ← v (A + λI)⁻¹, v and out `[(batch,) k, n]`."""
        products.multiply(v, inverse, out)

    def check(self, key: str, run: Any) -> None:
        """Raises InputError where these settings, at `key` of the configuration `run`, do not fit the rest of it."""


def solution(
    a: Matrix, b: Tensor, damping: float | Tensor, x: Tensor, ok: Tensor, steps: int = 0
) -> Solution:
    """From x in columns `[..., n, k]`: shaped as b, and `ok` only where it is finite."""
    ok = ok & x.isfinite().all(-1).all(-1)
    return Solution(x if is_columns(a, b) else x.squeeze(-1), ok, steps, (a, b, damping))


def is_columns(a: Matrix, b: Tensor) -> bool:
    """Whether b is `[..., n, k]`, not `[..., n]`."""
    return b.dim() == len(a.shape)


def columns(a: Matrix, b: Tensor) -> Tensor:
    """b as `[..., n, k]`."""
    return b if is_columns(a, b) else b.unsqueeze(-1)


def as_scalars(damping: float | Tensor, like: Tensor) -> Tensor:
    """λ as `[..., 1, 1]`, to multiply matrices; of the type and on the device of `like`."""
    return torch.as_tensor(damping, dtype=like.dtype, device=like.device)[..., None, None]


def eigenpairs(a: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues `[..., n]`, rising, and eigenvectors of symmetric A; not numbers where A has such entries.

    In single precision LAPACK does not get to the end with some matrices of low rank: those are taken in double.
    """
    finite = a.isfinite().all(-1).all(-1)[..., None, None]
    safe = torch.where(finite, a, 0.0)  # it would raise
    try:
        values, vectors = torch.linalg.eigh(safe)
    except torch.linalg.LinAlgError:
        values, vectors = (t.to(a.dtype) for t in torch.linalg.eigh(safe.double()))
    return torch.where(finite[..., 0], values, torch.nan), vectors
