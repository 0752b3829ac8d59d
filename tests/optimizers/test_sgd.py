import pytest
import torch
from dense_reference import autograd_gradient
from problems import CONSTANT, NETWORKS, random_batch, random_params, replicas, task_of
from torch.testing import assert_close

from nglab.optimizers.sgd import SGD


@pytest.mark.parametrize("name", NETWORKS)
def test_steps_are_gradient_descent(name):
    network = NETWORKS[name]
    params = random_params(network)
    expected = [w.clone() for w in params]
    optimizer = SGD(lr=0.1, batch_size=7, schedule=CONSTANT)
    state = optimizer.init(task_of(network), params, lambda purpose: [])
    for seed in range(3):
        x, y = random_batch(network, 7, seed)
        params, state = optimizer.step(params, state, x, y)
        gradients = autograd_gradient(network, expected, x, y)
        expected = [w - 0.1 * g for w, g in zip(expected, gradients, strict=True)]
    for ours, theirs in zip(params, expected, strict=True):
        assert_close(ours, theirs)


def test_every_replica_has_its_own_rate():
    network = NETWORKS["tanh with bias"]
    singles, stacked = replicas(network, 3)
    x, y = random_batch(network, 7)
    rates = torch.tensor([0.1, 0.0, 0.5])
    optimizer = SGD(lr=rates, batch_size=7, schedule=CONSTANT)
    state = optimizer.init(task_of(network), stacked, lambda purpose: [])
    stacked, _ = optimizer.step(stacked, state, x, y)
    for r, params in enumerate(singles):
        gradients = autograd_gradient(network, list(params), x, y)
        for together, w, g in zip(stacked, params, gradients, strict=True):
            assert_close(together[r], w - rates[r] * g, check_dtype=False)
