import torch
from torch.testing import assert_close

from nglab.curvature.damping.levenberg_marquardt import LevenbergMarquardt


def update(ratio, failed=False, informative=True, damping=1.0, floor=1e-8):
    rule = LevenbergMarquardt(initial=1.0, min=floor)
    value = torch.tensor(damping, dtype=torch.float64)
    rule.update_(
        value,
        torch.tensor(ratio, dtype=torch.float64),
        torch.tensor(failed),
        torch.tensor(informative),
    )
    return float(value)


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


def test_noise_leaves_it():
    assert update(-1e9, informative=False) == 1.0
    assert update(1e9, informative=False) == 1.0


def test_each_replica_follows_its_own_rule():
    value = torch.ones(2)
    rule = LevenbergMarquardt(1.0, torch.tensor([1e-8, 0.9], dtype=torch.float64)).like(value)
    ratio, no = torch.tensor([1.0, 1.0]), torch.tensor([False, False])
    rule.update_(value, ratio, no, ~no)
    assert_close(value, torch.tensor([2 / 3, 0.9]))
