import sys
from functools import partial

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from nglab.bench.cases import layers_of, make_case, plain_parameters
from nglab.bench.jax_steps import jax_scan_momentum, jax_scan_sgd, jax_stack_sgd
from nglab.bench.kfac_jax_optimizer import RULES, kfac_jax_step, settings_like
from nglab.bench.nglab_steps import method, nglab_ngd
from nglab.bench.peers import PEERS
from nglab.bench.stacks import stacked_sgd
from nglab.bench.step_tables import ours
from nglab.bench.steps import GRADIENTS, SGD_STEPS, half_squared_error, written_out
from nglab.bench.timing import here, measure, quiet
from nglab.networks.layers import Layers
from nglab.networks.network import Network
from nglab.networks.passes import forward

LINEAR = Network((6, 4, 2, 4, 4, 5))
TANH = Network((5, 4, 4, 3), "tanh", bias=True)
SGD = {**SGD_STEPS, "nglab": ours("sgd", "lr=0.1"), "JAX": jax_scan_sgd}
NGD = {
    **PEERS,
    "nglab": nglab_ngd,
    "nglab, kfac": ours("kfac"),
    "nglab, layerwise": ours("layerwise"),
    "kfac-jax, fixed": partial(kfac_jax_step, settings_like("ngd", ())),
    "kfac-jax, as kfac": partial(kfac_jax_step, settings_like("kfac", RULES)),
}
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
@pytest.mark.parametrize("name", SGD)
def test_all_ways_of_sgd_arrive_at_the_same_weights(name, network):
    if name == "JAX":
        pytest.importorskip("jax")
    case = case_of(network)
    expected, contender = SGD["autograd, torch.optim.SGD"](case), SGD[name](case)
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
@pytest.mark.parametrize("name", NGD)
def test_a_natural_gradient_step_lowers_the_loss(name, network):
    """Ours and whatever library is there; one that breaks is for `nglab bench` to report."""
    case = make_case(network, 200, 1, 1 / network.depth, torch.float32)
    make = NGD[name]
    times = measure({name: here(lambda: make(case))}, 1, "")
    if times.errors:
        pytest.skip(times.errors[name])
    result, before = make(case)(), loss(case, case.params)
    assert loss(case, weights(case, result)) < 0.97 * before


def test_only_the_update_moves_parameters():
    case = case_of(LINEAR)
    for gradient in GRADIENTS.values():
        for moved, w in zip(gradient(case)(), plain_parameters(case), strict=True):
            assert torch.equal(moved, w)


def test_more_samples():
    case = case_of(LINEAR, steps=1)
    assert all(w.isfinite().all() for w in nglab_ngd(case, samples=3)())


@NETWORKS
def test_momentum_is_that_of_jax(network):
    pytest.importorskip("jax")
    case = case_of(network)
    ours_step, theirs = ours("momentum", "lr=0.1")(case), jax_scan_momentum(case)
    for _ in range(2):
        moved, (expected, _) = ours_step(), theirs()
        for a, b in zip(weights(case, moved), weights(case, expected), strict=True):
            assert_close(a, b, rtol=1e-9, atol=1e-12)


@NETWORKS
def test_each_run_of_a_stack_arrives_where_it_would_alone(network):
    """Its rates go from half of the case's to half as much again."""
    case = case_of(network)
    stacked = stacked_sgd(3, case)()
    for place, lr in enumerate((0.05, 0.1, 0.15)):
        alone = ours("sgd", f"lr={lr}")(case)()
        for a, b in zip(stacked, alone, strict=True):
            assert_close(a[place], b, rtol=1e-9, atol=1e-12)


def test_each_run_under_vmap_arrives_where_it_would_alone():
    pytest.importorskip("jax")
    case = case_of(TANH)
    together, alone = jax_stack_sgd(2, case)(), jax_scan_sgd(case)()
    for (w, b), (w_alone, b_alone) in zip(together, alone, strict=True):
        assert_close(as_tensor(w[1]), as_tensor(w_alone))
        assert_close(as_tensor(b[1]), as_tensor(b_alone))


def test_settings_come_from_the_yaml_files():
    kfac, settings = method("kfac"), settings_like("kfac", RULES)
    assert settings["inverse_update_period"] == kfac.metric.refresh == 5
    assert settings["curvature_ema"] == kfac.metric.average
    assert settings["min_damping"] == kfac.damping.min
    assert settings["damping_adaptation_decay"] == 1 / kfac.damping.factor
    assert not settings_like("ngd", ())["use_adaptive_damping"]
    assert method("kfac", "batch_size=7").batch_size == 7
