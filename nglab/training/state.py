"""A run's whole state on disk, so that a killed run goes on, bit for bit, as it would have gone on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nglab.data.batches import Batches
from nglab.networks.layers import Layers
from nglab.training.clock import Clock


def pack(value: Any, members: Sequence[int] | None = None) -> Any:
    """Numbers, tensors, `Layers` and lists of generators as plain data; None for anything else.

    Of a stack, `members` are the replicas whose part is packed (None: all). They are on the first axis of a tensor, if
    that has more than one entry, and in a list of generators one by one.
    """
    if isinstance(value, Tensor):
        per_replica = members is not None and value.dim() > 0 and len(value) > 1
        return value[members] if per_replica else value
    if isinstance(value, int | float):
        return value
    if isinstance(value, Layers):
        return value.stacks if members is None else [stack[:, members] for stack in value.stacks]
    if isinstance(value, list) and all(isinstance(v, torch.Generator) for v in value):
        return [value[i].get_state() for i in (range(len(value)) if members is None else members)]
    return None


def unpack(packed: Any, into: Any, device: torch.device) -> Any:
    """The value that `pack` took apart, written into the memory of `into` where it has some."""
    if isinstance(into, Tensor):
        return into.copy_(packed)
    if isinstance(into, Layers):
        for stack, values in zip(into.stacks, packed, strict=True):
            stack.copy_(values)
    elif isinstance(into, list):
        for state, generator in zip(packed, into, strict=True):
            generator.set_state(state)
    else:
        return packed.to(device) if isinstance(packed, Tensor) else packed
    return into


def pack_state(state: Any, members: Sequence[int] | None = None) -> dict[str, Any]:
    """What of an optimizer's state outlives a step: its own numbers, tensors, `Layers` and generators, as by `pack`.

    What lies in the objects that it holds (`Activations`, `Errors`, …) is written before it is read in each step.
    """
    packed = {name: pack(value, members) for name, value in vars(state).items()}
    return {name: value for name, value in packed.items() if value is not None}


def unpack_state(packed: dict[str, Any], state: Any, device: torch.device) -> None:
    for name, value in packed.items():
        setattr(state, name, unpack(value, getattr(state, name), device))


@dataclass
class Loop:
    """What the training loop carries from step to step."""

    params: Layers
    state: Any  # of the optimizer
    batches: Batches
    clock: Clock
    step: int = 0

    def snapshot(self, members: Sequence[int] | None = None) -> dict[str, Any]:
        """Everything but the scratch memory, of a stack for `members` alone; good until the next step."""
        order = self.batches.order
        return {
            "step": self.step,
            "seconds": self.clock.seconds,
            "params": pack(self.params, members),
            "state": pack_state(self.state, members),
            "generators": pack(list(self.batches.generators), members),
            "order": order if members is None else order[:, members],
        }

    def restore(self, saved: dict[str, Any]) -> None:
        device = self.params[0].device
        self.step, self.clock.seconds = saved["step"], saved["seconds"]
        unpack(saved["params"], self.params, device)
        unpack_state(saved["state"], self.state, device)
        unpack(saved["generators"], list(self.batches.generators), device)
        self.batches.order = saved["order"].to(device)
