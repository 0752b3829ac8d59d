"""The empirical Fisher (1/M) Σ g gᵀ, g = ∇_θ log r(y|z) at the data's own targets (Martens 2014, §7).

Not the Fisher: the expectation over the model's y is replaced by the one target of the data, and the rank is at most M.
"""

from torch import Tensor

from nglab.curvature.operator import Operator
from nglab.curvature.scores import multiply_scores
from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.layers import Layers
from nglab.networks.linearised import Linearised
from nglab.networks.network import Network


class EmpiricalFisher(Operator):
    """(1/M) Σ g gᵀ at inputs x `[..., M, n_0]` and the data's targets y `[..., M, n_L]`.

    The errors of the M targets are kept; a product costs two thirds of a gradient."""

    def __init__(
        self, network: Network, params: Layers, x: Tensor, y: Tensor, likelihood: Likelihood
    ) -> None:
        super().__init__(network, params)
        self.linearised = Linearised.at(network, params, x)
        error = likelihood.error(self.linearised.output, y.unsqueeze(-3))
        self.errors = self.linearised.errors(error)

    def multiply(self, v: list[Tensor]) -> list[Tensor]:
        return multiply_scores(self.errors, self.linearised.activations.inputs, v)
