import pytest
import torch
from problems import randn, rng

from nglab.data.batches import Batches, steps_of


def epoch(batches, *counts):
    batches.shuffle()
    first, seen = 0, []
    for count in counts:
        seen += batches.gather(first, count)[0].unbind()
        first += count
    return seen


def test_a_pass_shows_every_example_once_in_a_new_order():
    x = torch.arange(12.0).view(1, 12, 1)
    batches = Batches(x, -x, 4, [rng(0)], None)
    first, second = (torch.cat(epoch(batches, 2, 1)).flatten() for _ in range(2))
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(12))
    assert not torch.equal(first, second)
    x, y = batches.gather(0, 3)
    assert torch.equal(x, -y)


def test_what_fills_no_batch_is_left_out():
    batches = Batches(randn(1, 11, 2, seed=0), randn(1, 11, 1, seed=1), 4, [rng(0)], None)
    assert batches.steps_per_pass == 2
    assert len(epoch(batches, 2)) == 2


def test_a_replica_sees_what_it_would_see_alone():
    x, y = randn(2, 12, 3, seed=0), randn(2, 12, 1, seed=1)
    members = [0, 1, 1]
    together = epoch(Batches(x, y, 4, [rng(r) for r in range(3)], members), 3)
    for r, member in enumerate(members):
        data = slice(member, member + 1)
        alone = epoch(Batches(x[data], y[data], 4, [rng(r)], None), 3)
        assert all(torch.equal(a[r], b) for a, b in zip(together, alone, strict=True))


def test_an_autoencoder_gathers_once():
    x = randn(1, 8, 3, seed=0)
    batches = Batches(x, x, 4, [rng(0)], None)
    batches.shuffle()
    gathered_x, gathered_y = batches.gather(0, 2)
    assert gathered_x is gathered_y


@pytest.mark.parametrize(("passes", "examples", "batch", "steps"), [
    (5, 1900, 1000, 10), (1, 1400, 1000, 2), (10, 10_000, 20, 5000), (0.01, 90, 20, 1),
    (0.29, 100, 1, 29), (0.8, 60_000, 500, 96), (1, 90, 20, 5), (2, 90, 20, 9),
])  # fmt: skip
def test_as_many_examples_are_seen_as_the_passes_ask_for(passes, examples, batch, steps):
    assert steps_of(passes, examples, batch) == steps
    assert steps * batch >= passes * examples * (1 - 1e-9)
    assert steps == 1 or (steps - 1) * batch < passes * examples
