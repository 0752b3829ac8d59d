from dataclasses import dataclass, replace

import pytest
import torch
from problems import CONSTANT, natural_gradient
from torch.testing import assert_close

from nglab.data.teacher import Teacher
from nglab.errors import InputError
from nglab.likelihoods.bernoulli import Bernoulli
from nglab.likelihoods.gaussian import Gaussian
from nglab.networks.initial import random_parameters
from nglab.networks.network import Network
from nglab.optimizers.schedules.constant import Constant
from nglab.optimizers.schedules.cosine import Cosine
from nglab.optimizers.sgd import SGD
from nglab.randomness import stream
from nglab.training.loop import train
from nglab.training.problem import Problem
from nglab.training.replicas import part_of_fields, stack, stack_fields

NETWORK = Network((5, 4, 4, 3), "tanh", bias=True)


def problem(seed, optimizer, network=NETWORK, dataset=None):
    dataset = dataset or Teacher(90, 30, 1e-2, 5.0).dataset(network, 1.0, seed)
    params = random_parameters(network, 1.0, stream(seed, "student"))
    return Problem(
        network, Gaussian(), dataset, params, optimizer, lambda purpose: [stream(seed, purpose)]
    )


def ngd(damping):
    return natural_gradient(40, damping)


@pytest.mark.parametrize(
    "optimizers",
    [
        [
            SGD(lr=0.1, batch_size=20, schedule=CONSTANT),
            SGD(lr=0.3, batch_size=20, schedule=CONSTANT),
            SGD(lr=0.1, batch_size=20, schedule=CONSTANT),
        ],
        [ngd(1e-2), ngd(1.0), ngd(1e-4)],
    ],
    ids=["sgd", "ngd"],
)
def test_a_stacked_run_equals_the_single_runs(optimizers):
    shared = problem(0, optimizers[0]).dataset
    datasets = [shared, shared, None]

    def members():
        return [
            problem(seed, o, dataset=d)
            for seed, o, d in zip((0, 0, 1), optimizers, datasets, strict=True)
        ]

    stacked = stack(members())
    assert stacked.members == [0, 0, 1] and len(stacked.dataset.train_x) == 2
    together = list(train(stacked, 3, 30))
    for r, single in enumerate(members()):
        alone = list(train(single, 3, 30))
        assert [e.step for e in alone] == [e.step for e in together]
        for row, stacked_row in zip(alone, together, strict=True):
            assert_close(stacked_row.test_loss[r], row.test_loss, rtol=1e-9, atol=0)
            assert_close(stacked_row.train_loss[r], row.train_loss, rtol=1e-9, atol=0)


def test_a_diverging_member_does_not_disturb_the_others():
    optimizers = [
        SGD(lr=0.1, batch_size=20, schedule=CONSTANT),
        SGD(lr=1e6, batch_size=20, schedule=CONSTANT),
    ]
    linear = Network((5, 4, 4, 3))
    *_, together = train(stack([problem(0, o, linear) for o in optimizers]), 3, 90)
    *_, alone = train(problem(0, optimizers[0], linear), 3, 90)
    assert not together.test_loss[1].isfinite()
    assert_close(together.test_loss[0], alone.test_loss)


def other(optimizer=None, network=NETWORK, likelihood=None):
    """A problem that differs in one thing."""
    alike = problem(0, optimizer or SGD(lr=0.1, batch_size=20, schedule=CONSTANT), network)
    return replace(alike, likelihood=likelihood or Gaussian())


UNLIKE = {
    r"arch\.widths=\(5, 4, 4, 3\), \(5, 3\)": other(network=Network((5, 3), "tanh", bias=True)),
    r"arch\.bias": other(network=Network((5, 4, 4, 3), "tanh")),
    r"likelihood=": other(likelihood=Bernoulli()),
    r"optimizer=SGD, NGD": other(ngd(1.0)),
    r"optimizer\.batch_size=20, 10": other(SGD(lr=0.1, batch_size=10, schedule=CONSTANT)),
    r"optimizer\.schedule\.warm_up=0, 3": other(
        SGD(lr=0.1, batch_size=20, schedule=Constant(warm_up=3))
    ),
    r"optimizer\.schedule=Constant, Cosine": other(
        SGD(lr=0.1, batch_size=20, schedule=Cosine(warm_up=0, final=0.0))
    ),
}


@pytest.mark.parametrize("message", UNLIKE)
def test_what_cannot_be_stacked_is_refused_with_its_key(message):
    with pytest.raises(InputError, match=message):
        stack([other(), UNLIKE[message]])


@dataclass(frozen=True)
class Inner:
    width: float
    count: int
    text: str


@dataclass(frozen=True)
class Outer:
    inner: Inner
    height: float
    maybe: float | None


def test_real_numbers_are_stacked_in_settings_of_any_class():
    one, two = Outer(Inner(1.0, 3, "a"), 5.0, None), Outer(Inner(2.0, 3, "a"), 5.0, None)
    stacked = stack_fields([one, two, one], "it")
    assert stacked.inner.width.tolist() == [1.0, 2.0, 1.0]
    assert replace(stacked, inner=one.inner) == one
    assert part_of_fields(stacked, [1]).inner.width.tolist() == [2.0]
    for key, wrong in {
        "it.inner.count=3, 4": replace(one, inner=Inner(1.0, 4, "a")),
        "it.inner.text=a, b": replace(one, inner=Inner(1.0, 3, "b")),
        "it.maybe=None, 1.0": replace(one, maybe=1.0),
    }.items():
        with pytest.raises(InputError, match=key):
            stack_fields([one, wrong], "it")


def test_evaluations_come_when_they_should():
    rows = list(
        train(problem(0, SGD(lr=0.1, batch_size=20, schedule=CONSTANT)), 2.25, 50)
    )  # 90 examples: 4 steps a pass
    assert [r.step for r in rows] == [0, 3, 5, 8, 10, 11]
    assert [r.examples_seen for r in rows] == [0, 60, 100, 160, 200, 220]
    assert rows[0].train_seconds == 0 < rows[1].train_seconds < rows[-1].train_seconds


def test_the_same_seed_gives_the_same_numbers():
    for optimizer in (SGD(lr=0.1, batch_size=20, schedule=CONSTANT), ngd(1e-2)):
        first, again = (list(train(problem(3, optimizer), 2, 40)) for _ in range(2))
        assert all(torch.equal(a.test_loss, b.test_loss) for a, b in zip(first, again, strict=True))
