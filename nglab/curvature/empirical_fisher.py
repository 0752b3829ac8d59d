"""The empirical Fisher (1/M) Σ g gᵀ, g = ∇_θ log r(y|z) at the data's own targets (Martens 2014, §7).

Not the Fisher: the expectation over the model's y is replaced by the one target of the data, and the rank is at most M.
"""

from collections.abc import Sequence

from torch import Tensor

from nglab.curvature.operator import Operator
from nglab.curvature.scores import multiply_scores
from nglab.likelihoods.given_targets import GAUSSIAN, given_likelihood, given_targets
from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.linearised import Linearised
from nglab.networks.network import Network


class EmpiricalFisher(Operator):
    """F̄ = (1/M) Σ g gᵀ `[P, P]` with g = ∇_θ log r(y|z) at the data's own targets: not the Fisher.

    At inputs x `[..., M, n_0]` and targets y `[..., M, n_L]`, or classes `[..., M]` as whole numbers. A mean over the M
    examples of squared gradients of each one's loss (the square of its unit over that of the parameters'). `likelihood`
    is an object or a name, `Gaussian()` where it is left out. `f @ v` and `f.to_dense()` are as those of `Fisher`; the
    errors of the M targets are kept, and a product costs two thirds of a gradient.

    Raises InputError where `params`, `x`, `y` or v has another shape, dtype or device than it must have.

    Source: Martens (2014), §7. Of one example with the error y − z = 2, it is 2² x xᵀ:

    >>> import torch
    >>> network, x, y = Network([2, 1]), torch.tensor([[1.0, 3.0]]), torch.tensor([[2.0]])
    >>> EmpiricalFisher(network, [torch.zeros(1, 2)], x, y).to_dense()
    tensor([[ 4., 12.],
            [12., 36.]])
    """

    def __init__(
        self,
        network: Network,
        params: Sequence[Tensor],
        x: Tensor,
        y: Tensor,
        likelihood: Likelihood | str = GAUSSIAN,
    ) -> None:
        self.linearised = Linearised.at(network, params, x)
        super().__init__(network, self.linearised.params)
        density = given_likelihood(likelihood)
        targets = given_targets(y, self.linearised.activations.output, density)
        error = density.error(self.linearised.output, targets.unsqueeze(-3))
        self.errors = self.linearised.errors(error)

    def multiply(self, v: list[Tensor]) -> list[Tensor]:
        return multiply_scores(self.errors, self.linearised.activations.inputs, v)
