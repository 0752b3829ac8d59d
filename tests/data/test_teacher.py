import pytest
import torch
from torch.testing import assert_close

from nglab.data.teacher import Teacher, input_covariance_root
from nglab.likelihoods.gaussian import Gaussian
from nglab.networks.initial import random_parameters
from nglab.networks.network import Network
from nglab.networks.passes import forward
from nglab.randomness import stream

NETWORK = Network((6, 4, 3))


def make(seed=0, noise=1e-2, examples=20_000):
    return Teacher(examples, 500, noise, 5.0).dataset(NETWORK, 1.0, seed)


def test_spectrum_of_the_input_covariance():
    root = input_covariance_root(8, 5.0, stream(0, "covariance"))
    covariance = root @ root.mT
    expected = torch.exp(-5.0 * torch.arange(8).double() / 8)
    assert_close(torch.linalg.eigvalsh(covariance).flip(0), expected)
    assert (covariance - covariance.diag().diag()).abs().max() > 0.05  # not axis-aligned


@pytest.mark.parametrize("seed", [0, 3])
def test_inputs_have_the_covariance_of_their_seed(seed):
    """In both splits, and so the data say; that of another seed is turned."""
    root, other = (input_covariance_root(6, 5.0, stream(s, "covariance")) for s in (seed, 1))
    source = Teacher(20_000, 20_000, 1e-2, 5.0)
    data = source.dataset(NETWORK, 1.0, seed)
    for x in (data.train_x[0], data.test_x[0]):
        assert_close(x.mT @ x / len(x), root @ root.mT, atol=0.03, rtol=0)
    assert_close(source.input_moment(NETWORK, seed), root @ root.mT)
    assert (root @ root.mT - other @ other.mT).abs().max() > 0.1


def test_noise_has_its_variance_and_sets_the_smallest_loss():
    data = make(noise=1e-2)
    teacher = random_parameters(NETWORK, 1.0, stream(0, "teacher"))
    residual = data.train_y[0] - forward(NETWORK, teacher, data.train_x[0]).output
    assert_close(residual.var(), torch.tensor(1e-2).double(), rtol=0.03, atol=0)
    floor = Teacher(1, 1, 1e-2, 5.0).minimum_loss(NETWORK, Gaussian())
    assert floor == 0.5 * 3 * 1e-2
    loss = 0.5 * residual.square().sum(1).mean()
    assert_close(loss, torch.tensor(floor).double(), rtol=0.03, atol=0)


def test_seeds_and_splits_are_independent_and_repeatable():
    a, b, other = make(examples=500), make(examples=500), make(seed=1, examples=500)
    assert torch.equal(a.train_x, b.train_x) and torch.equal(a.test_y, b.test_y)
    assert not torch.allclose(a.train_x, other.train_x)
    assert not torch.allclose(a.train_x, a.test_x)


def test_more_examples_do_not_change_the_others():
    few, many = make(examples=100), make(examples=200)
    assert torch.equal(few.test_x, many.test_x)
