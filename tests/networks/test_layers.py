import pytest
import torch
from problems import NETWORKS, randn, random_params, replicas
from torch.testing import assert_close

from nglab.networks.layers import Layers, from_vector, to_vector
from nglab.networks.network import Network

# layers 1 and 4 share a shape, and so a stack: in memory they lie side by side
APART = Network((3, 4, 2, 3, 4), "tanh")


@pytest.mark.parametrize("network", [APART, *NETWORKS.values()])
def test_the_parameter_vector_is_by_layer_however_the_layers_lie_in_memory(network):
    params = random_params(network)
    theta = to_vector(params)
    assert torch.equal(theta, torch.cat([params[i].flatten() for i in range(network.depth)]))
    again = Layers.from_vector(network, theta)
    for w, by_layer, of_list in zip(params, again, from_vector(network, theta), strict=True):
        assert torch.equal(w, by_layer) and torch.equal(w, of_list)


def test_the_vectors_of_a_stack():
    singles, stacked = replicas(APART, 3)
    theta = to_vector(stacked)
    assert theta.shape == (3, len(to_vector(singles[0])))
    for r, params in enumerate(singles):
        assert torch.equal(theta[r], to_vector(params))
    for w, expected in zip(Layers.from_vector(APART, theta), stacked, strict=True):
        assert torch.equal(w, expected)


def test_layers_of_equal_shape_are_views_of_one_stack():
    params = random_params(APART)
    assert APART.groups == [[0, 3], [1], [2]]
    assert [tuple(s.shape) for s in params.held()] == [(2, 4, 3), (1, 2, 4), (1, 3, 2)]
    params.stacks[0][1].zero_()
    assert params[3].count_nonzero() == 0 and params[0].count_nonzero() > 0


def test_work_entry_by_entry_reaches_every_layer():
    params = random_params(APART)
    twice = params.map(lambda piece: 2 * piece)
    for w, double in zip(params, twice, strict=True):
        assert_close(double, 2 * w)
    for piece in params.pieces:
        piece.copy_(randn(*piece.shape, seed=1))
    assert_close(to_vector(params).sort().values, params.pieces[0].flatten().sort().values)
