"""The Fisher information matrix F of the model's own distribution, exact and by sampling.

F = (1/M) Σ_x E_{y ~ r(·|z)}[g gᵀ] with g = ∇_θ log r(y|z) = Jᵀe and z = f(x, θ) (Martens 2014, §5 and §8): targets of
the data never enter.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from nglab.curvature.operator import Operator
from nglab.curvature.scores import multiply_scores
from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.layers import Layers
from nglab.networks.linearised import Linearised
from nglab.networks.network import Network


class Fisher(Operator):
    """F = (1/M) Σ_x Jᵀ F_R J, with the expectation over y taken in closed form (M §8); x is `[..., M, n_0]`.

    A product is a linearised forward pass, F_R, and a backward pass. Of one linear layer with F_R = I it is ⟨x xᵀ⟩:

    >>> from nglab.likelihoods.gaussian import Gaussian
    >>> network, x = Network((2, 1)), torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    >>> f = Fisher(network, Layers.from_vector(network, torch.zeros(2)), x, Gaussian())
    >>> f.to_dense()
    tensor([[5., 1.],
            [1., 2.]])
    >>> f @ torch.tensor([1.0, 0.0])
    tensor([5., 1.])
    """

    def __init__(self, network: Network, params: Layers, x: Tensor, likelihood: Likelihood) -> None:
        super().__init__(network, params)
        self.linearised = Linearised.at(network, params, x)
        self.likelihood = likelihood

    def multiply(self, v: list[Tensor]) -> list[Tensor]:
        u = self.likelihood.fisher_times(self.linearised.output, self.linearised.forward(v))
        return self.linearised.backward(u / self.linearised.examples)


class MonteCarloFisher(Operator):
    """F̂ = (1/KM) Σ g gᵀ over K = `samples` targets an example, sampled from the model; E[F̂] = F.

    x is `[..., M, n_0]`; one generator a replica. The errors of the K · M targets are kept; a product
    costs two thirds of a gradient.
    """

    def __init__(
        self,
        network: Network,
        params: Layers,
        x: Tensor,
        likelihood: Likelihood,
        samples: int,
        generators: Sequence[torch.Generator],
    ) -> None:
        super().__init__(network, params)
        self.linearised = Linearised.at(network, params, x)
        z = self.linearised.output
        z = z.expand(*z.shape[:-3], samples, -1, -1)  # [..., K, M, n_L]
        self.errors = self.linearised.errors(likelihood.error(z, likelihood.sample(z, generators)))

    def multiply(self, v: list[Tensor]) -> list[Tensor]:
        return multiply_scores(self.errors, self.linearised.activations.inputs, v)
