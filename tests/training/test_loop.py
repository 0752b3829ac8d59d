from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
import torch
from dense_reference import squared_error
from problems import CONSTANT
from torch.testing import assert_close
from training_runs import NETWORK, M, problem, sgd

from nglab.errors import InputError
from nglab.likelihoods.gaussian import Gaussian
from nglab.networks.scratch import Scratch
from nglab.optimizers.optimizer import Optimizer
from nglab.training.evaluation import SHARED, columns_of
from nglab.training.loop import train

SEEN = []


class Nothing(Scratch):
    pass


@dataclass(frozen=True, kw_only=True)
class Watching(Optimizer):
    """Takes no step and remembers what it is shown."""

    def init(self, task, params, streams):
        return Nothing()

    def step(self, params, state, x, y):
        SEEN.append((x.clone(), y.clone()))
        TIME.pass_(1)
        return params, state


class Time:
    """A clock that goes on only where it is told to."""

    now = 0.0

    def pass_(self, seconds):
        self.now += seconds


TIME = Time()


@dataclass(frozen=True)
class SlowGaussian(Gaussian):
    """A loss takes a hundred seconds."""

    def loss(self, z, y, error=None):
        TIME.pass_(100)
        return super().loss(z, y, error)


def watching(**more):
    return problem(Watching(lr=0.1, batch_size=M, schedule=CONSTANT), **more)


def test_every_pass_shows_the_examples_in_another_order():
    SEEN.clear()
    one = watching()
    data = replace(
        one.dataset, train_x=one.dataset.train_x[:, :80], train_y=one.dataset.train_y[:, :80]
    )
    list(train(replace(one, dataset=data), 3, M))
    shown = SEEN[1:]  # after the warm-up
    assert len(shown) == 12
    orders = []
    for first in (0, 4, 8):
        x, y = (torch.cat(parts) for parts in zip(*shown[first : first + 4], strict=True))
        rows = torch.cdist(x, data.train_x[0]).argmin(1)
        assert sorted(rows.tolist()) == list(range(80))  # each example once
        assert torch.equal(data.train_x[0, rows], x) and torch.equal(data.train_y[0, rows], y)
        orders.append(rows.tolist())
    assert orders[0] != list(range(80))
    assert all(a != b for a, b in pairwise([*orders, orders[0]]))


def test_only_the_steps_are_on_the_clock(monkeypatch):
    monkeypatch.setattr("nglab.training.clock.perf_counter", lambda: TIME.now)
    slow, seconds = replace(watching(average=0.5), likelihood=SlowGaussian()), []
    for row in train(slow, 3, 2 * M):
        seconds.append(row.train_seconds)
        TIME.pass_(10_000)  # what is done with the row
    assert seconds == [0, 2, 4, 6, 8, 10, 12, 14]  # 270 examples


def test_a_row_says_where_the_run_is_and_measures_both_sets():
    one = problem(sgd())
    start = [w.clone() for w in one.params]
    first, *rows = train(one, 2, M)
    data = one.dataset
    train_x, train_y = data.train_x[0, :30], data.train_y[0, :30]  # as many as there are to test
    assert_close(first.train_loss, squared_error(NETWORK, start, train_x, train_y))
    assert_close(first.test_loss, squared_error(NETWORK, start, data.test_x[0], data.test_y[0]))
    assert [r.passes for r in rows] == [r.examples_seen / 90 for r in rows]
    assert [r.examples_seen for r in rows] == [M * r.step for r in rows]


@dataclass(frozen=True, kw_only=True)
class Measuring(Watching):
    def diagnostics(self, state):
        return {"size": torch.ones(())}


@dataclass(frozen=True, kw_only=True)
class Named(Measuring):
    columns = {"size": "how large"}  # noqa: RUF012


@dataclass(frozen=True, kw_only=True)
class Promising(Measuring):
    columns = {"size": "how large", "colour": "how red"}  # noqa: RUF012


@dataclass(frozen=True, kw_only=True)
class Shapeless(Named):
    def diagnostics(self, state):
        return {"size": torch.ones(2)}


@dataclass(frozen=True, kw_only=True)
class Clashing(Named):
    columns = {"test_loss": "how large"}  # noqa: RUF012


@dataclass(frozen=True)
class Surprised(Gaussian):
    columns = {"surprise": "the largest loss of an example"}  # noqa: RUF012

    def measures(self, z, y):
        return {"surprise": self.losses(z, y).amax(-1)}


def method(cls):
    return cls(lr=0.1, batch_size=M, schedule=CONSTANT)


def test_what_is_measured_has_a_column():
    columns = columns_of(method(Named), Surprised(), average=True)
    more = {
        "test_surprise": "the largest loss of an example",
        "test_loss_of_average": columns["test_loss_of_average"],
        "size": "how large",
    }
    assert columns == SHARED | more and list(columns) == [*SHARED, *more]
    one = replace(problem(method(Named), average=0.5), likelihood=Surprised())
    first, *rows = train(one, 1, M)
    assert list(first.more) == ["test_surprise", "test_loss_of_average"]  # no step yet
    assert all(list(row.more) == list(more) for row in rows)
    assert all(row.more["test_surprise"] > row.test_loss for row in rows)


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (Measuring, "Measuring: size .*columns do not name it"),
        (Promising, "Promising: colour .*diagnostics do not give it"),
        (Shapeless, r"Shapeless: size is \[2\]"),
    ],
)
def test_diagnostics_without_a_column_end_the_run_before_it_starts(cls, message):
    with pytest.raises(InputError, match=message):
        next(train(problem(method(cls)), 1, M))


def test_no_method_gives_a_shared_column_another_meaning():
    with pytest.raises(InputError, match="Clashing: its column test_loss"):
        columns_of(method(Clashing), Gaussian(), average=False)
