import numpy as np
import pytest
import torch
from problems import randn, random_params
from torch.testing import assert_close

from nglab.curvature.deep_linear import FORMS, eq16, shells
from nglab.curvature.flow import Regression, flow, total
from nglab.networks.network import Network

TIMES = np.linspace(0.0, 3.0, 7)


def random_regression(network: Network, seed: int = 100) -> Regression:
    n, m = network.widths[0], network.widths[-1]
    noise = 0.2 * randn(m, m, seed=seed + 2) + torch.eye(m, dtype=torch.float64)
    root = 0.2 * randn(n, n, seed=seed + 1) + torch.eye(n, dtype=torch.float64)
    return Regression(total(list(random_params(network, seed))), root, noise)


@pytest.mark.parametrize("form", ["eq16", "shells"])
@pytest.mark.parametrize("widths", [(3, 5, 7, 5, 3), (4, 6, 5, 2), (2, 2)])
def test_the_function_goes_straight_to_the_solution(widths, form):
    """Eq. 18: W(t) = W* + e^{−t} (W(0) − W*), whatever Σ and Σ̃ are."""
    network = Network(widths)
    student, regression = list(random_params(network)), random_regression(network)
    trajectory = flow(student, regression, FORMS[form], TIMES)
    assert_close(trajectory.losses, trajectory.losses[0] * np.exp(-2 * TIMES), rtol=1e-4, atol=0)
    for t, weights in zip(TIMES, trajectory.weights, strict=True):
        straight = regression.target + np.exp(-t) * (total(student) - regression.target)
        assert_close(total(weights), straight, rtol=1e-5, atol=1e-5)


def test_a_bottleneck_follows_eq10_slowly_and_the_shells_at_rate_two():
    network = Network((8, 4, 2, 4, 8))
    student, regression = list(random_params(network)), random_regression(network)
    times = np.linspace(0.0, 8.0, 17)
    slope = {}
    for step in (eq16, shells):
        losses = flow(student, regression, step, times).losses
        slope[step] = np.log(losses[-2] / losses[-1]) / (times[-1] - times[-2])
    assert slope[shells] == pytest.approx(2, rel=1e-2)
    assert slope[eq16] < 1.5


def test_the_loss_is_that_of_the_population():
    network = Network((5, 3, 4))
    student, regression = list(random_params(network)), random_regression(network)
    assert regression.noise_root is not None
    residual = regression.target - student[1] @ student[0]
    sigma = regression.input_root @ regression.input_root.T
    noise = regression.noise_root @ regression.noise_root.T
    expected = 0.5 * torch.trace(torch.linalg.solve(noise, residual) @ sigma @ residual.T)
    assert flow(student, regression, shells, TIMES).losses[0] == pytest.approx(float(expected))
