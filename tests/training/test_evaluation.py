"""A row of the record: what is measured, and on which examples."""

import pytest
import torch
from problems import CONSTANT, NETWORKS, randn, random_batch, random_params, replicas
from torch.testing import assert_close

from nglab.data.dataset import Dataset
from nglab.likelihoods.categorical import Categorical
from nglab.likelihoods.gaussian import Gaussian
from nglab.networks.passes import forward
from nglab.optimizers.sgd import SGD
from nglab.randomness import stream
from nglab.training.loop import train
from nglab.training.problem import Problem

EXAMPLES, TEST_EXAMPLES = 60, 40


def classes(n: int, seed: int) -> torch.Tensor:
    return torch.eye(4).double()[randn(n, 4, seed=seed).argmax(-1)]


def problem(likelihood, params=None, members=None, data_sets=1) -> Problem:
    """Random inputs with random classes as targets, on which nothing can be learned in a step."""
    network = NETWORKS["tanh with bias"]
    x = torch.stack([random_batch(network, 100, seed=10 * d)[0] for d in range(data_sets)])
    y = torch.stack([classes(100, seed=d) for d in range(data_sets)])
    dataset = Dataset(x[:, :EXAMPLES], y[:, :EXAMPLES], x[:, EXAMPLES:], y[:, EXAMPLES:])
    replicas = [None] if members is None else members
    return Problem(
        network, likelihood, dataset, params or random_params(network), SGD(lr=0.1, batch_size=20, schedule=CONSTANT),
        lambda purpose: [stream(r, purpose) for r, _ in enumerate(replicas)], members,
    )  # fmt: skip


@pytest.mark.parametrize("likelihood", [Gaussian(), Categorical()], ids=["gaussian", "categorical"])
def test_losses_are_those_of_the_training_and_of_the_test_set(likelihood):
    """The training set's is that of as many examples as the test set has: the first ones."""
    p = problem(likelihood)
    first, data = next(train(p, 1, 20)), p.dataset
    for loss, x, y in (
        (first.train_loss, data.train_x[0, :TEST_EXAMPLES], data.train_y[0, :TEST_EXAMPLES]),
        (first.test_loss, data.test_x[0], data.test_y[0]),
    ):
        assert_close(loss, likelihood.loss(forward(p.network, p.params, x).output, y))


def test_passes_are_counted_on_the_training_set():
    rows = list(train(problem(Gaussian()), 2, EXAMPLES))
    assert [(row.examples_seen, row.passes) for row in rows] == [(0, 0), (60, 1), (120, 2)]


def test_the_likelihoods_measures_are_of_the_test_set():
    p = problem(Categorical())
    z = forward(p.network, p.params, p.dataset.test_x[0]).output
    wrong = (z.argmax(-1) != p.dataset.test_y[0].argmax(-1)).sum().item()
    measures = next(train(p, 1, 20)).more
    assert measures.keys() == {"test_error"}
    assert measures["test_error"].item() == pytest.approx(100 * wrong / TEST_EXAMPLES)
    assert next(train(problem(Gaussian()), 1, 20)).more == {}


def test_a_stack_measures_what_its_members_measure():
    singles, stacked = replicas(NETWORKS["tanh with bias"], 3)
    together = next(train(problem(Categorical(), stacked, [0, 1, 1], data_sets=2), 1, 20))
    data = problem(Categorical(), data_sets=2).dataset
    for r, (params, d) in enumerate(zip(singles, (0, 1, 1), strict=True)):
        z = forward(NETWORKS["tanh with bias"], params, data.test_x[d]).output
        expected = Categorical().more(z, data.test_y[d])["error"]
        assert_close(together.more["test_error"][r], expected)


def test_no_later_evaluation_changes_an_earlier_one():
    read_at_once = [float(r.more["test_error"]) for r in train(problem(Categorical()), 20, 60)]
    rows = list(train(problem(Categorical()), 20, 60))
    assert [float(row.more["test_error"]) for row in rows] == read_at_once
    assert len(set(read_at_once)) > 1
