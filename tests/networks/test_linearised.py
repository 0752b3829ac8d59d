import pytest
import torch
from dense_reference import network_output
from problems import NETWORKS, randn, random_batch, random_params, replicas
from torch.testing import assert_close

from nglab.networks.layers import from_vector, to_vector
from nglab.networks.linearised import Linearised
from nglab.networks.network import Network
from nglab.networks.passes import forward

CASES = NETWORKS | {"equal layers apart": Network((3, 4, 2, 3, 4), "tanh", bias=True)}
every_network = pytest.mark.parametrize("name", CASES)
COUNTS = [1, 3, 7]


def problem(name):
    """A network with its parameters, inputs, and a random direction in `Layers`."""
    network = CASES[name]
    return network, random_params(network), random_batch(network)[0], random_params(network, seed=5)


def jacobian(network, params, x):
    """`[M, n_L, P]` by autodiff."""
    return torch.func.jacrev(
        lambda theta: network_output(network, from_vector(network, theta), x)[-1]
    )(to_vector(params))


def by_layer(network, params, x, d):
    """J D_i `[L, M, n_L]`, from the Jacobian's columns of layer i."""
    sizes = [w.numel() for w in params]
    parts = jacobian(network, params, x).split(sizes, -1)
    return torch.stack([j @ d_i.flatten() for j, d_i in zip(parts, d, strict=True)])


def one(d):
    """A direction as k = 1 of them."""
    return [d_i.unsqueeze(-3) for d_i in d]


@every_network
def test_the_layers_directions_equal_autodiff(name):
    network, params, x, d = problem(name)
    linearised = Linearised.at(network, params, x)
    expected = by_layer(network, params, x, d)
    assert_close(linearised.by_layer(d), expected)
    assert_close(linearised.by_layer(d).sum(0), linearised.forward(one(d))[0])
    for i in range(network.depth):
        alone = [torch.full_like(d_i, torch.nan) for d_i in d[:i]] + [d[i]]
        alone += [torch.zeros_like(d_i) for d_i in d[i + 1 :]]
        assert_close(linearised.forward(one(alone), first_layer=i)[0], expected[i])


@every_network
def test_from_a_layer_on(name):
    network, params, x, d = problem(name)
    expected = by_layer(network, params, x, d)
    for first in range(network.depth):
        ours = Linearised.at(network, params, x).forward(one(d), first)
        assert_close(ours[0], expected[first:].sum(0))


@every_network
@pytest.mark.parametrize("count", COUNTS)
def test_on_the_first_examples_as_on_a_batch_of_them(name, count):
    network, params, x, d = problem(name)
    some, fresh = (
        Linearised.at(network, params, x).on_first(count),
        Linearised.at(network, params, x[:count]),
    )
    assert_close(some.output, fresh.output)
    assert_close(some.forward(one(d)), fresh.forward(one(d)))
    assert_close(some.by_layer(d), fresh.by_layer(d))
    u = randn(2, *fresh.output.shape[-2:], seed=9)
    for ours, expected in zip(some.backward(u), fresh.backward(u), strict=True):
        assert_close(ours, expected)


def test_the_first_examples_leave_the_activations_as_they_are():
    network, params, x, d = problem("expanding")
    linearised = Linearised.at(network, params, x)
    before = linearised.forward(one(d))
    linearised.on_first(3).by_layer(d)
    assert torch.equal(linearised.forward(one(d)), before)


def test_the_views_of_the_first_examples_follow_the_next_pass():
    """x_0 too, which a network without bias takes as it is."""
    network, params, x, d = problem("expanding")
    activations = forward(network, params, x)
    for batch in (x, x.flip(0), x.square()):
        forward(network, params, batch, activations)
        ours = Linearised(network, params, activations).on_first(3).by_layer(d)
        assert_close(ours, Linearised.at(network, params, batch[:3]).by_layer(d))


@pytest.mark.parametrize("widths", [(3, 4, 2, 3, 4), (2, 3, 4), (4, 3, 2), (3, 2)])
def test_a_network_that_is_a_matrix_as_one_that_is_not(widths):
    network = Network(widths)
    params, d = random_params(network), random_params(network, seed=5)
    linearised = Linearised.at(network, params, random_batch(network)[0])
    assert_close(linearised.by_layer(d), linearised._by_examples(d))


@every_network
def test_a_stack_moves_as_its_members(name):
    network = CASES[name]
    singles, stacked = replicas(network, 3)
    directions, d = replicas(network, 3)
    x = randn(3, 7, network.widths[0], seed=1)
    linearised = Linearised.at(network, stacked, x)
    for count in COUNTS:
        together = linearised.on_first(count)
        for r, params in enumerate(singles):
            alone = Linearised.at(network, params, x[r]).on_first(count)
            assert_close(together.by_layer(d)[r], alone.by_layer(directions[r]))
            moved = together.forward(one(d), network.depth // 2)[r]
            assert_close(moved, alone.forward(one(directions[r]), network.depth // 2))


@pytest.mark.parametrize("widths", [(3, 4, 2, 3, 4), (2, 3, 4), (4, 3, 2), (3, 2)])
@pytest.mark.parametrize("stacked", [False, True])
def test_many_examples_pass_the_matrices_of_the_layers(widths, stacked):
    """Two directions at once, as by the passes over the examples."""
    network = Network(widths)
    params = replicas(network, 2)[1] if stacked else random_params(network)
    x = randn(*params.leading, 4 * min(widths), widths[0], seed=1)
    v = [randn(*params.leading, 2, *shape, seed=i) for i, shape in enumerate(network.shapes)]
    linearised = Linearised.at(network, params, x)
    *_, (passed, _) = linearised.tangents(v)
    assert_close(linearised.forward(v), passed)
