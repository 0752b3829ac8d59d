"""J v of an `nn.Module`: its output's derivative along a direction of its layers' weights, by forward-mode autograd."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from nglab.torch.module_layers import ModuleLayer


class ModuleLinearised:
    """As `Linearised`, of a model on the batch that `output` makes; a direction costs a forward pass with tangents.

    A layer adds V_i x_{i-1} to the tangent of its output; what the tangent becomes on its way is autograd's work.
    """

    def __init__(
        self, layers: Sequence[ModuleLayer], output: Callable[[], Tensor], z: Tensor
    ) -> None:
        self.layers, self._output = layers, output
        self.output, self.examples = z.unsqueeze(0), len(z)  # z with an axis for the directions

    def forward(self, v: Sequence[Tensor]) -> Tensor:
        """J v `[k, M, n_L]` for V_i `[k, n_i, m_i]`."""
        directions = zip(*(v_i.unbind(0) for v_i in v), strict=True)
        return torch.stack([self._along(dict(enumerate(one))) for one in directions])

    def by_layer(self, d: Sequence[Tensor]) -> Tensor:
        """J D_i for every layer i alone, `[L, M, n_L]`."""
        return torch.stack([self._along({i: d_i}) for i, d_i in enumerate(d)])

    def _along(self, v: dict[int, Tensor]) -> Tensor:
        with torch.no_grad(), forward_ad.dual_level(), ExitStack() as hooks:
            for i, v_i in v.items():
                hook = self.layers[i].module.register_forward_hook(moving(self.layers[i], v_i))
                hooks.callback(hook.remove)
            output = forward_ad.unpack_dual(self._output()).tangent
            return output.view(self.output.shape[1:])


def moving(layer: ModuleLayer, v: Tensor) -> Callable[..., Tensor]:
    def hook(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        x = forward_ad.unpack_dual(given[0]).primal
        tangent = layer.tangent(x, v)
        return output + forward_ad.make_dual(torch.zeros_like(tangent), tangent)

    return hook
