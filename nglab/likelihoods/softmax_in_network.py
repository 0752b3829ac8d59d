"""`Categorical` with the softmax counted as the network's last step, so that a GGN linearises it too.

The density, and so loss, error, Fisher and Hessian, are those of `Categorical`. M = Martens (2014), §8: where the
network ends and the loss begins changes nothing but the GGN.
"""

from dataclasses import dataclass

from torch import Tensor

from nglab.likelihoods.categorical import Categorical, softmax_jacobian_times
from nglab.likelihoods.categorical_probabilities import CategoricalProbabilities


@dataclass(frozen=True)
class SoftmaxInNetwork(Categorical):
    """Softmax inside f (M §8): z is its input, p = softmax(z) the output, and the loss one of probabilities.

    The GGN of this f has S diag(y/p²) S between J_zᵀ and J_z, S = diag p − ppᵀ being the softmax's own Jacobian.
    """

    def ggn_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        p = z.softmax(-1)
        moved = softmax_jacobian_times(p, u)
        return softmax_jacobian_times(p, CategoricalProbabilities().hessian_times(p, y, moved))
