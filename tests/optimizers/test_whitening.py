"""PRONG and bidirectional whitening against networks that really are reparametrised: SGD in whitened coordinates."""

import pytest
import torch
from dense_reference import gradient_and_factors, squared_error
from problems import (
    NETWORKS,
    constant_damping,
    kronecker,
    natural_gradient,
    random_batch,
    random_params,
    rng,
    task_of,
)
from torch.testing import assert_close

from nglab.optimizers.steps.fixed import Fixed

M, ALPHA, T, STEPS = 24, 1e-3, 3, 7
NAMES = pytest.mark.parametrize("name", ["unequal ends", "tanh with bias"])


def inverse_root(a):
    """A^{-½}."""
    values, vectors = torch.linalg.eigh(a)
    return (vectors / values.sqrt()) @ vectors.T


def damped(a, damping):
    return a + damping * torch.eye(len(a)).double()


def gradients(network, v, u, u_errors, x, y):
    """−∂h/∂V of the network with weights Ũ V U, by autograd."""
    leaves = [t.clone().requires_grad_() for t in v]
    weights = [b @ t @ a for b, t, a in zip(u_errors, leaves, u, strict=True)]
    return [-g for g in torch.autograd.grad(squared_error(network, weights, x, y), leaves)]


def plain_sgd(network, weights, damping, sides, noise_generator):
    """W_i = Ũ_i V_i U_i with U = Λ^{-½}, Ũ = Λ̃^{-½} made anew every T steps, and V ← V − α ∂h/∂V."""
    for k in range(STEPS):
        x, y = random_batch(network, M, seed=10 * k)
        noise = torch.zeros(1, M, network.widths[-1]).double()
        if sides == "both" and k % T == 0:
            noise.normal_(generator=noise_generator)
        if k % T == 0:
            _, on_inputs, on_errors, _ = gradient_and_factors(network, weights, x, y, noise)
            on_each = damping**0.5 if sides == "both" else damping
            u = [inverse_root(damped(a, on_each)) for a in on_inputs]
            u_errors = [
                inverse_root(damped(b, on_each)) if sides == "both" else torch.eye(len(b)).double()
                for b in on_errors
            ]
        v = [
            torch.linalg.inv(b) @ w @ torch.linalg.inv(a)
            for b, w, a in zip(u_errors, weights, u, strict=True)
        ]
        g = gradients(network, v, u, u_errors, x, y)
        v = [t + ALPHA * d for t, d in zip(v, g, strict=True)]
        weights = [b @ t @ a for b, t, a in zip(u_errors, v, u, strict=True)]
    return weights


def ours(network, params, damping, sides):
    metric = kronecker(refresh=T, sides=sides)
    optimizer = natural_gradient(
        M, constant_damping(damping), lr=ALPHA, metric=metric, step_rule=Fixed()
    )
    state = optimizer.init(task_of(network), params, lambda purpose: [rng(5)])
    for k in range(STEPS):
        params, state = optimizer.step(params, state, *random_batch(network, M, seed=10 * k))
    assert state.skipped_steps == 0
    return params


@NAMES
@pytest.mark.parametrize("sides", ["inputs", "both"])
def test_it_is_sgd_in_whitened_coordinates(name, sides):
    network = NETWORKS[name]
    params = random_params(network)
    expected = plain_sgd(network, [w.clone() for w in params], 0.1, sides, rng(5))
    for w, v in zip(ours(network, params, 0.1, sides), expected, strict=True):
        assert_close(w, v)


def test_the_bias_column_centres_the_inputs():
    """PRONG as published: z = V U (x − c) + d with c = ⟨x⟩, U = ⟨(x − c)(x − c)ᵀ⟩^{-½} every T steps; ε = 0."""
    network = NETWORKS["tanh with bias"]
    params = random_params(network)
    weights = [(w[:, :-1].clone(), w[:, -1].clone()) for w in params]
    for k in range(STEPS):
        x, y = random_batch(network, M, seed=10 * k)
        if k % T == 0:
            h, whitening = x, []
            for i, (w, b) in enumerate(weights):
                centre = h.mean(0)
                whitening.append((inverse_root((h - centre).T @ (h - centre) / M), centre))
                h = torch.tanh(h @ w.T + b) if i < network.depth - 1 else h
        v = [
            (w @ torch.linalg.inv(u), b + w @ c)
            for (w, b), (u, c) in zip(weights, whitening, strict=True)
        ]
        leaves = [t.clone().requires_grad_() for pair in v for t in pair]
        h = x
        for i, (u, c) in enumerate(whitening):
            z = (h - c) @ u.T @ leaves[2 * i].T + leaves[2 * i + 1]
            h = torch.tanh(z) if i < network.depth - 1 else z
        gradients = torch.autograd.grad(0.5 * (y - h).square().sum(1).mean(), leaves)
        moved = [t.detach() - ALPHA * g for t, g in zip(leaves, gradients, strict=True)]
        weights = [
            (moved[2 * i] @ u, moved[2 * i + 1] - moved[2 * i] @ u @ c)
            for i, (u, c) in enumerate(whitening)
        ]
    for ours_i, (w, b) in zip(ours(network, params, 0.0, "inputs"), weights, strict=True):
        assert_close(ours_i, torch.cat([w, b[:, None]], 1), rtol=1e-6, atol=1e-9)
