from dataclasses import dataclass, replace
from math import cos, pi, sqrt
from types import SimpleNamespace

import pytest
import torch
from problems import CONSTANT
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from training_runs import M, assert_undisturbed, problem, sgd

from nglab.errors import InputError
from nglab.optimizers.schedules.constant import Constant
from nglab.optimizers.schedules.cosine import Cosine
from nglab.optimizers.schedules.inverse import Inverse
from nglab.optimizers.schedules.inverse_root import InverseRoot
from nglab.training.loop import train
from nglab.training.replicas import stack

STEPS, WARM = 12, 4
SCHEDULES = {  # and its share of the rate k steps after a warm-up, of K
    "constant": (Constant(warm_up=0), lambda k, K: 1.0),
    "inverse": (Inverse(warm_up=0, after=3.0), lambda k, K: 1 / (1 + k / 3)),
    "inverse root": (InverseRoot(warm_up=0, after=3.0), lambda k, K: 1 / sqrt(1 + k / 3)),
    "cosine": (Cosine(warm_up=0, final=0.1), lambda k, K: 0.1 + 0.9 * (1 + cos(pi * k / K)) / 2),
}
every_schedule = pytest.mark.parametrize("name", SCHEDULES)


def warmed(name, warm_up):
    return replace(SCHEDULES[name][0], warm_up=warm_up)


def factors(name, warm_up):
    decay = SCHEDULES[name][1]
    late = [decay(k, STEPS - warm_up) for k in range(STEPS - warm_up)]
    return [(k + 1) / warm_up for k in range(warm_up)] + late


@every_schedule
@pytest.mark.parametrize("warm_up", [0, WARM])
def test_a_kept_rate_follows_the_formula(name, warm_up):
    schedule, expected = warmed(name, warm_up), torch.tensor(factors(name, warm_up)).double()
    step = torch.arange(STEPS, dtype=torch.float64)
    assert_close(schedule.factor(step, STEPS), expected)
    assert (expected > 0).all() and (expected <= 1).all()
    rate = schedule.start(torch.tensor(0.5), STEPS)
    square = schedule.start(torch.tensor(0.5), STEPS, lambda a: (a**2)[..., None])
    for factor in expected.float():
        assert_close(rate.advance_(), 0.5 * factor)
        assert_close(square.advance_(), (0.5 * factor).square()[None])
    assert_close(rate.advance_(), 0.5 * expected[-1].float())  # beyond the plan it stays


@every_schedule
def test_rates_of_a_stack_are_those_of_its_networks(name):
    def single(r):
        schedule = warmed(name, WARM)
        for setting in {"after", "final"} & set(vars(schedule)):
            schedule = replace(schedule, **{setting: getattr(schedule, setting) * (1 + r)})
        return problem(sgd(0.1 * (r + 1), schedule), seed=r)

    together = list(train(stack([single(r) for r in range(3)]), 3, M))
    for r in range(3):
        for row, alone in zip(together, train(single(r), 3, M), strict=True):
            assert_close(row.learning_rate[r], alone.learning_rate)
            assert_close(row.test_loss[r], alone.test_loss)


@every_schedule
def test_a_run_goes_on_with_the_rate_that_came_next(name, tmp_path):
    assert_undisturbed(lambda: problem(sgd(0.1, warmed(name, 2))), tmp_path / "s.pt", passes=3)


@every_schedule
def test_the_record_has_the_rate_of_the_last_step(name):
    rows = list(train(problem(sgd(0.2, warmed(name, WARM))), 2.6, M))  # 12 steps of 20 see 90
    expected = [0.2 * factor for factor in factors(name, WARM)]
    assert_close(torch.stack([r.learning_rate for r in rows]).tolist(), [expected[0], *expected])


class Counting(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        return function(*args, **(kwargs or {}))


def test_a_constant_rate_costs_a_step_nothing():
    rate = CONSTANT.start(torch.tensor([0.1, 0.2]), STEPS, lambda alpha: alpha[..., None, None])
    with Counting() as counting:
        first, second = rate.advance_(), rate.advance_()
    assert counting.count == 0 and first is second and first.shape == (2, 1, 1)


@dataclass(frozen=True, kw_only=True)
class Half(Constant):
    def decay(self, step, steps):
        return torch.full_like(step, 0.5)


def test_half_the_rate_is_half_the_rate():
    halved = list(train(problem(sgd(0.2, Half(warm_up=0))), 2, M))
    plain = list(train(problem(sgd(0.1)), 2, M))
    assert [r.test_loss for r in halved] == [r.test_loss for r in plain]


def test_a_warm_up_longer_than_the_run_is_refused():
    run = SimpleNamespace(
        train=SimpleNamespace(passes=3),
        data=SimpleNamespace(train_examples=90),
        optimizer=SimpleNamespace(batch_size=20),
    )
    Constant(warm_up=14).check("optimizer.schedule", run)
    with pytest.raises(InputError, match=r"optimizer\.schedule\.warm_up=15: must be at most 14"):
        Constant(warm_up=15).check("optimizer.schedule", run)
