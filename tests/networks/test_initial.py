import torch
from problems import rng

from nglab.networks.initial import random_parameters
from nglab.networks.network import Network

NETWORK = Network((400, 100, 250), "tanh", bias=True)
GAIN = 1.5


def test_weights_have_the_variance_of_their_inputs_number():
    """N(0, g²/n_in): mean and variance of n numbers are known to 5/√n and 5 √(2/n) of the true ones' size."""
    for w, n_in in zip(random_parameters(NETWORK, GAIN, rng(0)), NETWORK.widths, strict=False):
        weights = w[:, :n_in] * n_in**0.5 / GAIN
        n = weights.numel()
        assert abs(weights.mean()) <= 5 / n**0.5
        assert abs(weights.var() - 1) <= 5 * (2 / n) ** 0.5


def test_the_first_biases_are_zero():
    for w in random_parameters(NETWORK, GAIN, rng(0)):
        assert torch.equal(w[:, -1], torch.zeros(len(w)).double())


def test_a_bias_moves_no_other_number():
    without = random_parameters(Network(NETWORK.widths), GAIN, rng(0))
    for w, plain in zip(random_parameters(NETWORK, GAIN, rng(0)), without, strict=True):
        assert torch.equal(w[:, :-1], plain)
