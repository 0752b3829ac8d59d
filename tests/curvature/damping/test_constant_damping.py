import torch

from nglab.curvature.damping.constant_damping import ConstantDamping


def test_it_stays():
    rule = ConstantDamping(0.3)
    state = rule.init(torch.zeros(2).double())
    for ratio in (0.0, 1.0, float("nan")):
        for failed in (False, True):
            flags = torch.tensor([failed, failed])
            rule.update_(state, torch.full((2,), ratio).double(), flags, ~flags)
            assert state.value.tolist() == [0.3, 0.3]
