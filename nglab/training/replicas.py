"""Many problems trained as one: their parameters, data and hyper-parameters stacked on a replica axis."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch

from nglab.data.dataset import Dataset
from nglab.errors import InputError
from nglab.networks.layers import Layers
from nglab.settings.fields import key_of
from nglab.training.problem import Problem


def stack(problems: Sequence[Problem]) -> Problem:
    """One problem with a replica axis; replica r trains as `problems[r]` would alone, to rounding.

    The problems share the network, the likelihood and the kind of optimizer and differ in data, initial parameters,
    seeds and the method's real numbers. Data sets that are the same object are held once. InputError names what else
    differs.
    """
    first = problems[0]
    demand_alike([p.network for p in problems], "arch")
    demand_alike([p.likelihood for p in problems], "likelihood")
    demand_alike([p.average for p in problems], "train.average")
    distinct = list({id(p.dataset): p.dataset for p in problems}.values())
    return Problem(
        network=first.network,
        likelihood=first.likelihood,
        dataset=concatenate(distinct),
        params=Layers(
            first.network,
            [
                torch.stack(group, dim=1)
                for group in zip(*(p.params.stacks for p in problems), strict=True)
            ],
        ),
        optimizer=stack_fields([p.optimizer for p in problems], "optimizer"),
        streams=lambda purpose: [g for p in problems for g in p.streams(purpose)],
        cuda_graph=first.cuda_graph,
        average=first.average,
        members=[next(i for i, d in enumerate(distinct) if d is p.dataset) for p in problems],
    )


def part(problem: Problem, members: Sequence[int]) -> Problem:
    """The stack of some members of a stack; it holds all its data."""
    assert problem.members is not None
    return replace(
        problem,
        params=problem.params.replicas(members),
        optimizer=part_of_fields(problem.optimizer, members),
        streams=lambda purpose: [problem.streams(purpose)[i] for i in members],
        members=[problem.members[i] for i in members],
    )


def part_of_fields(settings: Any, members: Sequence[int]) -> Any:
    """A dataclass less what its tensors `[replicas]` hold for others than `members`."""
    changed: dict[str, Any] = {}
    for field in fields(settings):
        value = getattr(settings, field.name)
        if is_dataclass(value):
            changed[field.name] = part_of_fields(value, members)
        elif isinstance(value, torch.Tensor):
            changed[field.name] = value[members]
    return replace(settings, **changed)


def concatenate(datasets: Sequence[Dataset]) -> Dataset:
    """Data sets side by side on their leading axis."""
    if len(datasets) == 1:
        return datasets[0]
    if len({(d.train_x.shape, d.test_x.shape) for d in datasets}) > 1:
        raise InputError("data sets of different sizes cannot be stacked")
    train_x, train_y, test_x, test_y = (
        torch.cat([getattr(d, name) for d in datasets])
        for name in ("train_x", "train_y", "test_x", "test_y")
    )
    return Dataset(train_x, train_y, test_x, test_y)


def stack_fields(settings: Sequence[Any], key: str) -> Any:
    """Settings of one class, nested as they may be, whose real numbers that differ become tensors `[replicas]`.

    Everything else must agree: InputError names what does not, below `key`.
    """
    first = settings[0]
    if any(type(s) is not type(first) for s in settings):
        raise unlike(key, [type(s).__name__ for s in settings])
    changed: dict[str, Any] = {}
    for field in fields(first):
        name = f"{key}.{key_of(field.name)}"
        values = [getattr(s, field.name) for s in settings]
        if is_dataclass(values[0]):
            changed[field.name] = stack_fields(values, name)
        elif any(v != values[0] for v in values):
            if not all(isinstance(v, float) for v in values):
                raise unlike(name, values)
            changed[field.name] = torch.tensor(values, dtype=torch.float64)
    return replace(first, **changed)


def demand_alike(settings: Sequence[Any], key: str) -> None:
    """InputError, naming the place below `key`, where settings of whatever kind are not equal."""
    first = settings[0]
    if all(s == first for s in settings):
        return
    if is_dataclass(first) and all(type(s) is type(first) for s in settings):
        for field in fields(first):
            demand_alike([getattr(s, field.name) for s in settings], f"{key}.{key_of(field.name)}")
    raise unlike(key, settings)


def unlike(key: str, values: Sequence[Any]) -> InputError:
    shown = ", ".join(str(value) for value in dict.fromkeys(values))
    return InputError(f"{key}={shown}: must be the same for all runs of a stack")
