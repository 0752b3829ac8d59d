"""Eq. 16 in any network, against dense formulas and against the exact form of linear networks."""

import pytest
import torch
from dense_reference import PHI
from problems import (
    CONSTANT,
    NETWORKS,
    constant_damping,
    levenberg_marquardt,
    natural_gradient,
    random_batch,
    random_params,
    replicas,
    task_of,
)
from torch.testing import assert_close

from nglab.curvature.batch import Batch
from nglab.curvature.pseudo_inverse_errors import PseudoInverseErrors, transposed_inverses_
from nglab.curvature.solvers.cholesky import Cholesky
from nglab.likelihoods.gaussian import Gaussian
from nglab.networks.network import Network
from nglab.optimizers.ngd_exact import NGDExact

M = 24
METRIC = PseudoInverseErrors(Cholesky())


def dense_directions(network, weights, x, y, damping):
    """D_i by the definition: W⁺ = (WᵀW + √λ I)⁻¹Wᵀ, φ' by autograd at z_i."""
    root, inputs, slopes, h = damping**0.5, [], [], x
    for i, w in enumerate(weights):
        inputs.append(torch.cat([h, torch.ones(len(h), 1).double()], 1) if network.bias else h)
        z = (inputs[-1] @ w.T).requires_grad_()
        h = z if i == network.depth - 1 else PHI[network.activation](z)
        slopes.append(torch.autograd.grad(h.sum(), z)[0])
        h = h.detach()
    error, directions = y - h, []
    for i in reversed(range(network.depth)):
        second = inputs[i].T @ inputs[i] / M + root * torch.eye(inputs[i].shape[1])
        directions.insert(0, error.T @ inputs[i] / M @ torch.linalg.inv(second))
        if i > 0:
            w = weights[i][:, : network.widths[i]]
            inverse = torch.linalg.solve(w.T @ w + root * torch.eye(w.shape[1]), w.T)
            error = slopes[i - 1] * (error @ inverse.T)
    return directions


def directions(network, params, x, y, damping):
    batch = Batch(network, Gaussian(), params, x.shape[-2], samples=0)
    state, out = METRIC.init(params, batch), params.map(torch.empty_like)
    loss = batch.gradient_(params, x, y)
    METRIC.update_(state, batch)
    solved = METRIC.invert_(state, torch.full_like(loss, damping))
    METRIC.multiply_(state, batch.gradient, out)
    return out, solved


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("damping", [0.1, 1e-4])
def test_directions_are_those_of_the_definition(name, damping):
    network = NETWORKS[name]
    params, (x, y) = random_params(network), random_batch(network, M)
    out, solved = directions(network, params, x, y, damping)
    expected = dense_directions(network, list(params), x, y, damping)
    assert solved
    for ours, theirs in zip(out, expected, strict=True):
        assert_close(ours, theirs)


def test_in_a_square_linear_network_a_step_is_the_exact_one():
    """λ = 0: the natural gradient, by Eq. 16."""
    network = NETWORKS["square"]
    params, (x, y) = random_params(network), random_batch(network, M)
    exact = NGDExact(
        lr=0.01, batch_size=M, schedule=CONSTANT, form="eq16", statistics="batch", cutoff=1e-6,
        damping=levenberg_marquardt(0.0, 0.0),
    )  # fmt: skip
    ours = natural_gradient(M, constant_damping(0.0), lr=0.01, metric=METRIC)
    new = []
    for optimizer in (exact, ours):
        state = optimizer.init(task_of(network), params, lambda purpose: [])
        moved, state = optimizer.step(params.map(torch.clone), state, x, y)
        assert state.skipped_steps == 0
        new.append(moved)
    for by_layer, whole, old in zip(new[1], new[0], params, strict=True):
        assert_close(by_layer - old, whole - old, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", ["unequal ends", "tanh with bias"])
def test_a_stack_has_the_directions_of_its_members(name):
    network = NETWORKS[name]
    singles, stacked = replicas(network, 3)
    batches = [random_batch(network, M, seed=20 * r) for r in range(3)]
    x, y = (torch.stack(t) for t in zip(*batches, strict=True))
    together, _ = directions(network, stacked, x, y, 0.1)
    for r, params in enumerate(singles):
        alone, _ = directions(network, params, x[r], y[r], 0.1)
        for ours, theirs in zip(together, alone, strict=True):
            assert_close(ours[r], theirs)


def test_weights_without_inverse_are_reported_of_their_network_alone():
    """λ = 0, W_2 = 0 in the second of two networks; no error passes W_1, so that it need have none."""
    network = Network((3, 2, 4))
    params = replicas(network, 2)[1]
    params[0].zero_()
    params[1][1].zero_()
    out = params.map(torch.zeros_like)
    solved = transposed_inverses_(params, torch.zeros(2).double(), out)
    assert solved.tolist() == [True, False]
    assert_close(out[1][0], torch.linalg.pinv(params[1][0]).T)
