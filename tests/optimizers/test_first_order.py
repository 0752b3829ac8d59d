"""Each first-order method against the one of `torch.optim` that is defined as it is, step by step in float64."""

from dataclasses import replace

import pytest
import torch
from dense_reference import autograd_gradient
from problems import CONSTANT, NETWORKS, random_batch, random_params, replicas
from torch.testing import assert_close

from nglab.likelihoods.gaussian import Gaussian
from nglab.optimizers.first_order.adadelta import AdaDelta
from nglab.optimizers.first_order.adagrad import AdaGrad
from nglab.optimizers.first_order.adam import Adam, Weights
from nglab.optimizers.first_order.momentum import Momentum
from nglab.optimizers.first_order.nesterov import Nesterov
from nglab.optimizers.first_order.rmsprop import RMSProp
from nglab.optimizers.optimizer import Task
from nglab.optimizers.schedules.cosine import Cosine
from nglab.optimizers.schedules.inverse import Inverse

M, STEPS = 7, 25
RUN = {"batch_size": M, "schedule": CONSTANT}
COSINE = {"batch_size": M, "schedule": Cosine(warm_up=3, final=0.1)}
FALLING = {"batch_size": M, "schedule": Inverse(warm_up=0, after=1 / 0.2)}
TORCH = torch.optim
PAIRS = {
    "momentum": (Momentum(lr=0.02, momentum=0.9, **RUN), TORCH.SGD, {"momentum": 0.9}),
    "no momentum": (Momentum(lr=0.1, momentum=0.0, **RUN), TORCH.SGD, {}),
    "momentum, cosine": (Momentum(lr=0.02, momentum=0.5, **COSINE), TORCH.SGD, {"momentum": 0.5}),
    "nesterov": (
        Nesterov(lr=0.02, momentum=0.9, **RUN), TORCH.SGD, {"momentum": 0.9, "nesterov": True},
    ),
    "nesterov, cosine": (
        Nesterov(lr=0.05, momentum=0.6, **COSINE), TORCH.SGD, {"momentum": 0.6, "nesterov": True},
    ),
    "adagrad": (AdaGrad(lr=0.01, eps=1e-10, **RUN), TORCH.Adagrad, {}),
    "adagrad, eps": (AdaGrad(lr=0.1, eps=0.1, **RUN), TORCH.Adagrad, {"eps": 0.1}),
    "adagrad, falling": (AdaGrad(lr=0.1, eps=1e-10, **FALLING), TORCH.Adagrad, {"lr_decay": 0.2}),
    "adadelta": (AdaDelta(lr=1.0, rho=0.9, eps=1e-6, **RUN), TORCH.Adadelta, {}),
    "adadelta, rho": (
        AdaDelta(lr=0.5, rho=0.5, eps=1e-3, **COSINE), TORCH.Adadelta, {"rho": 0.5, "eps": 1e-3},
    ),
    "rmsprop": (RMSProp(lr=0.01, rho=0.99, eps=1e-8, **RUN), TORCH.RMSprop, {}),
    "rmsprop, rho": (
        RMSProp(lr=0.02, rho=0.5, eps=1e-2, **COSINE), TORCH.RMSprop, {"alpha": 0.5, "eps": 1e-2},
    ),
    "adam": (Adam(lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, **RUN), TORCH.Adam, {}),
    "adam, betas": (
        Adam(lr=0.02, beta1=0.5, beta2=0.9, eps=1e-2, **COSINE),
        TORCH.Adam, {"betas": (0.5, 0.9), "eps": 1e-2},
    ),
    "adam, no means": (
        Adam(lr=0.02, beta1=0.0, beta2=0.0, eps=1e-2, **RUN),
        TORCH.Adam, {"betas": (0.0, 0.0), "eps": 1e-2},
    ),
}  # fmt: skip


def ours(optimizer, network, params):
    task = Task(network, Gaussian(), STEPS)
    state = optimizer.init(task, params, lambda purpose: [])
    for k in range(STEPS):
        params, state = optimizer.step(params, state, *random_batch(network, M, k))
        yield params


def theirs(optimizer, network, params, method, options):
    """`method` of torch.optim on gradients by autograd, its rate set to that of the schedule."""
    weights = [w.clone() for w in params]
    peer = method(weights, lr=optimizer.lr, **options)
    for k in range(STEPS):
        if "lr_decay" not in options:  # which is the schedule
            peer.param_groups[0]["lr"] = optimizer.learning_rate(k, STEPS).item()
        gradients = autograd_gradient(network, weights, *random_batch(network, M, k))
        for w, g in zip(weights, gradients, strict=True):
            w.grad = g
        peer.step()
        yield weights


@pytest.mark.parametrize("network", ["tanh with bias", "bottleneck"])
@pytest.mark.parametrize("pair", PAIRS)
def test_every_step_is_that_of_torch(pair, network):
    optimizer, method, options = PAIRS[pair]
    net = NETWORKS[network]
    expected = theirs(optimizer, net, random_params(net), method, options)
    for a, b in zip(ours(optimizer, net, random_params(net)), expected, strict=True):
        assert_close(list(a), b, rtol=1e-11, atol=1e-12)


REPLICAS = [
    (Nesterov(lr=0.02, momentum=0.9, **RUN), {"momentum": [0.0, 0.5, 0.9], "lr": [0.02, 0.1, 0.01]}),
    (AdaDelta(lr=1.0, rho=0.9, eps=1e-6, **RUN), {"rho": [0.0, 0.5, 0.9], "eps": [1e-6, 1e-3, 0.1]}),
    (Adam(lr=0.02, beta1=0.9, beta2=0.99, eps=1e-8, **COSINE),
     {"beta1": [0.0, 0.5, 0.9], "beta2": [0.9, 0.95, 0.99], "eps": [1e-6, 1e-3, 0.1]}),
]  # fmt: skip


@pytest.mark.parametrize(("optimizer", "settings"), REPLICAS, ids=["nesterov", "adadelta", "adam"])
def test_every_replica_has_its_own_settings(optimizer, settings):
    network = NETWORKS["tanh with bias"]
    singles, stacked = replicas(network, 3)
    tensors = {name: torch.tensor(values, dtype=torch.float64) for name, values in settings.items()}
    *_, together = ours(replace(optimizer, **tensors), network, stacked)
    for r, params in enumerate(singles):
        own = {name: values[r].item() for name, values in tensors.items()}
        *_, alone = ours(replace(optimizer, **own), network, params)
        assert_close([w[r] for w in together], list(alone))


def test_the_weights_of_a_mean_are_those_without_bias_in_float32_too():
    params = random_params(NETWORKS["one layer"]).map(lambda w: w.float())
    weights, keep = (
        Weights.of([0.9, 0.999], params),
        torch.tensor([0.9, 0.999], dtype=torch.float64),
    )
    for k in range(1, 5000):
        found = torch.stack(weights.advance_()).flatten()
        assert found.dtype == torch.float32
        assert_close(found, ((1 - keep) / (1 - keep**k)).float(), rtol=1e-6, atol=0)
