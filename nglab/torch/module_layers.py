"""The layers of an `nn.Module` whose weights have Kronecker factors: linear ones and convolutions.

A layer's weights are one matrix W `[n, m]`, the bias its last column. At every position that it is applied to it maps
a row x of m numbers, the last 1 where there is a bias, to Wx: a linear layer has a position for every row that it is
given, a convolution one for every pixel of its output, where x is the patch under the filters.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear, pad

from nglab.errors import InputError
from nglab.networks.layers import layer_values
from nglab.networks.scratch import Scratch
from nglab.networks.shapes import Shapes


class ModuleLayer(ABC, Scratch):
    """One layer, called `name` in its model; a `bias` that is not trained is no column of W."""

    def __init__(self, name: str, module: nn.Linear | nn.Conv2d, bias: bool) -> None:
        self.name, self.module, self.weight = name, module, module.weight
        self.bias = module.bias if bias else None
        self.rows = self.weight.new_empty(0, 0)  # of the inputs, kept from step to step

    @property
    def parameters(self) -> list[Tensor]:
        return [self.weight] if self.bias is None else [self.weight, self.bias]

    @property
    def inputs(self) -> int:
        """m less the bias column."""
        return self.weight[0].numel()

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.weight), self.inputs + (self.bias is not None)

    def read_(self, w: Tensor) -> None:
        """W ← the module's weights."""
        w[:, : self.inputs] = self.weight.flatten(1)
        if self.bias is not None:
            w[:, -1] = self.bias

    def write(self, w: Tensor) -> None:
        """The module's weights ← W."""
        weight, bias = self.parts(w)
        self.weight.copy_(weight)
        if self.bias is not None and bias is not None:
            self.bias.copy_(bias)

    def parts(self, w: Tensor) -> tuple[Tensor, Tensor | None]:
        """A matrix like W as weights and bias (views)."""
        weight = w[:, : self.inputs].unflatten(1, self.weight.shape[1:])
        return weight, None if self.bias is None else w[:, -1]

    @abstractmethod
    def input_rows(self, x: Tensor) -> Tensor:
        """x of every position, `[positions, m]`, from what the module was given; good until the next call."""

    @abstractmethod
    def error_rows(self, e: Tensor) -> Tensor:
        """e of every position, `[positions, n]`, from what belongs to the module's output, in the same order."""

    @abstractmethod
    def tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """Vx at every position, as the module's output."""


class LinearLayer(ModuleLayer):
    """`nn.Linear`, on inputs `[..., n_in]`."""

    def input_rows(self, x: Tensor) -> Tensor:
        x = x.flatten(0, -2)
        if self.bias is None:
            return x
        if self.rows.shape != (len(x), self.shape[1]):
            self.rows = layer_values(self.weight, 1, len(x), self.shape[1], hidden=True)[0].fill_(1)
        self.rows[:, :-1] = x
        return self.rows

    def error_rows(self, e: Tensor) -> Tensor:
        return e.flatten(0, -2)

    def tangent(self, x: Tensor, v: Tensor) -> Tensor:
        return linear(x, *self.parts(v))


class ConvolutionLayer(ModuleLayer):
    """`nn.Conv2d` of one group, padded with zeros: its blocks as Grosse & Martens (2016) have them."""

    module: nn.Conv2d

    def input_rows(self, x: Tensor) -> Tensor:
        """Patch by patch; in memory, one entry of all patches after the other."""
        x = pad(x, self._padding).transpose(0, 1)  # `[channels, M, height, width]`
        (kh, kw), (sh, sw) = self.module.kernel_size, self.module.stride
        dh, dw = self.module.dilation
        height = (x.shape[2] - dh * (kh - 1) - 1) // sh + 1
        width = (x.shape[3] - dw * (kw - 1) - 1) // sw + 1
        count = x.shape[1] * height * width
        if self.rows.shape != (count, self.shape[1]):
            self.rows = x.new_ones(self.shape[1], count).mT
        entries = self.rows.mT[: self.inputs].view(len(x), kh, kw, -1, height, width)
        for i in range(kh):
            for j in range(kw):
                rows = slice(i * dh, i * dh + (height - 1) * sh + 1, sh)
                columns = slice(j * dw, j * dw + (width - 1) * sw + 1, sw)
                entries[:, i, j] = x[:, :, rows, columns]
        return self.rows

    def error_rows(self, e: Tensor) -> Tensor:
        return e.transpose(0, 1).flatten(1).mT

    def tangent(self, x: Tensor, v: Tensor) -> Tensor:
        m = self.module
        weight, bias = self.parts(v)
        return conv2d(x, weight, bias, m.stride, m.padding, m.dilation)

    @cached_property
    def _padding(self) -> list[int]:
        """Left, right, top, bottom."""
        return list(self.module._reversed_padding_repeated_twice)


def module_layers(model: nn.Module, chosen: Sequence[nn.Parameter]) -> list[ModuleLayer]:
    """The layers of a model that have factors and whose weights are `chosen` and not frozen, in its own order.

    Raises InputError where there is none, where their weights are not of one real type on one device, and where two of
    them share their weights.
    """
    trained = {id(p) for p in chosen if p.requires_grad}
    found = [
        kind(name, module, id(module.bias) in trained)
        for name, module in model.named_modules()
        if (kind := kind_of(module)) and id(module.weight) in trained
    ]
    if not found:
        raise InputError("model: has no Linear and no Conv2d whose weights are trained")
    demand_one_type(found)
    demand_own_weights(found)
    return found


def demand_one_type(found: Sequence[ModuleLayer]) -> None:
    first = found[0].weight
    for layer in found:
        w = layer.weight
        right = (w.dtype, w.device) == (first.dtype, first.device)
        if not right or w.dtype not in (torch.float32, torch.float64):
            raise InputError(
                f"{layer.name}: its weights are {w.dtype} on {w.device}: must be torch.float32 or"
                f" torch.float64, as those of {found[0].name} are, on one device"
            )


def demand_own_weights(found: Sequence[ModuleLayer]) -> None:
    names: dict[int, str] = {}
    for layer in found:
        other = names.setdefault(id(layer.weight), layer.name)
        if other != layer.name:
            raise InputError(
                f"{layer.name} and {other} share their weights: a layer must have its own"
                " (freeze them with requires_grad_(False), or untie them)"
            )


def kind_of(module: nn.Module) -> type[ModuleLayer] | None:
    if type(module) is nn.Linear:
        return LinearLayer
    whole = type(module) is nn.Conv2d and module.groups == 1 and module.padding_mode == "zeros"
    return ConvolutionLayer if whole else None


class ModuleShapes(Shapes):
    """The weights of a module's layers as matrices, each in memory of its own: no two pass through one product."""

    def __init__(self, layers: Sequence[ModuleLayer]) -> None:
        self.of_layers = layers

    @cached_property
    def shapes(self) -> list[tuple[int, int]]:
        return [layer.shape for layer in self.of_layers]

    @property
    def inputs(self) -> list[int]:
        return [layer.inputs for layer in self.of_layers]

    @cached_property
    def groups(self) -> list[list[int]]:
        return [[i] for i in range(self.depth)]
