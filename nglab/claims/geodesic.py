"""Martens (2014) §6: what path the natural-gradient flow of a KL divergence takes."""

from itertools import pairwise

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from nglab.claims.claim import Check, Result, claim
from nglab.claims.fishers import fisher
from nglab.claims.small_problems import Problem, randn
from nglab.curvature.solvers.pseudo_inverse import pseudo_inverse
from nglab.likelihoods.categorical import Categorical
from nglab.likelihoods.gaussian import Gaussian
from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.layers import Layers
from nglab.networks.network import Network

TIMES = np.linspace(0, 8, 161)
SOLVER = 1e-6  # relative: the solver's tolerance is 1e-9, with room


@claim("geodesic", "M §6")
def geodesic() -> Result:
    """Following the natural gradient of KL(q ‖ p_θ) is following a geodesic of the Fisher metric: of a Gaussian's mean.

    The flow is dη/dt = η_q − η in the mean parameters η of an exponential family, a straight line to the target's. Of a
    Gaussian of fixed covariance that is the metric's geodesic. Of a softmax it is none: between two distributions p and
    q the geodesic is a great circle on √p, of length 2 arccos Σ √(p q), and the straight line is longer: where two
    classes of together m change places, from a to m − a, 2 √m (arcsin √(1 − a/m) − arcsin √(a/m)).
    """
    start, target = randn(1, 4, seed=1), randn(1, 4, seed=2)
    means = torch.stack([z[0] for z in flow_of_outputs(Gaussian(), start, target)])
    p, q = (
        torch.tensor([one], dtype=torch.float64) for one in ([0.5, 0.49, 0.01], [0.01, 0.49, 0.5])
    )
    path = torch.stack([z[0].softmax(-1) for z in flow_of_outputs(Categorical(), p.log(), q)])
    ends = geodesic_length(path[0], path[-1])
    return Result([
        Check("largest distance from the straight line of the means over its length, Gaussian",
              off_line(means), most=SOLVER),
        Check("the same of the probabilities, softmax", off_line(path), most=SOLVER),
        Check("length of the path over the geodesic's between its ends, Gaussian",
              float((means[1:] - means[:-1]).norm(dim=-1).sum() / (means[-1] - means[0]).norm()),
              1 - SOLVER, 1 + SOLVER),
        Check("the same, softmax", length(path) / ends, least=1.01),
        Check("that length over the straight line's, softmax", length(path) / line_length(path[0], path[-1]),
              1 - 1e-3, 1 + 1e-3),
    ])  # fmt: skip


def flow_of_outputs(likelihood: Likelihood, start: Tensor, target: Tensor) -> list[Tensor]:
    """z at TIMES along dz/dt = −F⁺∇h from `start`, h = −log r(target|z) being KL(q ‖ p_z) less a constant."""
    network, x = Network((1, start.shape[-1])), torch.ones(1, 1, dtype=torch.float64)

    def velocity(_: float, z: np.ndarray) -> np.ndarray:
        params = Layers.of(network, [torch.from_numpy(z.copy())[:, None]])
        p = Problem(network, params, x, target, likelihood)
        return (-pseudo_inverse(fisher(p).to_dense()) @ p.gradient()).numpy()

    solution = solve_ivp(
        velocity, (0.0, TIMES[-1]), start[0].numpy(), "DOP853", TIMES, rtol=1e-9, atol=1e-11
    )
    return [torch.from_numpy(z.copy())[None] for z in solution.y.T]


def off_line(path: Tensor) -> float:
    """How far the points `[times, n]` lie from the straight line between the ends, over its length, at the most."""
    along = path[-1] - path[0]
    share = (path - path[0]) @ along / along.square().sum()
    return float((path - path[0] - share[:, None] * along).norm(dim=-1).max() / along.norm())


def length(path: Tensor) -> float:
    """Of a path of probabilities in the Fisher metric: the sum of the arcs between its points."""
    return sum(geodesic_length(p, q) for p, q in pairwise(path))


def geodesic_length(p: Tensor, q: Tensor) -> float:
    """2 arccos Σ √(p q), as 4 arcsin of half the chord between √p and √q, which keeps its digits."""
    return float(4 * ((p.sqrt() - q.sqrt()).norm() / 2).asin())


def line_length(p: Tensor, q: Tensor) -> float:
    """Of the straight line between distributions that differ in their first and last class."""
    m = p[0] + p[-1]
    ends = (torch.stack([p[0], q[0]]) / m).sqrt().asin()
    return float(2 * m.sqrt() * (ends[0] - ends[1]).abs())
