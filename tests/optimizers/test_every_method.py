"""What holds for every method that a YAML file in conf/optimizer/ names: a new one is tested here without a word."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from torch.testing import assert_close
from training_runs import assert_undisturbed, numbers

from nglab.errors import InputError
from nglab.optimizers.schedules.constant import Constant
from nglab.optimizers.schedules.cosine import Cosine
from nglab.runs.build import build
from nglab.runs.config import check
from nglab.settings.composing import compose, conf_dir
from nglab.settings.messages import BESIDE
from nglab.training.loop import train
from nglab.training.replicas import stack

METHODS = sorted(file.stem for file in (conf_dir() / "optimizer").glob("*.yaml"))
SMALL = ["arch=mlp", "arch.widths=[5,4,4,3]", "data.train_examples=90", "data.test_examples=20",
         "optimizer.batch_size=20", "optimizer.lr=0.05"]  # fmt: skip
NETWORKS = [
    ["arch.activation=tanh", "arch.bias=true"],
    ["arch.activation=identity", "arch.bias=false"],
]
"""The first that a method takes is what it is tested with."""

ROUNDED = {"krylov": 1e-2}
"""By how much float32 may change the first step, where more than 1e-3: the vectors that span a Krylov space are nearly
parallel, so that its system is nearly singular. Over seeds 0 to 7 it is up to 4e-3, whichever kernels MKL takes."""

every_method = pytest.mark.parametrize("method", METHODS)


@cache
def overrides(method: str) -> list[str]:
    for network in NETWORKS:
        words = [*SMALL, *network, f"optimizer={method}"]
        try:
            check(compose(words))
        except InputError:
            continue
        return words
    raise AssertionError(f"optimizer={method} takes no small network")


@cache
def config(method, *more):
    return check(compose([*overrides(method), *more]))


def problem(method, *more, schedule=None):
    built = build(config(method, *more))
    optimizer = replace(built.optimizer, schedule=schedule) if schedule else built.optimizer
    return replace(built, optimizer=optimizer)


def leaves(group: DictConfig, key: str = "optimizer") -> Iterator[tuple[str, Any]]:
    """Every setting of a method, and of whatever it is made of: its key and its default."""
    for name, value in group.items():
        if name in BESIDE:
            continue
        if isinstance(value, DictConfig):
            yield from leaves(value, f"{key}.{name}")
        else:
            yield f"{key}.{name}", value


def settings(method):
    return dict(leaves(compose(overrides(method)).optimizer))


def different(method):
    """Three runs of a method in which every real number differs, and the seeds."""
    reals = {key: value for key, value in settings(method).items() if isinstance(value, float)}
    for seed, factor in enumerate((1.0, 0.9, 0.8)):
        yield [f"seed={seed}", *(f"{key}={factor * value!r}" for key, value in reals.items())]


@every_method
def test_it_learns(method):
    rows = list(train(problem(method), 6, 40))
    assert rows[-1].test_loss < rows[0].test_loss
    assert all(row.train_loss.isfinite() for row in rows)


@every_method
def test_a_stack_is_its_single_runs(method):
    runs = list(different(method))
    stacked = stack([problem(method, *run) for run in runs])
    if not stacked.optimizer.stackable:
        with pytest.raises(InputError, match="stack"):
            next(train(stacked, 4, 40))
        return
    together = list(train(stacked, 4, 40))
    for r, run in enumerate(runs):
        for row, alone in zip(together, train(problem(method, *run), 4, 40), strict=True):
            assert_close(row.test_loss[r], alone.test_loss, rtol=1e-7, atol=0)
            for name, value in alone.more.items():
                assert_close(row.more[name][r], value, rtol=1e-4, atol=1e-7)


@every_method
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_checkpoint_at_any_step_disturbs_nothing(method, dtype, tmp_path):
    schedule = Cosine(warm_up=2, final=0.1)
    assert_undisturbed(
        lambda: problem(method, f"dtype={dtype}", schedule=schedule), tmp_path / "s.pt", 2, 20
    )


@every_method
def test_nor_does_it_in_a_stack(method, tmp_path):
    if not problem(method).optimizer.stackable:
        return
    runs = list(different(method))
    assert_undisturbed(
        lambda: stack([problem(method, *run) for run in runs]), tmp_path / "s.pt", 2, 20
    )


@every_method
def test_float32_is_float64_to_rounding(method):
    for single, double in zip(
        train(problem(method, "dtype=float32"), 1, 20), train(problem(method), 1, 20), strict=True
    ):
        assert single.test_loss.dtype == torch.float32 and double.test_loss.dtype == torch.float64
        if double.step < 2 and not sampled(method):
            assert_close(
                single.test_loss.double(), double.test_loss, rtol=ROUNDED.get(method, 1e-3), atol=0
            )


def sampled(method):
    """Whether it draws targets: other numbers in another precision."""
    purposes = []
    one = problem(method)
    streams = lambda purpose: purposes.append(purpose) or one.streams(purpose)  # noqa: E731
    one.optimizer.init(one.task(1), one.params, streams)
    return bool(purposes)


@every_method
def test_its_diagnostics_are_the_columns_that_it_documents(method):
    one = problem(method)
    first, *rows = train(one, 1, 20)
    assert first.more == {}
    assert all(list(row.more) == list(one.optimizer.columns) for row in rows)
    assert all(meaning.strip() for meaning in one.optimizer.columns.values())
    assert (type(one.optimizer).__doc__ or "").strip()


@dataclass(frozen=True, kw_only=True)
class Half(Constant):
    """Half the rate, always."""

    def decay(self, step, steps):
        return torch.full_like(step, 0.5)


@every_method
def test_it_takes_its_rate_from_the_schedule(method):
    halved = train(problem(method, "optimizer.lr=0.1", schedule=Half(warm_up=0)), 2, 40)
    plain = train(problem(method, "optimizer.lr=0.05"), 2, 40)
    assert [numbers(row) for row in halved] == [numbers(row) for row in plain]


@pytest.mark.parametrize("value", ["wrong", "-1"])
@pytest.mark.parametrize(
    ("method", "key"), [(method, key) for method in METHODS for key in settings(method)]
)
def test_a_wrong_setting_is_refused_with_its_key(method, key, value):
    with pytest.raises(InputError, match=key.replace(".", r"\.")):
        check(compose([*overrides(method), f"{key}={value}"]))
