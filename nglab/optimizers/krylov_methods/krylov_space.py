"""An orthonormal basis of a preconditioned Krylov space and one more vector, and a matrix within it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nglab.curvature.solvers.solver import Matrix


@dataclass(frozen=True)
class Subspace:
    """V `[k, P]`, a row a vector, with V Vᵀ = I; and V A Vᵀ `[k, k]`, float64."""

    basis: Tensor
    curvature: Tensor


def krylov_subspace(
    a: Matrix, b: Tensor, preconditioner: Callable[[Tensor], Tensor], count: int, beside: Tensor
) -> Subspace:
    """Of b, (P⁻¹A) P⁻¹b, …, (P⁻¹A)^(count−1) P⁻¹b and `beside`, from P⁻¹b on; vectors are `[P]`.

    Each new vector is made from the last one of the basis, which spans the same space and loses no digits (Arnoldi).
    What lies in the span already, to rounding, is left out; so the space may be smaller, and empty.
    """
    basis, images = b.new_empty(count + 1, len(b)), b.new_empty(count + 1, len(b))
    k = 0

    def add(new: Tensor) -> bool:
        nonlocal k
        found = orthonormal(new, basis[:k])
        if found is not None:
            basis[k], images[k] = found, a @ found
            k += 1
        return found is not None

    new = b
    while k < count and add(preconditioner(new)):
        new = images[k - 1]
    add(beside)
    curvature = (basis[:k] @ images[:k].mT).double()
    return Subspace(basis[:k], 0.5 * (curvature + curvature.mT))


def orthonormal(new: Tensor, basis: Tensor) -> Tensor | None:
    """`new` less its part in the span of the rows of `basis`, at unit length; None where rounding alone is left."""
    rest = new
    for _ in range(2):  # Gram–Schmidt twice is orthogonal to rounding
        rest = rest - basis.mT @ (basis @ rest)
    length = torch.linalg.vector_norm(rest)
    least = torch.finfo(new.dtype).eps ** 0.5 * torch.linalg.vector_norm(new)
    return rest / length if length > least else None
