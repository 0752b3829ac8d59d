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
    """G = (1/M) Σ Jᵀ H_L J at inputs x `[..., M, n_0]` and targets y `[..., M, n_L]`.

    A product is a linearised forward pass, H_L, and a backward pass (Schraudolph 2002).
    """

    def __init__(
        self, network: Network, params: Layers, x: Tensor, y: Tensor, likelihood: Likelihood
    ) -> None:
        super().__init__(Linearised.at(network, params, x), y, likelihood)
