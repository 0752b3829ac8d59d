"""The Hessian H of the loss h = (1/M) Σ L(y, f(x, θ)), by differentiating the backward pass along a direction."""

from collections.abc import Sequence

from torch import Tensor

from nglab.curvature.operator import Operator
from nglab.likelihoods.given_targets import GAUSSIAN, given_likelihood, given_targets
from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.linearised import Linearised
from nglab.networks.network import Network


class Hessian(Operator):
    """H = ∂²h/∂θ² `[P, P]` of the loss h = (1/M) Σ L(y, f(x, θ)); it need not be positive semi-definite.

    At inputs x `[..., M, n_0]` and targets y `[..., M, n_L]`, or classes `[..., M]` as whole numbers; L = −log r(y|z).
    H is of the mean loss over the M examples (in its unit, over the square of the parameters'). `likelihood` is an
    object or a name, `Gaussian()` where it is left out. `h @ v` and `h.to_dense()` are as those of `Fisher`; a product
    costs two gradients. relu has φ'' = 0, as autodiff has it. H is the loss's, wherever a softmax is counted:
    `SoftmaxInNetwork` and `Categorical` have the same.

    Raises InputError where `params`, `x`, `y` or v has another shape, dtype or device than it must have.

    Source: the products are those of Pearlmutter (1994). Here ∂²h/∂W_1∂W_2 = x² W_1 W_2 − (y − z) x:

    >>> import torch
    >>> network, x, y = Network([1, 1, 1]), torch.tensor([[1.0]]), torch.tensor([[3.0]])
    >>> Hessian(network, [torch.ones(1, 1), torch.ones(1, 1)], x, y).to_dense()
    tensor([[ 1., -1.],
            [-1.,  1.]])
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
        self.likelihood = given_likelihood(likelihood)
        output = self.linearised.activations.output
        self.targets = given_targets(y, output, self.likelihood).unsqueeze(-3)
        self.errors = self.linearised.errors(
            self.likelihood.error(self.linearised.output, self.targets)
        )

    def multiply(self, v: list[Tensor]) -> list[Tensor]:
        products = self.linearised.hessian(
            v,
            self.errors,
            lambda u: self.likelihood.hessian_times(self.linearised.output, self.targets, u),
        )
        return [product.div_(self.linearised.examples) for product in products]
