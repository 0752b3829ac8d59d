"""What a state may be, so that a checkpoint can hold all of it: a tree.

Containers are dataclasses, dicts, lists, tuples and named tuples. Leaves are tensors, Python's numbers, strings and
None, `Held` stacks of layers, and lists of generators, one a replica. `Scratch` and the `Task` are left out: a fresh
state has them. In a stack of R networks the replicas are on a tensor's first axis and on a held stack's second; numbers
are shared.
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from nglab.errors import InputError
from nglab.networks.scratch import Held, Scratch
from nglab.optimizers.optimizer import Optimizer, Task

LEFT_OUT = (Scratch, Task)
PLAIN = (bool, int, float, str, type(None))
"""The types that a checkpoint holds as they are; no subclass, such as NumPy's float, can be read back."""

Outline = dict[str, type]
"""The kind of every value of a tree, by its place (`.moments[0]`)."""


def places(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a tree with its place, a container before what it holds."""
    if isinstance(value, LEFT_OUT):
        return
    yield place, value
    for name, child in children(value).items():
        yield from places(child, place + name)


def children(value: Any) -> dict[str, Any]:
    """What a container holds, by its place in it; nothing for a leaf."""
    if isinstance(value, Held) or is_generators(value):
        return {}
    if is_dataclass(value):
        return {f".{f.name}": getattr(value, f.name) for f in fields(value)}
    if isinstance(value, dict):
        return {f"[{key!r}]": child for key, child in value.items()}
    if isinstance(value, list | tuple):
        return {f"[{i}]": child for i, child in enumerate(value)}
    return {}


def is_generators(value: Any) -> bool:
    some = isinstance(value, list | tuple) and len(value) > 0
    return some and all(isinstance(v, torch.Generator) for v in value)


def generators(state: Any) -> list[torch.Generator]:
    """Every generator that a state draws from."""
    return [g for _, value in places(state) if is_generators(value) for g in value]


def outline(state: Any) -> Outline:
    return {place: kind(value) for place, value in places(state)}


def kind(value: Any) -> type:
    if isinstance(value, Tensor):
        return Tensor
    return torch.Generator if is_generators(value) else type(value)


def demand_tree(owner: Optimizer, state: Any, replicas: int | None, begun: Outline) -> None:
    """InputError, naming the class of a state's `owner` and a value's place, where a checkpoint cannot hold all of it.

    `replicas` is R of a stack, None for one network. `begun` outlines the state before the first step: layers,
    generators and objects must be there by then, since it is a fresh state that they come back into.
    """
    for place, value in places(state):
        wrong = fault(value, replicas) or fault_since(value, begun.get(place, type(None)))
        if wrong:
            what = f"its state{place} ({type(value).__name__})"
            raise InputError(
                f"{type(owner).__name__}: {what} {wrong}, so a checkpoint cannot hold it"
            )


def fault(value: Any, replicas: int | None) -> str:
    """What is wrong with one value of a state; "" where nothing is."""
    if isinstance(value, torch.Generator):
        return "is not in a list of generators, one a replica"
    if isinstance(value, Tensor | Held) or is_generators(value):
        right = replicas is None or has_replicas(value, replicas)
        return "" if right else f"does not have the {replicas} replicas where they belong"
    if is_dataclass(value) and not isinstance(value, type):
        return next((f"has .{name}, which is no field" for name in beside_fields(value)), "")
    if isinstance(value, dict):
        return next(
            (f"has the key {k!r}, no text or number" for k in value if type(k) not in PLAIN), ""
        )
    right = type(value) in PLAIN or isinstance(value, list | tuple)
    return "" if right else "is no tensor, number, text, Layers, list of generators or container"


def has_replicas(value: Any, replicas: int) -> bool:
    """On a tensor's first axis, on the second of every held stack, and as many generators."""
    if isinstance(value, Held):
        return all(stack.dim() > 1 and stack.shape[1] == replicas for stack in value.held())
    if isinstance(value, Tensor):
        return value.dim() > 0 and len(value) == replicas
    return len(value) == replicas


def beside_fields(value: Any) -> list[str]:
    """Attributes of a dataclass that are neither its fields nor computed from them."""
    names = set(vars(value) if hasattr(value, "__dict__") else ()) - {f.name for f in fields(value)}
    return [
        n for n in sorted(names) if not isinstance(getattr(type(value), n, None), cached_property)
    ]


def fault_since(value: Any, before: type) -> str:
    """What is wrong with a value where a fresh state has one of the kind `before`."""
    now = kind(value)
    if now is before or value is None or {now, before} <= {*PLAIN, Tensor, dict, list, tuple}:
        return ""
    return f"is {before.__name__} before the first step"
