"""Settings as tensors: a number for one network, or one a replica of a stack."""

import torch
from torch import Tensor

from nglab.networks.layers import Layers


def as_like(value: float | Tensor, like: Tensor) -> Tensor:
    """A setting, scalar or `[replicas]`, as a tensor of the type and on the device of `like`."""
    return torch.as_tensor(value, dtype=like.dtype, device=like.device)


def each(value: float | Tensor, per_replica: Tensor) -> Tensor:
    """A setting, scalar or `[replicas]`, as a new tensor like `per_replica` `[...]`."""
    return torch.zeros_like(per_replica) + as_like(value, per_replica)


def over_layers(value: float | Tensor, params: Layers) -> Tensor:
    """A setting as it multiplies every layer of `params`, `[..., 1, 1]`."""
    return each(value, params.per_replica)[..., None, None]
