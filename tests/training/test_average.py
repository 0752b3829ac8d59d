import pytest
import torch
from problems import random_params
from torch.testing import assert_close
from training_runs import NETWORK, M, assert_undisturbed, problem, sgd

from nglab.training.average import Average
from nglab.training.loop import train
from nglab.training.replicas import stack

COLUMN = "test_loss_of_average"


def test_the_average_is_the_weighted_mean_of_the_iterates():
    iterates = [random_params(NETWORK, seed) for seed in range(4)]
    average = Average.of(iterates[0], 0.8)
    for params in iterates:
        average.update_(params)
    weights = torch.tensor([0.8**3, 0.8**2, 0.8, 1]).double()
    for ours, *theirs in zip(average.at(4, iterates[0]), *iterates, strict=True):
        expected = torch.einsum("k,kij->ij", weights / weights.sum(), torch.stack(theirs))
        assert_close(ours, expected)


def test_it_is_evaluated_beside_the_last_iterate():
    rows = list(train(problem(sgd(), average=0.9), 3, M))
    plain = list(train(problem(sgd()), 3, M))
    assert [r.test_loss for r in rows] == [r.test_loss for r in plain]
    assert all(COLUMN not in r.more for r in plain)
    for row in rows[
        :2
    ]:  # the parameters before the first step, and after it, are their own average
        assert_close(row.more[COLUMN], row.test_loss)
    assert all(
        row.more[COLUMN] > row.test_loss for row in rows[2:]
    )  # it lags behind a falling loss
    forgetful = list(train(problem(sgd(), average=0.0), 3, M))
    assert all(row.more[COLUMN] == row.test_loss for row in forgetful)


def test_it_is_in_the_checkpoint(tmp_path):
    assert_undisturbed(lambda: problem(sgd(), average=0.9), tmp_path / "s.pt")


def test_a_stack_averages_each_network():
    together = list(train(stack([problem(sgd(), seed=s, average=0.9) for s in (0, 1)]), 2, M))
    for seed in (0, 1):
        for row, alone in zip(
            together, train(problem(sgd(), seed=seed, average=0.9), 2, M), strict=True
        ):
            assert_close(row.more[COLUMN][seed], alone.more[COLUMN])


def test_runs_with_different_averages_are_no_stack():
    with pytest.raises(ValueError, match=r"train\.average=0\.9, None"):
        stack([problem(sgd(), average=0.9), problem(sgd())])
