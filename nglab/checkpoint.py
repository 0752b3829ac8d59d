"""A run's whole state on disk, so that a killed run goes on, bit for bit, as it would have gone on."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nglab.networks import Layers
from nglab.records import whole


class CheckpointFile:
    """One file, replaced whole at each `write`. `identity` says whose state it is: another's is not read."""

    def __init__(self, path: Path, identity: str) -> None:
        self.path, self.identity = path, identity

    def read(self) -> dict[str, Any] | None:
        """What was last written; None where nothing was, or not by this program for these runs."""
        if not self.path.exists():
            return None
        content = torch.load(self.path, map_location="cpu", weights_only=True)
        return content if content["identity"] == self.identity else None

    def write(self, content: dict[str, Any]) -> None:
        with whole(self.path) as partial:
            torch.save({"identity": self.identity, **content}, partial)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def pack(value: Any) -> Any:
    """Numbers, tensors, `Layers`, generators and lists of them as plain data; None for anything else."""
    if isinstance(value, Tensor | int | float):
        return value
    if isinstance(value, Layers):
        return value.stacks
    if isinstance(value, torch.Generator):
        return value.get_state()
    if isinstance(value, list):
        packed = [pack(v) for v in value]
        return None if any(p is None for p in packed) else packed
    return None


def unpack(packed: Any, into: Any, device: torch.device) -> Any:
    """The value that `pack` took apart, written into the memory of `into` where it has some."""
    if isinstance(into, Tensor):
        return into.copy_(packed)
    if isinstance(into, Layers):
        unpack(packed, into.stacks, device)
    elif isinstance(into, torch.Generator):
        into.set_state(packed)
    elif isinstance(into, list):
        return [unpack(p, v, device) for p, v in zip(packed, into, strict=True)]
    else:
        return packed.to(device) if isinstance(packed, Tensor) else packed
    return into


def pack_state(state: Any) -> dict[str, Any]:
    """What of an optimizer's state outlives a step: its own numbers, tensors, `Layers` and generators.

    What lies in the objects that it holds (`Activations`, `Errors`, …) is written before it is read in each step.
    """
    packed = {name: pack(value) for name, value in vars(state).items()}
    return {name: value for name, value in packed.items() if value is not None}


def unpack_state(packed: dict[str, Any], state: Any, device: torch.device) -> None:
    for name, value in packed.items():
        setattr(state, name, unpack(value, getattr(state, name), device))
