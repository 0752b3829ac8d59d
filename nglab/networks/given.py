"""Tensors that somebody gives: what they must be, and what is said where they are something else.

One rule for types: whatever meets parameters has their precision and is on their device. Nothing is converted in
silence; NumPy's arrays are taken for the tensors that they are.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nglab.errors import InputError
from nglab.networks.layers import Layers
from nglab.networks.network import Network
from nglab.settings.messages import a_kind, demand_kind

Shape = Sequence[int | str]
"""What each axis must be: a number, a letter for any number, "..." first for any replica axes."""

FLOATS = (torch.float64, torch.float32)


def as_tensor(value: Any, key: str) -> Tensor:
    """A tensor, or an array of NumPy as one; InputError for anything else."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.require(value, requirements=["C", "W"]))
    if not isinstance(value, Tensor):
        raise InputError(f"{key}: is {a_kind(value)}: must be a tensor or an array")
    return value


def given_tensor(value: Any, key: str, shape: Shape, like: Tensor) -> Tensor:
    """`value` as a tensor of this shape, with the dtype and the device of the parameters `like`.

    >>> given_tensor(torch.zeros(5, 2), "x", ["...", "M", 3], torch.zeros(1))
    Traceback (most recent call last):
    nglab.errors.InputError: x: has shape [5, 2]: must be [..., M, 3]
    """
    tensor = as_tensor(value, key)
    demand_shape(tensor, key, shape)
    if tensor.dtype != like.dtype:
        own, right = name_of(tensor.dtype), name_of(like.dtype)
        raise InputError(
            f"{key}: is {own}: must be {right}, as the parameters are; {key}.to(torch.{right}) is"
        )
    if tensor.device != like.device:
        raise InputError(
            f"{key}: is on {tensor.device}: must be on {like.device}, as the parameters are"
        )
    return tensor


def demand_shape(tensor: Tensor, key: str, shape: Shape, why: str = "") -> None:
    """InputError unless `tensor` has this shape, and `why` it must have."""
    axes = [axis for axis in shape if axis != "..."]
    own = list(tensor.shape[-len(axes) :])
    fits = len(own) == len(axes) and (tensor.dim() == len(axes) or shape[0] == "...")
    if not fits or any(isinstance(n, int) and n != m for n, m in zip(axes, own, strict=True)):
        right = ", ".join(map(str, shape))
        raise InputError(f"{key}: has shape {list(tensor.shape)}: must be [{right}]{why}")


def name_of(dtype: torch.dtype) -> str:
    """float64"""
    return str(dtype).removeprefix("torch.")


def given_params(network: Network, params: Any, key: str = "params") -> Layers:
    """Parameters by layer as `Layers`: those themselves, or a copy of a list of W_i `[..., n_i, m_i]`.

    InputError where there is not one for each layer, or one has another shape, dtype or device than the first.
    """
    demand_kind(network, Network, "network", "Network([20, 20])")
    if not isinstance(params, Sequence) or isinstance(params, str):
        raise InputError(
            f"{key}: is {a_kind(params)}: must be Layers, or a list of W_1 … W_{network.depth};"
            " of a flat vector Layers.from_vector makes them"
        )
    if len(params) != network.depth:
        raise InputError(f"{key}: has {len(params)} layers: must have {network.depth}")
    first = as_tensor(params[0], f"{key}[0]")
    if first.dtype not in FLOATS:
        raise InputError(f"{key}[0]: is {name_of(first.dtype)}: must be float64 or float32")
    layers = [
        given_tensor(w, f"{key}[{i}]", ["...", *shape], first)
        for i, (w, shape) in enumerate(zip(params, network.shapes, strict=True))
    ]
    return params if isinstance(params, Layers) else Layers.of(network, layers)


def given_inputs(network: Network, params: Layers, x: Any, key: str = "x") -> Tensor:
    """x `[..., M, n_0]`."""
    return given_tensor(x, key, ["...", "M", network.widths[0]], params[0])
