"""The grids that methods bring: what is taken, what is refused, and the overrides that come of a setting."""

from itertools import zip_longest
from math import prod

import pytest
from omegaconf import OmegaConf

from nglab.errors import InputError
from nglab.figures.race.grid import continued, grid_of, overrides, tunable
from nglab.runs.config import check
from nglab.settings.composing import compose, conf_dir

METHODS = sorted(file.stem for file in (conf_dir() / "optimizer").glob("*.yaml"))
NOT_ON_THE_AUTOENCODER = {"ngd_exact", "sample_space"}
"""Refused there with their own values."""

every_method = pytest.mark.parametrize("method", METHODS)


def method_with(**grid):
    """SGD, composed, with another grid."""
    composed = compose(["optimizer=sgd"])
    OmegaConf.set_struct(composed, False)
    composed.optimizer.grid = grid
    return composed


@every_method
def test_every_method_brings_a_grid_around_its_own_values(method):
    composed = compose([f"optimizer={method}"])
    grid = grid_of(composed)
    assert "batch_size" in grid and 9 <= prod(map(len, grid.values())) <= 60
    own = tunable(OmegaConf.to_container(composed.optimizer))
    assert all(own[key] in values for key, values in grid.items())


@every_method
@pytest.mark.parametrize("arch", ["square", "mnist_autoencoder"])
def test_every_value_of_a_grid_can_be_run(method, arch):
    words = [f"arch={arch}", f"optimizer={method}"]
    composed = compose(words)
    if arch == "mnist_autoencoder" and method in NOT_ON_THE_AUTOENCODER:
        with pytest.raises(InputError):
            check(composed)
        return
    grid = grid_of(composed)
    for column in zip_longest(*grid.values()):  # the first values of all keys, the second …
        setting = {key: value for key, value in zip(grid, column, strict=True) if value is not None}
        config = check(compose([*words, *overrides(setting, composed)]))
        assert "grid" not in config.described()["optimizer"]


def test_a_setting_is_overrides_of_a_run():
    composed = compose(["optimizer=kfac"])
    setting = {
        "schedule": "cosine",
        "metric.solver": "pseudo_inverse",
        "damping.initial": 0.5,
        "step_rule.previous": False,
    }
    words = overrides(setting, composed)
    assert words == [
        "optimizer/schedule=cosine",
        "optimizer/metric/solver=pseudo_inverse",
        "optimizer.damping.initial=0.5",
        "optimizer.step_rule.previous=false",
    ]
    config = check(compose(["optimizer=kfac", *words]))
    assert config.names["optimizer.schedule"] == "cosine"
    assert config.names["optimizer.metric.solver"] == "pseudo_inverse"
    assert config.optimizer.damping.initial == 0.5
    assert config.optimizer.step_rule.previous is False


def test_a_method_without_a_grid_is_told_what_to_write():
    for composed in (method_with(), compose(["optimizer=sgd", "~optimizer.grid"])):
        with pytest.raises(InputError, match="optimizer=sgd has no grid: give its YAML a `grid:`"):
            grid_of(composed)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"rate": [0.1]}, r"optimizer\.grid\.rate: no such key; there are .*lr"),
        ({"batch": [20]}, r"optimizer\.grid\.batch: no such key; did you mean batch_size\?"),
        ({"name": ["sgd"]}, r"optimizer\.grid\.name: no such key"),
        ({"lr": []}, r"optimizer\.grid\.lr=\[\]: must be a list of values"),
        ({"lr": 0.01}, r"optimizer\.grid\.lr=0\.01: must be a list of values"),
        ({"lr": [0.01, 0.01]}, r"optimizer\.grid\.lr=.*: must be different values"),
        ({"lr": [0.01, "large"]}, r"optimizer\.grid\.lr=.*: must be all numbers, all text"),
        ({"lr": [0.01, True]}, r"optimizer\.grid\.lr=.*: must be all numbers, all text"),
        ({"lr": [None, 0.01]}, r"optimizer\.grid\.lr=.*: must be all numbers, all text"),
        ({"lr": [0.1, 0.01]}, r"optimizer\.grid\.lr=.*: must be numbers from the smallest"),
        ({"lr": [0.1, 1]}, r"optimizer\.grid\.lr=.*: must be a list with the method's own value, "),
        ({"schedule": ["cosine"]}, r"optimizer\.grid\.schedule=.*own value, constant"),
    ],
)
def test_a_wrong_grid_is_refused_with_its_key(grid, message):
    with pytest.raises(InputError, match=message):
        grid_of(method_with(**grid))


@pytest.mark.parametrize(
    ("values", "below", "above"),
    [
        ([0.003, 0.01, 0.03, 0.1], 0.001, 0.3),
        ([0.01, 0.02, 0.05, 0.1], 0.004, 0.25),
        ([125, 250, 500, 1000], 62, 2000),
        ([20, 50, 125], 8, 312),
        ([1, 2, 4], None, 8),
        ([2, 3, 4], None, 6),
        ([0.0, 0.5, 0.9], None, None),
        ([0.5, 0.9, 0.95], None, None),
        ([0.1, 0.2], None, None),
        ([0.1], None, None),
        (["constant", "cosine", "inverse"], None, None),
        ([False, True], None, None),
    ],
)
def test_a_grid_is_continued_as_a_series(values, below, above):
    assert continued(values, -1) == below
    assert continued(values, 1) == above
    assert type(continued(values, 1)) in (type(values[-1]), type(None))


def test_the_grid_is_no_key_of_a_run():
    with pytest.raises(InputError, match=r"did you mean optimizer\.lr\?$"):
        compose(["optimizer=sgd", "optimizer.schedule.lrr=1"])
