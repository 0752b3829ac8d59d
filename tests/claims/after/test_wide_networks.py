import numpy as np
import pytest
import torch

from nglab.claims.after.wide_layers import (
    by_pattern,
    exact,
    gap,
    isotropic_off,
    isotropy,
    methods,
    tridiagonal,
)
from nglab.claims.after.wide_networks import Linear, moved
from nglab.claims.after.wide_relu import (
    kfac_step,
    natural_step,
    off_line,
    residuals,
    two_layers,
)
from nglab.claims.small_problems import output, randn, rng
from nglab.networks.initial import random_parameters
from nglab.networks.layers import to_vector
from nglab.networks.network import Network

NETWORK = Network((4, 7, 6, 1), "tanh")


@pytest.fixture
def params():
    return random_parameters(NETWORK, 1.0, rng(0))


X = randn(3, 4, seed=1)


def blocks(params) -> list[torch.Tensor]:
    """J_i of each layer by autodiff."""
    jacobian = torch.func.jacrev(lambda theta: output(NETWORK, theta, X)[:, 0])(to_vector(params))
    return list(jacobian.split([w.numel() for w in params], 1))


def test_kernels_and_steps_are_those_of_the_jacobian(params):
    linear, c = Linear.at(NETWORK, params, X), randn(3, seed=2)
    torch.testing.assert_close(linear.outputs, output(NETWORK, to_vector(params), X)[:, 0])
    for i, jacobian in enumerate(blocks(params)):
        torch.testing.assert_close(linear.kernels[i], jacobian @ jacobian.mT)
        torch.testing.assert_close(linear.pull(i, c).flatten(), jacobian.mT @ c)


def test_kfac_is_the_pseudo_inverse_of_the_kronecker_product(params):
    linear, residual = Linear.at(NETWORK, params, X), randn(3, seed=2)
    for i, jacobian in enumerate(blocks(params)):
        e, x = linear.errors[i], linear.inputs[i]
        dense = torch.kron(e.mT @ e, x.mT @ x)
        step = torch.linalg.pinv(dense, rtol=1e-10, hermitian=True) @ jacobian.mT @ residual
        torch.testing.assert_close(linear.kfac(i, residual).flatten(), step)


def test_exact_is_the_pseudo_inverse_in_the_scale_of_the_tangent_kernel(params):
    linear, residual = Linear.at(NETWORK, params, X), randn(3, seed=2)
    roots = [x.shape[-1] ** -0.5 for x in linear.inputs]
    scaled = torch.cat([s * j for s, j in zip(roots, blocks(params), strict=True)], 1)
    step = torch.cat([d.flatten() / s for s, d in zip(roots, exact(linear, residual), strict=True)])
    torch.testing.assert_close(step, torch.linalg.pinv(scaled) @ residual)


@pytest.mark.parametrize(("layers", "alpha"), [(1, 1), (3, 1), (4, 2), (6, 2), (7, 3), (9, 3)])
def test_alpha_of_the_tridiagonal_pattern(layers, alpha):
    assert isotropy(tridiagonal(layers)) == pytest.approx(alpha)


def test_the_pattern_is_that_of_the_blocks_that_are_kept(params):
    """With S = diag(J_1 … J_L) the step solves (Sᵀ(Σ ⊗ I) S) δ = Sᵀ(1 ⊗ r)."""
    pattern = tridiagonal(3)
    linear, residual = Linear.at(NETWORK, params, X), randn(3, seed=2)
    delta = torch.cat([d.flatten() for d in by_pattern(pattern)(linear, residual)])
    s = torch.block_diag(*blocks(params))
    fisher = s.mT @ torch.kron(pattern, torch.eye(3, dtype=torch.float64)) @ s
    torch.testing.assert_close(fisher @ delta, s.mT @ residual.repeat(3))


@pytest.mark.parametrize("name", ["block-diagonal", "block-tridiagonal", "K-FAC"])
def test_to_first_order_each_moves_the_function_by_alpha_times_the_residual(name):
    step, scale = methods(4, 10)[name]
    assert isotropic_off(24, 3, step, scale) < 1e-8


def test_the_gap_shrinks_with_the_width():
    step, scale = methods(4, 10)["block-diagonal"]
    assert gap(256, 0, step, scale) < gap(16, 0, step, scale) / 3
    assert gap(16, 0, exact, 1.0) == 0


def test_moved_adds_the_rate_times_the_step(params):
    steps = [torch.ones_like(w) for w in params]
    for w, new in zip(params, moved(NETWORK, params, steps, 0.25), strict=True):
        torch.testing.assert_close(new, w + 0.25)


def test_wide_relu_networks_contract_as_stated():
    p = two_layers(2000, 0, inputs=4, examples=6)
    rs = residuals(p, natural_step, 3)
    np.testing.assert_allclose(rs[3] / rs[0], 0.125, rtol=0.3)
    assert off_line(p) < off_line(two_layers(20, 0, inputs=4, examples=6))
    assert p.leverages.sum() == pytest.approx(4)
    assert p.bound <= float(p.leverages.min())
    contraction = 1 - p.residual(p.params[0] + 0.5 * kfac_step(p, p.params[0])) / rs[0]
    np.testing.assert_allclose(contraction, 0.5 * p.leverages, atol=0.1)
