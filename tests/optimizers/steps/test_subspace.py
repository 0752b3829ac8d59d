"""What the steps over a few directions share, where something goes wrong; the numbers are in test_ngd_parts.py."""

import pytest
import torch
from problems import NETWORKS, natural_gradient, random_batch, random_params, replicas, rng, task_of
from torch.testing import assert_close

from nglab.optimizers.steps.layerwise import Layerwise
from nglab.optimizers.steps.line import Line
from nglab.optimizers.steps.subspace import least
from nglab.optimizers.steps.two_level import TwoLevel

M = 24
RULES = {
    "line": Line(True, 9),
    "layerwise": Layerwise(True, None, 2.0),
    "two levels": TwoLevel(True, 9, "constant"),
}


def test_the_small_system_is_solved_whatever_its_scale():
    a = torch.tensor([[4.0, 1.0], [1.0, 3.0]]).double()
    scale = torch.tensor([1e-9, 1e6]).double()
    expected = torch.linalg.solve(a, torch.tensor([1.0, 2.0]).double()) / scale
    found = least(scale[:, None] * a * scale, scale * torch.tensor([1.0, 2.0]))
    assert_close(found, expected, rtol=1e-8, atol=0)


def test_a_direction_that_is_zero_is_not_taken():
    a = torch.tensor([[2.0, 0.0], [0.0, 0.0]]).double()
    assert_close(least(a, torch.tensor([1.0, 0.0]).double()), torch.tensor([0.5, 0.0]).double())


def test_a_system_that_cannot_be_solved_is_not_a_number_for_that_replica_alone():
    a = torch.stack([torch.eye(2), torch.tensor([[1.0, 2.0], [2.0, 1.0]])]).double()
    found = least(a, torch.ones(2, 2).double())
    assert_close(found[0], torch.ones(2).double())
    assert found[1].isnan().all()


@pytest.mark.parametrize("rule", RULES)
def test_a_failed_small_system_is_a_step_not_taken(rule, monkeypatch):
    monkeypatch.setattr(
        "nglab.optimizers.steps.subspace.least", lambda system, slopes: slopes * torch.nan
    )
    network = NETWORKS["square"]
    params, (x, y) = random_params(network), random_batch(network, M)
    optimizer = natural_gradient(M, 0.1, step_rule=RULES[rule])
    state = optimizer.init(task_of(network), params, lambda purpose: [rng(5)])
    new, state = optimizer.step(params.map(torch.clone), state, x, y)
    assert all(torch.equal(w, old) for w, old in zip(new, params, strict=True))
    assert state.skipped_steps == 1 and state.damping.value == 0.1 * 1.5


@pytest.mark.parametrize("rule", RULES)
def test_the_previous_step_is_what_was_taken_and_forgotten_where_none_was(rule):
    network = NETWORKS["square"]
    params, (x, y) = random_params(network), random_batch(network, M)
    optimizer = natural_gradient(M, 0.1, step_rule=RULES[rule])
    state = optimizer.init(task_of(network), params, lambda purpose: [rng(5)])
    new, state = optimizer.step(params.map(torch.clone), state, x, y)
    for delta, w, old in zip(state.step_rule.previous, new, params, strict=True):
        assert_close(delta, w - old)
    state.ceiling.zero_()
    _, state = optimizer.step(new, state, x, y)
    assert state.skipped_steps == 1
    assert not any(delta.any() for delta in state.step_rule.previous)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["square", "tanh with bias"])
def test_a_stack_steps_as_its_members_do(rule, name):
    network = NETWORKS[name]
    singles, stacked = replicas(network, 3)
    damping, lr = torch.tensor([1e-2, 1e-1, 1.0]), torch.tensor([0.2, 0.5, 1.0])
    batches = [random_batch(network, M, seed=20 * r) for r in range(3)]
    x, y = (torch.stack(t) for t in zip(*batches, strict=True))
    optimizer = natural_gradient(M, damping, lr=lr, step_rule=RULES[rule])
    state = optimizer.init(task_of(network), stacked, lambda purpose: [rng(r) for r in range(3)])
    for _ in range(3):
        stacked, state = optimizer.step(stacked, state, x, y)
    for r, params in enumerate(singles):
        alone = natural_gradient(M, float(damping[r]), lr=float(lr[r]), step_rule=RULES[rule])
        one = alone.init(task_of(network), params, lambda purpose, r=r: [rng(r)])
        for _ in range(3):
            params, one = alone.step(params, one, x[r], y[r])
        assert_close(state.damping.value[r], one.damping.value, check_dtype=False)
        for together, single in zip(stacked, params, strict=True):
            assert_close(together[r], single, rtol=1e-6, atol=1e-9)
