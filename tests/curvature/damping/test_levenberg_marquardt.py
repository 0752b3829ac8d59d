import pytest
import torch
from problems import levenberg_marquardt
from torch.testing import assert_close

from nglab.curvature.damping.levenberg_marquardt import LevenbergMarquardt
from nglab.errors import InputError


def scalar(value):
    return torch.tensor(value, dtype=torch.float64)


def after(rule, *steps):
    """λ after each of the steps (ρ, failed, informative)."""
    state = rule.init(scalar(0.0))
    for ratio, failed, informative in steps:
        rule.update_(state, scalar(ratio), torch.tensor(failed), torch.tensor(informative))
        yield float(state.value)


def update(ratio, failed=False, informative=True, damping=1.0):
    return next(after(levenberg_marquardt(damping), (ratio, failed, informative)))


def test_equation_21():
    assert update(0.2) == 1.5
    assert_close(update(0.8), 2 / 3)
    assert update(0.5) == 1.0
    assert update(0.25) == update(0.75) == 1.0  # the rule's inequalities are strict


def test_the_floor_holds():
    assert update(2.0, damping=1e-8) == 1e-8


def test_a_failed_step_raises_it_whatever_the_ratio():
    for ratio in (1.0, float("nan"), float("-inf")):
        assert update(ratio, failed=True) == 1.5
        assert update(ratio, failed=True, informative=False) == 1.5


def test_noise_leaves_it():
    assert update(-1e9, informative=False) == 1.0
    assert update(1e9, informative=False) == 1.0


def test_every_t_steps_by_the_factor_to_the_power_t():
    """From that step's ρ alone; but a step that was not taken counts at once."""
    rule = LevenbergMarquardt(1.0, 1e-8, factor=2.0, interval=3)
    poor, good = (0.0, False, True), (1.0, False, True)
    failed = (1.0, True, True)
    assert list(after(rule, poor, poor, good, good, good, poor)) == [1, 1, 1 / 8, 1 / 8, 1 / 8, 1]
    assert list(after(rule, good, failed, good)) == [1, 8, 1]


def test_each_replica_follows_its_own_rule():
    each = torch.ones(2)
    factor = torch.tensor([2.0, 1.5], dtype=torch.float64)
    least = torch.tensor([1e-8, 0.9], dtype=torch.float64)
    rule = LevenbergMarquardt(1.0, least, factor, interval=1)
    state = rule.init(each)
    rule.update_(state, each, each < 0, each > 0)
    assert_close(state.value, torch.tensor([0.5, 0.9]))


def test_only_a_rule_of_every_step_can_be_captured():
    assert levenberg_marquardt(1.0).capturable
    assert not LevenbergMarquardt(1.0, 1e-8, 1.5, interval=2).capturable


def test_a_floor_above_the_start_is_refused():
    levenberg_marquardt(1e-2, 1e-2).check("optimizer.damping", None)
    right = r"optimizer\.damping\.min=0\.1: must be from 0 to optimizer\.damping\.initial=0\.01"
    with pytest.raises(InputError, match=right):
        levenberg_marquardt(1e-2, 0.1).check("optimizer.damping", None)
