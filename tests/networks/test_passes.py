import pytest
from dense_reference import autograd_gradient, network_output
from problems import NETWORKS, randn, random_batch, random_params, replicas
from torch.testing import assert_close

from nglab.networks.network import Network
from nglab.networks.passes import (
    Activations,
    Errors,
    backward,
    by_matrices,
    forward,
    gradient,
    matrix_outputs,
)

every_network = pytest.mark.parametrize("name", NETWORKS)


@every_network
def test_forward_is_the_definition(name):
    network = NETWORKS[name]
    params, (x, _) = random_params(network), random_batch(network)
    for ours, expected in zip(
        forward(network, params, x).x, network_output(network, list(params), x), strict=True
    ):
        assert_close(ours, expected)


@every_network
def test_gradient_equals_autograd(name):
    network = NETWORKS[name]
    params, (x, y) = random_params(network), random_batch(network)
    error = y - forward(network, params, x).output
    expected = autograd_gradient(network, list(params), x, y)
    for ours, theirs in zip(gradient(network, params, x, error), expected, strict=True):
        assert_close(ours, -theirs)


@every_network
def test_backward_takes_any_number_of_output_errors(name):
    network = NETWORKS[name]
    params, (x, _) = random_params(network), random_batch(network)
    output_errors = randn(3, len(x), network.widths[-1], seed=5)
    activations = forward(network, params, x)
    errors = Errors(network, len(x), 3, params[0])
    errors.output.copy_(output_errors)
    backward(network, params, activations, errors)
    for s in range(3):
        one = Errors(network, len(x), 1, params[0])
        one.output.copy_(output_errors[s : s + 1])
        backward(network, params, activations, one)
        for together, alone in zip(errors.sets, one.sets, strict=True):
            assert_close(together[s], alone[0])


@every_network
def test_a_stack_computes_what_its_members_compute(name):
    network = NETWORKS[name]
    singles, stacked = replicas(network, 3)
    x = randn(3, 7, network.widths[0], seed=1)
    error = randn(3, 7, network.widths[-1], seed=2)
    outputs = forward(network, stacked, x).output
    gradients = gradient(network, stacked, x, error)
    for r, params in enumerate(singles):
        assert_close(outputs[r], forward(network, params, x[r]).output)
        for together, alone in zip(
            gradients, gradient(network, params, x[r], error[r]), strict=True
        ):
            assert_close(together[r], alone)


def test_one_input_is_broadcast_over_the_replicas():
    network = NETWORKS["tanh with bias"]
    singles, stacked = replicas(network, 2)
    x = randn(7, 4, seed=1)
    outputs = forward(network, stacked, x).output
    assert_close(outputs[1], forward(network, singles[1], x).output)


def test_many_examples_go_through_the_product_of_the_weights_of_a_linear_network():
    """From four times its narrowest layer's width on."""
    linear = NETWORKS["bottleneck"]
    assert [by_matrices(linear, examples) for examples in (1, 7, 8, 100)] == [0, 0, 1, 1]
    assert not by_matrices(NETWORKS["tanh with bias"], 1000)


def test_a_linear_network_with_biases_is_no_product_of_its_weights():
    network = Network((4, 3, 2), bias=True)
    params, (x, _) = random_params(network), random_batch(network)
    assert network.linear and not network.is_matrix and not by_matrices(network, 1000)
    assert Network((4, 3, 2)).is_matrix and not Network((4, 3, 2), "tanh").is_matrix
    assert_close(forward(network, params, x).output, network_output(network, list(params), x)[-1])


def test_kept_buffers_give_the_same_as_new_ones():
    network = NETWORKS["relu with bias"]
    params = random_params(network)
    buffers = Activations(network, 7, params[0])
    for seed in range(3):
        x, _ = random_batch(network, seed=seed)
        assert_close(
            forward(network, params, x, buffers).output, forward(network, params, x).output
        )


@pytest.mark.parametrize("name", [name for name in NETWORKS if NETWORKS[name].is_matrix])
def test_a_linear_network_is_the_product_of_its_weights(name):
    network = NETWORKS[name]
    singles, stacked = replicas(network, 3)
    x = randn(3, 7, network.widths[0], seed=1)
    assert_close(matrix_outputs(network, stacked, x), forward(network, stacked, x).output)
    for r, params in enumerate(singles):
        alone = matrix_outputs(network, params, x[r])
        assert_close(alone, forward(network, params, x[r]).output)


@every_network
def test_memory_by_columns_changes_nothing(name, monkeypatch):
    network = NETWORKS[name]
    singles, stacked = replicas(network, 3)
    x = randn(3, 7, network.widths[0], seed=1)
    error = randn(3, 7, network.widths[-1], seed=2)
    expected = gradient(network, stacked, x, error)
    monkeypatch.setattr("nglab.networks.layers.BY_COLUMNS", 7)
    activations = Activations(network, 7, singles[0][0])
    if network.depth > 1:
        assert activations.inputs[-1].stride() == (1, 7)
    assert activations.output.is_contiguous()
    for together, before in zip(gradient(network, stacked, x, error), expected, strict=True):
        assert_close(together, before)
    for r, params in enumerate(singles):
        alone = gradient(network, params, x[r], error[r])
        for ours, before in zip(alone, expected, strict=True):
            assert_close(ours, before[r])
