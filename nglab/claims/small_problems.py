"""Small random problems for the claims of Martens (2014), and the brute force that they are held against.

Everything is float64, one network, no replicas. θ is the parameter vector of `nglab.networks.layers`.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, distributions

from nglab.likelihoods.bernoulli import Bernoulli
from nglab.likelihoods.categorical import Categorical
from nglab.likelihoods.gaussian import Gaussian
from nglab.likelihoods.gaussian_mean import GaussianMean
from nglab.likelihoods.gaussian_natural import GaussianNatural
from nglab.likelihoods.likelihood import Likelihood
from nglab.likelihoods.student_t import StudentT
from nglab.networks.initial import random_parameters
from nglab.networks.layers import Layers, from_vector, to_vector
from nglab.networks.network import Network
from nglab.networks.passes import forward

COVARIANCE = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
DEGREES, SCALE = 5.0, 0.7  # ν and s of the Student-t
LIKELIHOODS: dict[str, Likelihood] = {
    "Gaussian": Gaussian(),
    "Gaussian of covariance Σ̃": GaussianMean(COVARIANCE),
    "Gaussian in (Σ⁻¹μ, Σ⁻¹)": GaussianNatural(2),
    "softmax logits": Categorical(),
    "Bernoulli logits": Bernoulli(),
}  # exponential families in their natural parameters
STUDENT = StudentT(DEGREES, SCALE)


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=rng(seed))


@dataclass(frozen=True)
class Problem:
    """A network, its parameters, M inputs and targets, and r(y|z)."""

    network: Network
    params: Layers
    x: Tensor
    y: Tensor
    likelihood: Likelihood

    @property
    def theta(self) -> Tensor:
        return to_vector(self.params)

    @property
    def output(self) -> Tensor:
        return forward(self.network, self.params, self.x).output

    def at(self, theta: Tensor) -> "Problem":
        params = Layers.of(self.network, from_vector(self.network, theta))
        return Problem(self.network, params, self.x, self.y, self.likelihood)

    def on(self, x: Tensor, y: Tensor) -> "Problem":
        return Problem(self.network, self.params, x, y, self.likelihood)

    def gradient(self) -> Tensor:
        """∇h by brute force."""
        return torch.func.grad(self.h)(self.theta)

    def h(self, theta: Tensor) -> Tensor:
        """The loss of a parameter vector, differentiable."""
        return self.likelihood.losses(output(self.network, theta, self.x), self.y).mean()

    def jacobian(self) -> Tensor:
        """J_f `[M, n_L, P]` by brute force."""
        return torch.func.jacrev(lambda theta: output(self.network, theta, self.x))(self.theta)


def random_problem(
    likelihood: Likelihood,
    hidden: tuple[int, ...] = (4, 3),
    activation: str = "tanh",
    examples: int = 7,
    seed: int = 0,
    inputs: int = 3,
) -> Problem:
    """Two outputs (six for natural parameters) and a bias; targets are sampled from another network's outputs."""
    natural = isinstance(likelihood, GaussianNatural)
    network = Network((inputs, *hidden, 6 if natural else 2), activation, bias=True)
    params, teacher = (_parameters(network, natural, seed + s) for s in (0, 500))
    x = randn(examples, inputs, seed=seed + 1000)
    y = likelihood.sample(forward(network, teacher, x).output, [rng(seed + 2000)])
    return Problem(network, params, x, y, likelihood)


def _parameters(network: Network, natural: bool, seed: int) -> Layers:
    """Random weights and biases; with natural parameters the outputs' matrix stays near 2I."""
    params = random_parameters(network, 1.0, rng(seed))
    for i, w in enumerate(params):
        w[:, -1] += 0.3 * randn(len(w), seed=seed + 100 + i)
    if natural:
        params[-1].mul_(0.2)[:, -1] += torch.tensor([0, 0, 2, 0, 0, 2])
    return params


PHI = {
    "identity": lambda z: z,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "softplus": torch.nn.functional.softplus,
}


