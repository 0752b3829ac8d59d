"""A batch's passes against autograd, for the Gaussian and for another likelihood."""

import pytest
import torch
from dense_reference import autograd_gradient, network_output, squared_error
from problems import NETWORKS, randn, random_batch, random_params, rng
from torch.testing import assert_close

from nglab.curvature.batch import Batch
from nglab.likelihoods.categorical import Categorical
from nglab.likelihoods.gaussian import Gaussian
from nglab.networks.linearised import Linearised

M = 9


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("samples", [0, 2])
def test_loss_and_gradient(name, samples):
    network = NETWORKS[name]
    params, (x, y) = random_params(network), random_batch(network, M)
    batch = Batch(network, Gaussian(), params, M, samples)
    loss = batch.gradient_(params, x, y, [rng(5)])
    assert_close(loss, squared_error(network, list(params), x, y))
    for g, theirs in zip(
        batch.gradient, autograd_gradient(network, list(params), x, y), strict=True
    ):
        assert_close(g, -theirs)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("examples", [2, 9, 40])  # few and many for the narrowest layer
def test_the_loss_of_a_trial_is_the_loss(name, examples):
    network = NETWORKS[name]
    params, (x, y) = random_params(network), random_batch(network, examples)
    batch = Batch(network, Gaussian(), params, examples, samples=1)
    batch.gradient_(params, x, y, [rng(5)])
    trial = params.map(lambda w: 1.5 * w)
    assert_close(batch.trial_loss(trial, x, y), squared_error(network, list(trial), x, y))


def test_another_likelihood():
    network = NETWORKS["tanh with bias"]
    params, (x, _) = random_params(network), random_batch(network, M)
    classes = torch.arange(M) % network.widths[-1]
    y = torch.nn.functional.one_hot(classes).double()
    batch = Batch(network, Categorical(), params, M, samples=1)
    loss = batch.gradient_(params, x, y, [rng(5)])
    leaves = [w.clone().requires_grad_() for w in params]
    z = network_output(network, leaves, x)[-1]
    expected = torch.nn.functional.cross_entropy(z, classes)
    assert_close(loss, expected.detach())
    for g, theirs in zip(batch.gradient, torch.autograd.grad(expected, leaves), strict=True):
        assert_close(g, -theirs)


@pytest.mark.parametrize("examples", [None, 4, 50])
def test_it_is_linearised_on_its_first_examples(examples):
    network = NETWORKS["tanh with bias"]
    params, (x, y) = random_params(network), random_batch(network, M)
    batch = Batch(network, Gaussian(), params, M, samples=0)
    batch.gradient_(params, x, y)
    v = [randn(1, *w.shape, seed=i) for i, w in enumerate(params)]
    expected = Linearised.at(network, params, x[:examples]).forward(v)
    assert_close(batch.linearised(params, examples).forward(v), expected)
