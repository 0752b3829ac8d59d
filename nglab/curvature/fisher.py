"""The Fisher information matrix F of the model's own distribution, exact and by sampling.

F = (1/M) Σ_x E_{y ~ r(·|z)}[g gᵀ] with g = ∇_θ log r(y|z) = Jᵀe and z = f(x, θ) (Martens 2014, §5 and §8): targets of
the data never enter.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from nglab.curvature.operator import Operator
from nglab.curvature.scores import multiply_scores
from nglab.likelihoods.given_targets import GAUSSIAN, given_likelihood
from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.layers import Layers
from nglab.networks.linearised import Linearised
from nglab.networks.network import Network


class Fisher(Operator):
    """F = (1/M) Σ_x Jᵀ F_R J, the Fisher information matrix `[P, P]` of the model, in closed form over y.

    J `[n_L, P]` is the Jacobian of z = f(x, θ), F_R = E_{y~r(·|z)}[∇_z log r ∇_z log rᵀ] the Fisher of the density, x
    `[..., M, n_0]` with `...` the replicas of `params`, if it has any. F is of the mean loss over the M examples (in
    its unit, over the square of the parameters'); no targets enter. `likelihood` is an object or a name, `Gaussian()`
    where it is left out. `f @ v` takes v `[P]`, `[..., P, k]`, `Layers` or a list of V_i, and gives the same kind; it
    costs a linearised forward pass, F_R, and a backward pass. `f.to_dense()` is the matrix itself, for small networks.

    Raises InputError where `params`, `x` or v has another shape, dtype or device than the network and its parameters.

    Source: Martens (2014), §5 and §8. Of one linear layer with F_R = I it is ⟨x xᵀ⟩:

    >>> network, x = Network([2, 1]), torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    >>> f = Fisher(network, [torch.zeros(1, 2)], x)
    >>> f
    Fisher([2, 2], float32)
    >>> f.to_dense()
    tensor([[5., 1.],
            [1., 2.]])
    >>> f @ torch.tensor([1.0, 0.0])
    tensor([5., 1.])
    >>> f @ [torch.tensor([[1.0, 0.0]])]
    [tensor([[5., 1.]])]
    """

    def __init__(
        self,
        network: Network,
        params: Sequence[Tensor],
        x: Tensor,
        likelihood: Likelihood | str = GAUSSIAN,
    ) -> None:
        self.linearised = Linearised.at(network, params, x)
        super().__init__(network, self.linearised.params)
        self.likelihood = given_likelihood(likelihood)

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
        self.linearised = Linearised.at(network, params, x)
        super().__init__(network, self.linearised.params)
        z = self.linearised.output
        z = z.expand(*z.shape[:-3], samples, -1, -1)  # [..., K, M, n_L]
        self.errors = self.linearised.errors(likelihood.error(z, likelihood.sample(z, generators)))

    def multiply(self, v: list[Tensor]) -> list[Tensor]:
        return multiply_scores(self.errors, self.linearised.activations.inputs, v)
