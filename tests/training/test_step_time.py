"""How long a step takes, by a clock that goes on only where it is told to."""

from dataclasses import dataclass, replace

import pytest
from problems import CONSTANT
from training_runs import M, problem

from nglab.networks.scratch import Scratch
from nglab.optimizers.optimizer import Optimizer
from nglab.training.step_time import seconds_a_step


class Counted(Scratch):
    pass


class Time:
    now, steps = 0.0, 0


@dataclass(frozen=True, kw_only=True)
class Slow(Optimizer):
    """Every fifth step takes five times as long as the others, on average `a_step`; to begin takes an hour."""

    a_step: float

    def init(self, task, params, streams):
        Time.now, Time.steps = Time.now + 3600, 0
        return Counted()

    def step(self, params, state, x, y):
        Time.steps += 1
        Time.now += self.a_step * 5 / 9 * (5 if Time.steps % 5 == 0 else 1)
        return params, state


@pytest.mark.parametrize(
    ("a_step", "steps"), [(10.0, 12), (0.01, 24), (1e-5, 200)], ids=["slow", "fair", "fast"]
)
def test_the_mean_of_as_many_steps_as_two_tenths_of_a_second_have(a_step, steps, monkeypatch):
    monkeypatch.setattr("nglab.training.clock.perf_counter", lambda: Time.now)
    slow = problem(Slow(lr=0.1, batch_size=M, schedule=CONSTANT, a_step=a_step))
    assert seconds_a_step(slow) == pytest.approx(a_step, rel=0.1)
    assert Time.steps == steps


def test_a_batch_of_nearly_the_whole_training_set(monkeypatch):
    monkeypatch.setattr("nglab.training.clock.perf_counter", lambda: Time.now)
    slow = Slow(lr=0.1, batch_size=M, schedule=CONSTANT, a_step=1.0)
    assert seconds_a_step(problem(replace(slow, batch_size=80))) == pytest.approx(1.0)
    assert Time.steps == 10  # one a pass
