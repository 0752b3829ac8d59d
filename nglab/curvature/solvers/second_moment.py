"""A matrix given by its rows: A = ⟨u uᵀ⟩."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class SecondMoment:
    """A = (1/k) Σ u uᵀ `[..., n, n]` over the k rows u of `rows` `[..., k, n]`; a product costs 2 k n.

    >>> import torch
    >>> SecondMoment(torch.tensor([[1.0, 2.0], [3.0, 0.0]])).to_dense()
    tensor([[5., 1.],
            [1., 2.]])
    """

    rows: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        *leading, _, n = self.rows.shape
        return *leading, n, n

    def __matmul__(self, v: Tensor) -> Tensor:
        """A v for columns `[..., n, columns]`."""
        return self.rows.mT @ (self.rows @ v) / self.rows.shape[-2]

    def to_dense(self) -> Tensor:
        return self.rows.mT @ self.rows / self.rows.shape[-2]
