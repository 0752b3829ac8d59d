import pytest
import torch

from nglab.claims.after.reversible import (
    Reversible,
    adam,
    gauss_newton,
    natural_mismatch,
    task,
    train,
)
from nglab.claims.small_problems import randn


@pytest.fixture
def net() -> Reversible:
    return Reversible.random(blocks=2, width=8, hidden=24, seed=0)


def test_a_block_is_undone_by_its_inverse(net):
    x, weights = randn(5, 8, seed=1), net.weights(2)
    torch.testing.assert_close(net.unblock(0, weights[0], net.block(0, weights[0], x)), x)


@pytest.mark.parametrize("examples", [1, 5, 9])
def test_the_step_makes_the_whole_move_where_the_features_have_full_rank(net, examples):
    x, weights, move = randn(examples, 8, seed=1), net.weights(2), randn(examples, 8, seed=3)
    made = net.jacobian(weights, x) @ net.step(weights, x, move).flatten()
    torch.testing.assert_close(made, move.flatten(), rtol=1e-6, atol=1e-8)
    assert natural_mismatch(net, weights, x, move) < 1e-8


def test_of_more_examples_than_hidden_units_it_is_no_natural_gradient(net):
    x, move = randn(60, 8, seed=1), randn(60, 8, seed=3)
    assert natural_mismatch(net, net.weights(2), x, move) > 0.01


def test_each_block_makes_its_share(net):
    """Of the two blocks either alone makes half of the move."""
    x, weights, move = randn(5, 8, seed=1), net.weights(2), randn(5, 8, seed=3)
    step = net.step(weights, x, move)
    for block in range(2):
        alone = torch.zeros_like(step)
        alone[block] = step[block]
        made = net.jacobian(weights, x) @ alone.flatten()
        torch.testing.assert_close(made, move.flatten() / 2, rtol=1e-6, atol=1e-8)


def test_training_takes_whole_steps_and_keeps_what_it_saw():
    t = task(blocks=1, width=4, hidden=20, examples=10)
    start = t.net.weights(5, gain=0.1)
    ours = train(t, start, gauss_newton(t), size=10, passes=5, probe=4)
    assert ours.losses[-1] < 1e-3 * ours.losses[0]
    assert len(ours.losses) == len(ours.kernel_changes) == 6 and len(ours.batch_ratios) == 5
    adams = train(t, start, adam(t, start), size=5, passes=3, probe=4)
    assert adams.losses[-1] < adams.losses[0] == ours.losses[0]
