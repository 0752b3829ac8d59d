"""A run's whole state as plain data, so that a killed run goes on, bit for bit, as it would have gone on."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from nglab.data.batches import Batches
from nglab.networks.layers import Layers
from nglab.networks.scratch import Held
from nglab.optimizers.optimizer import Optimizer
from nglab.training.average import Average
from nglab.training.clock import Clock
from nglab.training.state_tree import LEFT_OUT, Outline, demand_tree, is_generators, outline


def pack(value: Any, members: Sequence[int] | None = None) -> Any:
    """A tree as plain data, of a stack what some `members` need (None: all); good until the next step."""
    if isinstance(value, LEFT_OUT):
        return None
    if isinstance(value, Tensor):
        return value if members is None else value[members]
    if isinstance(value, Held):
        return [stack if members is None else stack[:, members] for stack in value.held()]
    if is_generators(value):
        return [value[i].get_state() for i in (range(len(value)) if members is None else members)]
    if is_dataclass(value):
        return {f.name: pack(getattr(value, f.name), members) for f in fields(value)}
    if isinstance(value, dict):
        return {key: pack(child, members) for key, child in value.items()}
    if isinstance(value, list | tuple):
        children = [pack(child, members) for child in value]
        return children if isinstance(value, list) else tuple(children)
    return value


def unpack(packed: Any, into: Any, device: torch.device) -> Any:
    """The tree that `pack` took apart, written into the memory of a fresh one, `into`, where that has some."""
    if isinstance(into, LEFT_OUT):
        return into
    if isinstance(packed, Tensor):
        return into.copy_(packed) if takes(into, packed) else packed.to(device)
    if isinstance(packed, dict):
        return unpack_names(packed, into, device)
    if isinstance(packed, list | tuple):
        return unpack_sequence(packed, into, device)
    return packed


def takes(into: Any, packed: Tensor) -> bool:
    """Whether `into` is memory of its own for `packed`, no expanded view."""
    if not isinstance(into, Tensor) or (into.shape, into.dtype) != (packed.shape, packed.dtype):
        return False
    return all(step > 0 or n < 2 for n, step in zip(into.shape, into.stride(), strict=True))


def unpack_names(packed: dict[Any, Any], into: Any, device: torch.device) -> Any:
    """A dataclass or a dict."""
    if is_dataclass(into):
        for name, child in packed.items():  # also of a frozen one
            object.__setattr__(into, name, unpack(child, getattr(into, name), device))
        return into
    fresh = into if isinstance(into, dict) else {}
    values = {key: unpack(child, fresh.get(key), device) for key, child in packed.items()}
    fresh.clear()
    fresh.update(values)
    return fresh


def unpack_sequence(packed: Sequence[Any], into: Any, device: torch.device) -> Any:
    """Held stacks, generators, a list, a tuple or a named tuple."""
    if isinstance(into, Held):
        for stack, values in zip(into.held(), packed, strict=True):
            stack.copy_(values)
        return into
    if is_generators(into):
        for generator, values in zip(into, packed, strict=True):
            generator.set_state(values)
        return into
    fresh = list(into) if isinstance(into, list | tuple) else []
    fresh += [None] * (len(packed) - len(fresh))
    values = [unpack(p, f, device) for p, f in zip(packed, fresh, strict=False)]
    if isinstance(packed, tuple):
        return type(into)(*values) if hasattr(into, "_fields") else tuple(values)
    if not isinstance(into, list):
        return values
    into[:] = values
    return into


@dataclass
class Loop:
    """What the training loop carries from step to step."""

    optimizer: Optimizer
    params: Layers
    state: Any  # of the method
    batches: Batches
    clock: Clock
    average: Average | None
    step: int = 0
    begun: Outline = field(init=False)  # the state before the first step

    def __post_init__(self) -> None:
        self.begun = outline(self.state)

    def snapshot(self, members: Sequence[int] | None = None) -> dict[str, Any]:
        """Everything but the scratch memory, of a stack for `members` alone; good until the next step.

        Raises InputError where the method's state has become one that cannot be held.
        """
        demand_tree(self.optimizer, self.state, self.batches.replicas, self.begun)
        order = self.batches.order
        return {
            "step": self.step,
            "seconds": self.clock.seconds,
            "params": pack(self.params, members),
            "state": pack(self.state, members),
            "average": pack(self.average, members),
            "generators": pack(list(self.batches.generators), members),
            "order": order if members is None else order[:, members],
        }

    def restore(self, saved: dict[str, Any]) -> None:
        device = self.params[0].device
        self.step, self.clock.seconds = saved["step"], saved["seconds"]
        unpack(saved["params"], self.params, device)
        self.state = unpack(saved["state"], self.state, device)
        unpack(saved["average"], self.average, device)
        unpack(saved["generators"], list(self.batches.generators), device)
        self.batches.order = saved["order"].to(device)
