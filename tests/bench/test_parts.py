import itertools

import pytest
import torch

from nglab.bench import parts
from nglab.bench.cases import make_case
from nglab.curvature import batch
from nglab.likelihoods.gaussian import Gaussian
from nglab.networks.network import Network


@pytest.fixture
def case():
    return make_case(Network((4, 3, 3, 2), "tanh", bias=True), 10, 1, 1.0, torch.float64)


def test_parts_make_up_the_step(case):
    ticks = itertools.count()
    rows = parts.step_by_part(case, 2, clock=lambda: float(next(ticks))).set_index("contender")
    assert rows.drop(parts.WHOLE).ms.sum() == rows.ms[parts.WHOLE]
    assert rows.drop(parts.WHOLE).share.sum() == pytest.approx(1)
    assert rows.index[0] == "forward" and {part for *_, part in parts.CALLS} < set(rows.index)
    assert (rows.ms > 0).all()


def test_every_call_of_a_step_is_counted_once(case):
    """Each entry and each exit of a recorded function advances this clock by one."""
    ticks = itertools.count()
    recorder = parts.Recorder(lambda: float(next(ticks)))
    step = parts.nglab_ngd(case)
    step()
    with parts.recording(recorder):
        step()
    seconds = recorder.seconds
    assert seconds["forward"] == seconds["loss re-evaluation"] == 1
    assert seconds["backward, true and sampled"] == 1 and seconds["covariances"] == 1


def test_nothing_stays_recorded(case):
    before = [vars(owner)[name] for owner, name, _ in parts.CALLS]
    with (
        pytest.raises(ZeroDivisionError),
        parts.recording(parts.Recorder(lambda: 0.0)),
    ):
        assert batch.forward is not before[0]
        assert Gaussian.loss is not before[2]
        raise ZeroDivisionError
    assert [vars(owner)[name] for owner, name, _ in parts.CALLS] == before
