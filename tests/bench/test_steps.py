import sys

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from nglab.bench.cases import layers_of, make_case, plain_parameters
from nglab.bench.peers import PEERS
from nglab.bench.steps import NGD_STEPS, SGD_STEPS, half_squared_error, nglab_ngd, written_out
from nglab.bench.timing import measure, quiet
from nglab.networks.layers import Layers
from nglab.networks.network import Network
from nglab.networks.passes import forward

LINEAR = Network((6, 4, 2, 4, 4, 5))
TANH = Network((5, 4, 4, 3), "tanh", bias=True)
NETWORKS = pytest.mark.parametrize("network", [LINEAR, TANH], ids=["linear", "tanh with bias"])


@pytest.fixture(autouse=True)
def no_noise():
    with quiet():
        yield
    if absl := sys.modules.get("absl.logging"):  # else it would one day close pytest's stderr
        absl.get_absl_handler().python_handler.setStream(sys.__stderr__)


def case_of(network, examples=7, steps=3, lr=0.1):
    return make_case(network, examples, steps, lr, torch.float64)


def as_tensor(array):
    return torch.tensor(np.asarray(array))


def weights(case, result):
    """What a contender returns, as nglab's W_i with b_i as the last column."""
    if isinstance(result, Layers):
        return list(result)
    if isinstance(result[0], tuple):  # JAX: W_iᵀ
        pairs = [(as_tensor(w).T, None if b is None else as_tensor(b)) for w, b in result]
    else:
        pairs = layers_of(case.network, [w.detach() for w in result])
    return [w if b is None else torch.column_stack((w, b)) for w, b in pairs]


@NETWORKS
@pytest.mark.parametrize("name", SGD_STEPS)
def test_all_ways_of_sgd_arrive_at_the_same_weights(name, network):
    if name.startswith("JAX"):
        pytest.importorskip("jax")
    case = case_of(network)
    expected, contender = SGD_STEPS["autograd, torch.optim.SGD"](case), SGD_STEPS[name](case)
    for _ in range(2):
        first, second = weights(case, expected()), weights(case, contender())
        for a, b in zip(first, second, strict=True):
            assert_close(b, a, rtol=1e-9, atol=1e-12)
    assert not torch.equal(first[0], case.params[0])


@NETWORKS
def test_the_written_out_gradient_is_autograds(network):
    case = case_of(network)
    parameters = [w.requires_grad_() for w in plain_parameters(case)]
    x, y = case.x[0], case.y[0]
    z = x
    for i, (w, b) in enumerate(layers_of(network, parameters)):
        z = torch.nn.functional.linear(z, w, b)
        z = z.tanh() if network.activation == "tanh" and i < network.depth - 1 else z
    expected = torch.autograd.grad(half_squared_error(z, y), parameters)
    with torch.no_grad():
        ours = written_out(network, parameters, x, y)
    for a, b in zip(ours, expected, strict=True):
        assert_close(a, b)


def loss(case, weights):
    layers = Layers.of(case.network, weights)
    z = forward(case.network, layers, case.x[0]).output
    return half_squared_error(z, case.y[0])


@NETWORKS
@pytest.mark.parametrize("name", ["nglab", *PEERS])
def test_a_natural_gradient_step_lowers_the_loss(name, network):
    """Ours and whatever library is there; one that breaks is for `nglab bench` to report."""
    case = make_case(network, 200, 1, 1 / network.depth, torch.float32)
    make = {**NGD_STEPS, **PEERS}[name]
    times = measure({name: lambda: make(case)}, 1, "")
    if times.errors:
        pytest.skip(times.errors[name])
    result, before = make(case)(), loss(case, case.params)
    assert loss(case, weights(case, result)) < 0.97 * before


def test_only_the_update_moves_parameters():
    case = case_of(LINEAR)
    for name in ("autograd forward + backward", "explicit forward + backward"):
        for moved, w in zip(NGD_STEPS[name](case)(), plain_parameters(case), strict=True):
            assert torch.equal(moved, w)


def test_more_samples():
    case = case_of(LINEAR, steps=1)
    assert all(w.isfinite().all() for w in nglab_ngd(case, samples=3)())
