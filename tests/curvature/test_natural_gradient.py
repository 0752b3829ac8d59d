"""The natural gradient against dense matrices, and against what it is for."""

import pytest
import torch
from curvature.cases import CASES, loss, problem
from torch.testing import assert_close

from nglab.curvature.fisher import Fisher
from nglab.curvature.natural_gradient import natural_gradient
from nglab.networks.layers import Layers, from_vector, to_vector


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_it_is_the_pseudo_inverse_of_the_dense_fisher_times_the_gradient(name, damping) -> None:
    network, params, x, y, likelihood = problem(name)
    theta = to_vector(params)
    slope = torch.func.grad(lambda t: loss(network, t, x, y, likelihood))(theta)
    dense = Fisher(network, params, x, likelihood).to_dense()
    damped = dense + damping * torch.eye(len(dense), dtype=torch.float64)
    expected = torch.linalg.pinv(damped, rtol=len(dense) * 2.3e-16, hermitian=True) @ slope
    ours = natural_gradient(network, params, x, y, likelihood, damping)
    assert_close(to_vector(ours), expected, rtol=1e-6, atol=1e-8 * float(expected.abs().max()))
    assert isinstance(ours, Layers)


def test_without_damping_it_solves_for_the_gradient_though_the_fisher_is_singular() -> None:
    network, params, x, y, likelihood = problem("identity no bias")
    fisher = Fisher(network, params, x, likelihood)
    assert torch.linalg.matrix_rank(fisher.to_dense()) < fisher.shape[-1]
    slope = torch.func.grad(lambda t: loss(network, t, x, y, likelihood))(to_vector(params))
    assert_close(fisher @ to_vector(natural_gradient(network, params, x, y, likelihood)), slope)


def test_a_list_of_weights_is_as_good_as_layers() -> None:
    network, params, x, y, likelihood = problem("tanh with bias")
    weights = from_vector(network, to_vector(params))
    ours = natural_gradient(network, weights, x, y, likelihood)
    assert_close(list(ours), list(natural_gradient(network, params, x, y, likelihood)))
