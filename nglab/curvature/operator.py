"""What every curvature matrix is: a symmetric P × P operator that is applied and never stored.

Vectors are `[P]`, several at once `[..., P, k]` with the replicas in front; P counts all parameters, as `to_vector`
lays them out. A vector may also be given by layer, as `Layers` or a list of V_i `[..., n_i, m_i]`. Every matrix is
scaled as the loss: a mean over examples.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor

from nglab.networks.given import as_tensor, given_params, given_tensor, name_of
from nglab.networks.layers import Layers, from_vector, to_vector
from nglab.networks.network import Network

Vector = Any
"""A tensor `[P]` or `[..., P, k]`, `Layers`, or a list of V_i: a product is what its vector is."""


class Operator(ABC):
    """A curvature matrix C of `network` at `params`: `c @ v` multiplies, `c.to_dense()` is the matrix itself.

    A subclass gives `multiply`, on directions by layer. Every solver takes an operator as its matrix.
    """

    def __init__(self, network: Network, params: Layers) -> None:
        self.network, self.params = network, params

    @abstractmethod
    def multiply(self, v: list[Tensor]) -> list[Tensor]:
        """C v for k directions given layer by layer, `[..., k, n_i, m_i]`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """`[..., P, P]`, with the replicas in front."""
        parameters = sum(rows * columns for rows, columns in self.network.shapes)
        return *self.params.leading, parameters, parameters

    def __matmul__(self, v: Vector) -> Vector:
        """C v, as v is: a vector, several as columns, `Layers` or a list; InputError where v is none of these."""
        if isinstance(v, Sequence):
            return self._by_layer(v)
        v = as_tensor(v, "v")
        like, parameters = self.params[0], self.shape[-1]
        if v.dim() == 1:
            v = given_tensor(v, "v", [parameters], like)
            return (self @ v.unsqueeze(-1)).squeeze(-1)
        v = given_tensor(v, "v", ["...", parameters, "k"], like)
        return to_vector(self.multiply(from_vector(self.network, v.mT))).mT

    def _by_layer(self, v: Sequence[Tensor]) -> Sequence[Tensor]:
        layers = given_params(self.network, v, "v")
        product = [d.squeeze(-3) for d in self.multiply([w.unsqueeze(-3) for w in layers])]
        return Layers.of(self.network, product) if isinstance(v, Layers) else product

    def __repr__(self) -> str:
        """`Fisher([44, 44], float64)`."""
        return f"{type(self).__name__}({list(self.shape)}, {name_of(self.params[0].dtype)})"

    def to_dense(self) -> Tensor:
        """C as a matrix `[..., P, P]`: for tests and small networks."""
        like = self.params[0]
        eye = torch.eye(self.shape[-1], dtype=like.dtype, device=like.device)
        return self @ eye.expand(self.shape)

    def as_linear_operator(self) -> LinearOperator:
        """C for SciPy's sparse solvers, on the CPU in the parameters' precision (one network, no replicas)."""
        like = self.params[0]

        def multiply(v: np.ndarray) -> np.ndarray:
            return (self @ torch.as_tensor(v, dtype=like.dtype, device=like.device)).cpu().numpy()

        dtype = torch.empty(0, dtype=like.dtype).numpy().dtype
        return LinearOperator(
            self.shape,
            matvec=multiply,
            rmatvec=multiply,
            matmat=multiply,
            rmatmat=multiply,
            dtype=dtype,
        )


class BlockDiagonal(Operator):
    """C with the blocks between different layers set to zero.

    A product costs L products with C: direction i holds V_i alone, and block i of its image is kept.
    """

    def __init__(self, whole: Operator) -> None:
        super().__init__(whole.network, whole.params)
        self.whole = whole

    def multiply(self, v: list[Tensor]) -> list[Tensor]:
        return [self._block(v, i) for i in range(len(v))]

    def _block(self, v: list[Tensor], i: int) -> Tensor:
        alone = [v_j if j == i else torch.zeros_like(v_j) for j, v_j in enumerate(v)]
        return self.whole.multiply(alone)[i]
