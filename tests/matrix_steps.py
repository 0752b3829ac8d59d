"""Whole runs of a method on matrices, and the same by a plain loop over the layers with autograd's gradients."""

from dense_reference import autograd_gradient
from problems import random_batch, random_params, task_of
from torch.testing import assert_close

M = 24


def assert_steps(optimizer, network, plain, count, **tolerance):
    """`plain()` makes of one layer's ∂h/∂W, step after step from k = 1, what is added to it, one maker a layer."""
    params = random_params(network)
    state = optimizer.init(task_of(network), params, lambda purpose: [])
    weights, makers = [w.clone() for w in params], [plain() for _ in params]
    for k in range(1, count + 1):
        x, y = random_batch(network, M, seed=10 * k)
        gradients = autograd_gradient(network, weights, x, y)
        weights = [w + move(g, k) for w, move, g in zip(weights, makers, gradients, strict=True)]
        params, state = optimizer.step(params, state, x, y)
        for ours, theirs in zip(params, weights, strict=True):
            assert_close(ours, theirs, **tolerance)
