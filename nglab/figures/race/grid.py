"""What a method may be tuned over: the `grid` of its YAML file, key by key, and the values beyond a grid's ends."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import log
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from nglab.errors import InputError
from nglab.settings.messages import BESIDE, demand, near
from nglab.settings.nested import entries

Setting = Mapping[str, Any]
"""A value for each key of a grid: {"lr": 0.01, "batch_size": 20, "schedule": "cosine"}."""

KINDS = {bool: "truth value", int: "number", float: "number", str: "text"}


def grid_of(composed: DictConfig) -> dict[str, list[Any]]:
    """The grid of the method of a composed configuration: a key below `optimizer` → the values to be tried.

    Numbers rise; the method's own value is among them. A key that names a group of options, such as `schedule`, has
    their names as values. Raises InputError where there is no grid, or at the first key that is not as it should be.
    """
    optimizer = optimizer_of(composed)
    grid = optimizer.get("grid")
    if not grid or not isinstance(grid, dict):
        raise InputError(
            f"optimizer={optimizer.get('name')} has no grid: give its YAML a `grid:` of keys and"
            " the values to be tried, such as {lr: [0.001, 0.003, 0.01], batch_size: [20, 50, 125]}"
        )
    check_grid(grid, composed, "optimizer.grid")
    return grid


def check_grid(grid: Mapping[str, Any], composed: DictConfig, place: str) -> None:
    """InputError at the first key of a grid, which stands at `place`, that is not as it should be."""
    defaults = defaults_of(composed)
    for key, values in grid.items():
        if key not in defaults:
            raise InputError(f"{place}.{key}: no such key; {near(key, list(defaults))}")
        check_values(f"{place}.{key}", values, defaults[key])


def defaults_of(composed: DictConfig) -> dict[str, Any]:
    """The method's own values of all that a grid may name."""
    return tunable(optimizer_of(composed))


def optimizer_of(composed: DictConfig) -> dict[str, Any]:
    return cast(dict[str, Any], OmegaConf.to_container(composed.optimizer, resolve=True))


def optimizer_of(composed: DictConfig) -> dict[str, Any]:
    return cast(dict[str, Any], OmegaConf.to_container(composed.optimizer, resolve=True))


def tunable(optimizer: Mapping[str, Any]) -> dict[str, Any]:
    """The keys below `optimizer` that a grid may name, with their values: settings, and groups with their option."""
    found = [
        (key, value) for key, value in entries(optimizer) if not set(BESIDE) & set(key.split("."))
    ]
    return {key: value.get("name") if is_group(value) else value for key, value in found}


def is_group(value: object) -> bool:
    return isinstance(value, Mapping) and "_target_" in value


def check_values(key: str, values: Any, default: object) -> None:
    """InputError unless `values` are different ones of one kind, numbers from the smallest up, `default` among them."""
    demand(isinstance(values, list) and values != [], key, values, "a list of values")
    kinds = {KINDS.get(type(value), "other") for value in values}
    right = len(kinds) == 1 and kinds <= set(KINDS.values())
    demand(right, key, values, "all numbers, all text, or all true and false")
    demand(len(set(values)) == len(values), key, values, "different values")
    rising = kinds != {"number"} or all(a < b for a, b in pairwise(values))
    demand(rising, key, values, "numbers from the smallest to the largest")
    demand(default in values, key, values, f"a list with the method's own value, {default}")


def overrides(setting: Setting, composed: DictConfig) -> list[str]:
    """A setting as overrides of `nglab run`: ["optimizer.lr=0.01", "optimizer/schedule=cosine"]."""
    values = dict(entries(optimizer_of(composed)))
    return [
        f"optimizer/{key.replace('.', '/')}={value}"
        if is_group(values[key])
        else f"optimizer.{key}={text(value)}"
        for key, value in setting.items()
    ]


def text(value: object) -> str:
    """As Hydra reads it back: true and not True."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def continued(values: Sequence[Any], beyond: int) -> Any:
    """The next value beyond the upper (`beyond` 1) or the lower (−1) end of a grid; None where there is none.

    Geometric: the last step but one of the grid is taken once more, so that 1, 3, 10 goes on with 30, rounded to
    three digits; whole numbers stay whole. There is none beyond text, fewer than three values, zero or less, or where
    the last two steps are not alike: the logarithm of one is more than 1.5 times that of the other.

    >>> continued([0.001, 0.003, 0.01], 1), continued([0.001, 0.003, 0.01], -1), continued([0.0, 0.5, 0.9], 1)
    (0.03, 0.0003, None)
    """
    end = list(values[::beyond][-3:])
    if len(end) < 3 or not all(KINDS.get(type(v)) == "number" and v > 0 for v in end):
        return None
    third, second, last = end
    small, large = sorted((abs(log(second / third)), abs(log(last / second))))
    if large > 1.5 * small:
        return None
    value = last * second / third
    return round(value) or None if isinstance(last, int) else float(f"{value:.3g}")
