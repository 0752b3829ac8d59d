"""What a network says."""

from collections.abc import Sequence

from torch import Tensor

from nglab.networks.given import given_inputs, given_params
from nglab.networks.network import Network
from nglab.networks.passes import forward


def predict(network: Network, params: Sequence[Tensor], x: Tensor) -> Tensor:
    """z = x_L = W_L φ(W_{L−1} ⋯ φ(W_1 x + b_1) ⋯) + b_L, `[..., M, n_L]`, of inputs x `[..., M, n_0]`.

    In the units of the targets for a Gaussian density; logits for a categorical or Bernoulli one, which the loss turns
    into probabilities.

    Raises InputError where `params` or `x` has another shape, dtype or device than the network and its parameters.

    Source: Bernacchia et al. (2018), Eq. 1.

    >>> import nglab as ng, torch
    >>> ng.predict(ng.Network([2, 1]), [torch.tensor([[1.0, 2.0]])], torch.tensor([[3.0, 4.0]]))
    tensor([[11.]])
    """
    layers = given_params(network, params)
    return forward(network, layers, given_inputs(network, layers, x)).output
