"""Networks, likelihoods and data that the curvature tests share, with the dense matrices by autodiff."""

import torch
from dense_reference import network_output
from problems import random_batch, random_params, rng
from torch import Tensor

from nglab.likelihoods.bernoulli import Bernoulli
from nglab.likelihoods.categorical import Categorical
from nglab.likelihoods.gaussian import Gaussian
from nglab.likelihoods.gaussian_mean import GaussianMean
from nglab.likelihoods.gaussian_natural import GaussianNatural
from nglab.likelihoods.likelihood import Likelihood
from nglab.likelihoods.student_t import StudentT
from nglab.networks.layers import Layers, from_vector, to_vector
from nglab.networks.network import Network
from nglab.networks.passes import forward

COVARIANCE = torch.tensor([[2.0, 0.5], [0.5, 1.0]]).double()
TWO_OUTPUTS: dict[str, Likelihood] = {
    "gaussian": Gaussian(),
    "gaussian mean": GaussianMean(COVARIANCE),
    "categorical": Categorical(),
    "bernoulli": Bernoulli(),
    "student": StudentT(5.0, 0.7),
}
CASES: dict[str, tuple[Network, Likelihood]] = {
    f"{activation} {'with' if bias else 'no'} bias": (
        Network((3, 4, 3, 2), activation, bias), Categorical()
    )
    for activation in ("identity", "tanh", "sigmoid", "relu", "softplus")
    for bias in (False, True)
} | {
    f"{name} likelihood": (Network((3, 4, 2), "tanh", True), likelihood)
    for name, likelihood in TWO_OUTPUTS.items()
} | {
    "one layer": (Network((3, 2)), Gaussian()),
    "natural likelihood": (Network((2, 3, 6), "tanh", True), GaussianNatural(2)),
}  # fmt: skip


def problem(name: str) -> tuple[Network, Layers, Tensor, Tensor, Likelihood]:
    """Random parameters, inputs and targets y, which the model samples from itself, moved for the Gaussians."""
    network, likelihood = CASES[name]
    params, (x, _) = random_params(network), random_batch(network)
    if isinstance(likelihood, GaussianNatural):
        params[-1].mul_(0.2)[:, -1] += torch.tensor([0, 0, 2, 0, 0, 2])  # Σ⁻¹ near 2I
    y = likelihood.sample(forward(network, params, x).output, [rng(8)])
    return network, params, x, y, likelihood


def loss(network: Network, theta: Tensor, x: Tensor, y: Tensor, likelihood: Likelihood) -> Tensor:
    """h of a parameter vector, differentiable."""
    return likelihood.losses(outputs(network, theta, x), y).mean()


def outputs(network: Network, theta: Tensor, x: Tensor) -> Tensor:
    return network_output(network, from_vector(network, theta), x)[-1]


def jacobian(network: Network, params: Layers, x: Tensor) -> Tensor:
    """`[M, n_L, P]` by autodiff."""
    return torch.func.jacrev(lambda theta: outputs(network, theta, x))(to_vector(params))
