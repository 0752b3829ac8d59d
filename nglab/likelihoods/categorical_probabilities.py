"""One of n classes where the outputs are the probabilities themselves: r(y|z) = Π_j z_j^{y_j} = z_c for a one-hot y.

z lies in the simplex: this is the loss behind a softmax that belongs to the network (`SoftmaxInNetwork`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nglab.likelihoods.categorical import Categorical, draw_classes, one_hot, percent_wrong
from nglab.likelihoods.likelihood import Likelihood


@dataclass(frozen=True)
class CategoricalProbabilities(Likelihood):
    """L = −Σ_j y_j log z_j, y one-hot: F_R = diag 1/z, H_L = diag y/z²."""

    takes: ClassVar[tuple[str, ...]] = ("classes",)
    columns: ClassVar[Mapping[str, str]] = Categorical.columns

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        return -(y * z.log()).sum(-1)

    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.div(y, z, out=out)

    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return one_hot(draw_classes(z, z, generators), z)

    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        return u / z

    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        return y * u / z.square()

    def measures(self, z: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"error": percent_wrong(z, y)}
