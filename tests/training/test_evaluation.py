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
from nglab.training import evaluation
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
        expected = Categorical().measures(z, data.test_y[d])["error"]
        assert_close(together.more["test_error"][r], expected)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("block_bytes", [1, 2**14, 2**30], ids=["one by one", "few", "all"])
def test_a_stack_is_measured_in_blocks(name, block_bytes, monkeypatch):
    """Whatever their size, bit for bit; each block is a few of the networks, in their order."""
    network, members = NETWORKS[name], [0, 1, 1, 0, 1]
    x = torch.stack([random_batch(network, 100, seed=d)[0] for d in range(2)])
    y = torch.stack([random_batch(network, 100, seed=d)[1] for d in range(2)])
    data = Dataset(x[:, :60], y[:, :60], x[:, 60:], y[:, 60:])
    singles, stacked = replicas(network, 5)
    method = SGD(lr=0.1, batch_size=20, schedule=CONSTANT)
    rows = []
    for size in (2**30, block_bytes):
        monkeypatch.setattr(evaluation, "BLOCK_BYTES", size)
        p = Problem(network, Gaussian(), data, stacked, method, streams_of(5), members)
        rows.append(next(train(p, 1, 20)))
    assert rows[0].test_loss.equal(rows[1].test_loss)
    assert rows[0].train_loss.equal(rows[1].train_loss)
    for r, (params, d) in enumerate(zip(singles, members, strict=True)):
        z = forward(network, params, data.test_x[d]).output
        assert_close(rows[1].test_loss[r], Gaussian().loss(z, data.test_y[d]))


def streams_of(replicas):
    return lambda purpose: [stream(r, purpose) for r in range(replicas)]


@pytest.mark.parametrize("replicas", [1, 5, 64])
@pytest.mark.parametrize("block_bytes", [1, 2**14, 3 * 2**13, 2**30])
def test_blocks_hold_every_network_once_and_no_more_than_they_may(
    replicas, block_bytes, monkeypatch
):
    monkeypatch.setattr(evaluation, "BLOCK_BYTES", block_bytes)
    network = NETWORKS["tanh with bias"]
    members = None if replicas == 1 else [0] * replicas
    found = evaluation.blocks(problem(Gaussian(), members=members), TEST_EXAMPLES)
    assert [r for block in found for r in range(replicas)[block]] == list(range(replicas))
    sizes = [len(range(replicas)[block]) for block in found]
    assert max(sizes) - min(sizes) <= 1
    each = TEST_EXAMPLES * max(network.widths) * 8
    assert max(sizes) * each <= block_bytes or max(sizes) == 1


def test_no_later_evaluation_changes_an_earlier_one():
    read_at_once = [float(r.more["test_error"]) for r in train(problem(Categorical()), 20, 60)]
    rows = list(train(problem(Categorical()), 20, 60))
    assert [float(row.more["test_error"]) for row in rows] == read_at_once
    assert len(set(read_at_once)) > 1