def output(network: Network, theta: Tensor, x: Tensor) -> Tensor:
    """f(x, θ) by the definition, for autodiff: none of nglab's passes."""
    for i, w in enumerate(from_vector(network, theta)):
        x = x @ w[:, : network.widths[i]].T + (w[:, -1] if network.bias else 0.0)
        x = PHI[network.activation](x) if i < network.depth - 1 else x
    return x


def distribution(likelihood: Likelihood, z: Tensor) -> distributions.Distribution:
    """r(·|z) as torch has it."""
    match likelihood:
        case Gaussian():
            return distributions.MultivariateNormal(z, torch.eye(z.shape[-1], dtype=z.dtype))
        case GaussianMean():
            return distributions.MultivariateNormal(z, COVARIANCE)
        case GaussianNatural():
            precision = z[..., 2:].unflatten(-1, (2, 2))
            precision = 0.5 * (precision + precision.mT)
            mean = torch.linalg.solve(precision, z[..., :2, None])[..., 0]
            return distributions.MultivariateNormal(mean, precision_matrix=precision)
        case Categorical():
            return distributions.OneHotCategorical(logits=z)
        case Bernoulli():
            return distributions.Independent(distributions.Bernoulli(logits=z), 1)
    raise ValueError(likelihood)


def target_nodes(likelihood: Likelihood, z: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Weights and targets y `[1, n_y]` that make E_{y ~ r(·|z)} a finite sum, for one z `[1, n]`.

    All targets of the discrete families; for Gaussians five Gauss–Hermite points a dimension, exact to degree 9 in
    y; for Student-t the midpoint rule in θ, y − z = s√ν tan θ, exact for the trigonometric polynomials that
    scores and Hessians are when ν is odd.
    """
    if isinstance(likelihood, Categorical | Bernoulli):
        rows = torch.eye(2) if isinstance(likelihood, Categorical) else _grid(torch.tensor([0, 1]))
        law = distribution(likelihood, z)
        return [(law.log_prob(y[None]).exp()[0], y[None]) for y in rows.double()]
    if isinstance(likelihood, StudentT):
        angles = (torch.arange(16, dtype=torch.float64) + 0.5) * torch.pi / 16 - torch.pi / 2
        weights = angles.cos() ** (likelihood.degrees - 1)
        points, weights = angles.tan() * likelihood.spread**0.5, weights / weights.sum()
        root, mean = torch.eye(2, dtype=torch.float64), z
    else:
        nodes = np.polynomial.hermite_e.hermegauss(5)
        points, weights = (torch.as_tensor(a) for a in nodes)
        weights = weights / weights.sum()
        law = distribution(likelihood, z)
        assert isinstance(law, distributions.MultivariateNormal)
        root, mean = torch.linalg.cholesky(law.covariance_matrix[0]), law.mean
    return [(w.prod(), mean + root @ p) for w, p in zip(_grid(weights), _grid(points), strict=True)]


def expectation(value: Callable[[Tensor], Tensor], nodes: list[tuple[Tensor, Tensor]]) -> Tensor:
    """E_y[value(y)] over the nodes of `target_nodes`."""
    return torch.stack([w * value(y) for w, y in nodes]).sum(0)


def _grid(values: Tensor) -> Tensor:
    """All pairs."""
    return torch.stack([torch.stack(pair) for pair in itertools.product(values, repeat=2)])


def relative(a: Tensor, b: Tensor) -> float:
    """‖a − b‖ / ‖b‖."""
    return float((a - b).norm() / b.norm())


def slope(x: Tensor, y: Tensor) -> float:
    """Of log y against log x, by least squares."""
    u, v = x.log() - x.log().mean(), y.log() - y.log().mean()
    return float((u @ v) / (u @ u))


def standard_errors(values: Tensor) -> float:
    """The mean of independent numbers over its standard error."""
    return float(values.mean() / values.std() * len(values) ** 0.5)
