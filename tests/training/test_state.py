from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from outside_methods import Adam, Momentum
from problems import CONSTANT, natural_gradient, random_params
from training_runs import NETWORK, M, assert_undisturbed, numbers, problem, saved, sgd

from nglab.errors import InputError
from nglab.networks.scratch import Scratch
from nglab.optimizers.optimizer import Optimizer
from nglab.optimizers.steps.step_rule import StepRule
from nglab.training.loop import train
from nglab.training.replicas import part, stack
from nglab.training.state import pack, unpack
from nglab.training.state_tree import demand_tree, generators, outline

CPU = torch.device("cpu")


def adam(lr=0.03):
    return Adam(lr=lr, batch_size=M, schedule=CONSTANT)


def momentum(lr=0.03, mu=0.9):
    return Momentum(lr=lr, batch_size=M, schedule=CONSTANT, mu=mu)


@pytest.mark.parametrize("method", [adam, momentum, sgd])
def test_a_method_of_somebody_else_goes_on_bit_for_bit(method, tmp_path):
    assert_undisturbed(lambda: problem(method()), tmp_path / "state.pt")


@pytest.mark.parametrize("method", [adam, momentum, sgd])
@pytest.mark.parametrize("count", [1, 3])
def test_so_does_a_stack_and_any_part_of_it(method, count, tmp_path):
    def make():
        return stack([problem(method(0.01 * (r + 1)), seed=r) for r in range(count)])

    assert_undisturbed(make, tmp_path / "state.pt", passes=2)
    members = [0, 2] if count == 3 else [0]
    rows = list(train(make(), 2, M))
    first, second, *_ = train(make(), 2, M)
    for evaluation in train(make(), 2, M):
        if evaluation.step == 2:
            snapshot = saved(evaluation.snapshot(members), tmp_path / "part.pt")
    rest = [numbers(e) for e in train(part(make(), members), 2, M, snapshot)]
    for (step, theirs), ours in zip(rest, rows[3:], strict=True):
        expected = [torch.tensor(values)[members] for values in numbers(ours)[1]]
        assert step == ours.step
        for a, b in zip(theirs, expected, strict=True):
            torch.testing.assert_close(torch.tensor(a), b)
    assert (first.step, second.step) == (0, 1)


@dataclass(frozen=True)
class EverySecondTooFar(StepRule):
    def init(self, params, batch):
        return {"steps": 0}

    def propose_(self, state, params, rate, batch, direction, damping, trial):
        state["steps"] += 1
        scale = 0.9 if state["steps"] % 2 else 1e6
        for w, new in zip(params.pieces, trial.pieces, strict=True):
            torch.mul(w, scale, out=new)
        return torch.ones_like(rate)


