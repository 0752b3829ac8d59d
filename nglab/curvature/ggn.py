"""The generalised Gauss-Newton matrix G = (1/M) Σ Jᵀ H_L J (Martens 2014, Eq. 2).

With f replaced by its linearisation at θ, the Hessian of the loss is G. It equals the Fisher where z are the natural
parameters of an exponential family, and is positive semi-definite where L is convex in z.
"""

from collections.abc import Sequence

from torch import Tensor

from nglab.curvature.operator import Operator
from nglab.likelihoods.given_targets import GAUSSIAN, given_likelihood, given_targets
from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.linearised import Linearised
from nglab.networks.network import Network


class LinearisedGGN(Operator):
    """G + σ S near the point and on the examples of a `Linearised`, with targets y `[..., M, n_y]`.

    S = ⟨Σ_{i<L} J_iᵀ J_i⟩ with J_i the Jacobian of x_i: vᵀS v is the mean square of what a step v changes in the hidden
    layers, to first order (structural damping: Martens & Sutskever 2012). σ is `[...]`, None for zero. S costs no
    pass: its errors join those of G on their way back.
    """

    def __init__(
        self,
        linearised: Linearised,
        y: Tensor,
        likelihood: Likelihood,
        structural: Tensor | None = None,
    ) -> None:
        super().__init__(linearised.network, linearised.params)
        self.linearised, self.likelihood = linearised, likelihood
        self.targets = y.unsqueeze(-3)
        self.structural = None if structural is None else structural[..., None, None, None]

    def multiply(self, v: list[Tensor]) -> list[Tensor]:
        linearised, hidden = self.linearised, None
        if self.structural is None:
            moved = linearised.forward(v)
        else:
            *tangents, moved = (rx for rx, _ in linearised.tangents(v))
            share = self.structural / linearised.examples
            hidden = [rx.mul_(share) for rx in tangents]
        u = self.likelihood.ggn_times(linearised.output, self.targets, moved)
        return linearised.backward(u / linearised.examples, hidden)


class GGN(LinearisedGGN):
    """G = (1/M) Σ Jᵀ H_L J, the generalised Gauss-Newton matrix `[P, P]` of the loss h = (1/M) Σ L(y, f(x, θ)).

    J `[n_L, P]` is the Jacobian of z = f(x, θ) and H_L = ∂²L/∂z² the Hessian of −log r(y|z), at inputs x `[..., M,
    n_0]` and targets y `[..., M, n_L]`, or classes `[..., M]` as whole numbers. G is of the mean loss over the M
    examples (in its unit, over the square of the parameters'). `likelihood` is an object or a name, `Gaussian()` where
    it is left out. `g @ v` and `g.to_dense()` are as those of `Fisher`, which G equals for exponential families in
    their natural parameters; a product is a linearised forward pass, H_L, and a backward pass.

    Raises InputError where `params`, `x`, `y` or v has another shape, dtype or device than it must have.

    Source: Martens (2014), Eq. 2; the products: Schraudolph (2002).

    >>> import torch
    >>> network, x, y = Network([2, 1]), torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.ones(2, 1)
    >>> GGN(network, [torch.zeros(1, 2)], x, y).to_dense()
    tensor([[5., 1.],
            [1., 2.]])
    """

    def __init__(
        self,
        network: Network,
        params: Sequence[Tensor],
        x: Tensor,
        y: Tensor,
        likelihood: Likelihood | str = GAUSSIAN,
    ) -> None:
        linearised, density = Linearised.at(network, params, x), given_likelihood(likelihood)
        targets = given_targets(y, linearised.activations.output, density)
        super().__init__(linearised, targets, density)
