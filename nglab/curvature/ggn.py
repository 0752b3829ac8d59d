"""The generalised Gauss-Newton matrix G = (1/M) Σ Jᵀ H_L J (Martens 2014, Eq. 2).

With f replaced by its linearisation at θ, the Hessian of the loss is G. It equals the Fisher where z are the natural
parameters of an exponential family, and is positive semi-definite where L is convex in z.
"""

from torch import Tensor

from nglab.curvature.operator import Operator
from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.layers import Layers
from nglab.networks.linearised import Linearised
from nglab.networks.network import Network


class GGN(Operator):
    """G = (1/M) Σ Jᵀ H_L J at inputs x `[..., M, n_0]` and targets y `[..., M, n_L]`.

    A product is a linearised forward pass, H_L, and a backward pass (Schraudolph 2002).
    """

    def __init__(
        self, network: Network, params: Layers, x: Tensor, y: Tensor, likelihood: Likelihood
    ) -> None:
        super().__init__(network, params)
        self.linearised = Linearised.at(network, params, x)
        self.likelihood, self.targets = likelihood, y.unsqueeze(-3)

    def multiply(self, v: list[Tensor]) -> list[Tensor]:
        moved = self.linearised.forward(v)
        u = self.likelihood.hessian_times(self.linearised.output, self.targets, moved)
        return self.linearised.backward(u / self.linearised.examples)