def test_steps_that_were_not_taken_stay_counted(tmp_path):
    def make():
        return problem(natural_gradient(M, step_rule=EverySecondTooFar()))

    rows = [row.more.get("skipped_steps") for row in train(make(), 4, M)]
    assert [int(skipped) for skipped in rows[1:]] == [k // 2 for k in range(1, len(rows))]
    assert_undisturbed(make, tmp_path / "state.pt")


@dataclass
class Everything:
    number: int
    text: str
    nothing: None
    tensor: torch.Tensor
    tree: Any
    layers: Any
    streams: list[torch.Generator]
    scratch: Scratch
    inner: "Inner"


@dataclass(frozen=True)
class Inner:
    """Frozen: a state of pure updates is no less a state."""

    pair: tuple[int, torch.Tensor]


def everything(seed):
    streams = [torch.Generator().manual_seed(seed)]
    tree = {"a": [torch.full((2,), float(seed)), (seed, [torch.full((1,), float(seed))])], 3: {}}
    inner = Inner((seed, torch.full((2,), float(seed))))
    tensor = torch.full((3,), float(seed))
    layers = random_params(NETWORK, seed)
    return Everything(seed, f"s{seed}", None, tensor, tree, layers, streams, Scratch(), inner)


def test_every_kind_of_value_comes_back_into_the_memory_that_is_there(tmp_path):
    old, new = everything(1), everything(2)
    kept = new.tensor, new.tree["a"][0], new.layers, new.streams[0], new.scratch, new.inner.pair[1]
    old.streams[0].manual_seed(7)
    drawn = torch.rand(3, generator=torch.Generator().manual_seed(7))
    new = unpack(saved(pack(old), tmp_path / "s.pt"), new, CPU)
    assert (new.number, new.text, new.nothing, new.inner.pair[0]) == (1, "s1", None, 1)
    assert new.tree["a"][1] == (1, [torch.ones(1)]) and new.tree[3] == {}
    assert torch.equal(torch.rand(3, generator=new.streams[0]), drawn)
    assert torch.equal(new.tree["a"][0], torch.ones(2)) and torch.equal(new.tensor, torch.ones(3))
    assert all(torch.equal(a, b) for a, b in zip(new.layers, old.layers, strict=True))
    now = new.tensor, new.tree["a"][0], new.layers, new.streams[0], new.scratch, new.inner.pair[1]
    assert all(a is b for a, b in zip(now, kept, strict=True))
    assert generators(new) == new.streams


def test_what_a_step_adds_comes_back_too(tmp_path):
    new = unpack(saved({"pairs": [(torch.ones(2), 1)], "last": None}, tmp_path / "s.pt"), {}, CPU)
    assert new == {"pairs": [(new["pairs"][0][0], 1)], "last": None}
    shared = torch.zeros(1).expand(3)  # no memory of its own for each
    assert torch.equal(unpack(torch.arange(3.0), shared, CPU), torch.arange(3.0))


class Something:
    pass


@dataclass
class WithAttribute:
    x: int = 0

    def __post_init__(self):
        self.beside = 1


WRONG = {
    "callable": ({"f": torch.clone}, r"\['f'\] \(builtin_function"),
    "object": ([1, Something()], r"\[1\] \(Something\)"),
    "generator": ((torch.Generator(), 1), r"\[0\] \(Generator\)"),
    "numpy": ({"a": {"b": np.float64(1)}}, r"\['a'\]\['b'\] \(float64\)"),
    "set": ({"a": {1}}, r"\(set\)"),
    "key": ({(1, 2): 3}, r"key \(1, 2\)"),
    "attribute": (WithAttribute(), r"\.beside"),
    "class": ({"a": Inner}, r"\['a'\] \(type\)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_a_checkpoint_cannot_hold_is_refused_with_its_place(case):
    state, place = WRONG[case]
    with pytest.raises(InputError, match="SGD: its state.*" + place):
        demand_tree(sgd(), state, None, {})


STACKED_WRONG = {
    "scalar": torch.zeros(()),
    "shared": torch.zeros(1, 3),
    "on another axis": torch.zeros(2, 3),
    "layers": random_params(NETWORK),
    "generators": [torch.Generator()] * 2,
}


@pytest.mark.parametrize("case", STACKED_WRONG)
def test_the_replica_axis_is_never_guessed(case):
    with pytest.raises(InputError, match=r"\.tensor.* 3 replicas"):
        state = replace(everything(0), tensor=STACKED_WRONG[case], tree=None)
        demand_tree(sgd(), state, 3, outline(state))


@pytest.mark.parametrize("later", [random_params(NETWORK), Inner((1, 2)), [torch.Generator()]])
def test_objects_must_be_there_before_the_first_step(later):
    demand_tree(sgd(), {"a": [1.0]}, None, outline({"a": None}))
    with pytest.raises(InputError, match=r"\['a'\].* before the first step"):
        demand_tree(sgd(), {"a": later}, None, outline({"a": None}))


@dataclass(frozen=True, kw_only=True)
class Wrong(Optimizer):
    """Its state goes wrong at the first step."""

    def init(self, task, params, streams):
        return {}

    def step(self, params, state, x, y):
        return params, {"function": torch.clone}


def test_a_run_is_refused_before_it_starts():
    with pytest.raises(InputError, match=r"Wrong: its state\['function'\]"):
        next(train(problem(Wrong(lr=0.1, batch_size=M, schedule=CONSTANT)), 2, M))


def test_an_ordered_dict_stays_one(tmp_path):
    packed = saved(pack(OrderedDict(a=1)), tmp_path / "s.pt")
    assert unpack(packed, OrderedDict(a=0), CPU) == OrderedDict(a=1)
