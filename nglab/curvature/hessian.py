"""The Hessian H of the loss h = (1/M) Σ L(y, f(x, θ)), by differentiating the backward pass along a direction."""

from torch import Tensor

from nglab.curvature.operator import Operator
from nglab.errors import InputError
from nglab.likelihoods.categorical import SoftmaxInNetwork
from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.layers import Layers
from nglab.networks.linearised import Linearised
from nglab.networks.network import Network


class Hessian(Operator):
    """H = ∂²h/∂θ² at inputs x `[..., M, n_0]` and targets y `[..., M, n_L]`; it need not be positive semi-definite.

    A product costs two gradients. relu has φ'' = 0, as autodiff has it.

    Raises InputError for `SoftmaxInNetwork`, whose H_L lacks the softmax's second derivative: the loss, and so H, is
    that of `Categorical`.
    """

    def __init__(
        self, network: Network, params: Layers, x: Tensor, y: Tensor, likelihood: Likelihood
    ) -> None:
        if isinstance(likelihood, SoftmaxInNetwork):
            raise InputError("Hessian: give Categorical instead of SoftmaxInNetwork (same loss)")
        super().__init__(network, params)
        self.linearised = Linearised.at(network, params, x)
        self.likelihood, self.targets = likelihood, y.unsqueeze(-3)
        self.errors = self.linearised.errors(likelihood.error(self.linearised.output, self.targets))

    def multiply(self, v: list[Tensor]) -> list[Tensor]:
        products = self.linearised.hessian(
            v,
            self.errors,
            lambda u: self.likelihood.hessian_times(self.linearised.output, self.targets, u),
        )
        return [product.div_(self.linearised.examples) for product in products]
