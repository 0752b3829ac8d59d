"""J v of an `nn.Module`: its output's derivative along a direction of its layers' weights, by autograd twice."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nglab.torch.module_layers import ModuleLayer


class ModuleLinearised:
    """As `Linearised`, of a model whose forward pass has left a graph from its layers' outputs to its output z.

    Along that graph an output error u becomes errors e_i = J_iᵀ u of the layers' outputs, J_i the Jacobian of z with
    respect to the output of layer i. They are linear in u, so their own derivative turned round is J_i, and
    J v = Σ_i J_i V_i x_{i-1}: a backward pass once, then for each direction V_i x_{i-1} and what goes back through it.
    """

    def __init__(
        self, layers: Sequence[ModuleLayer], inputs: Sequence[Tensor], given: Tensor, edges: Any
    ) -> None:
        self.layers, self.inputs, self.shape = layers, inputs, given.flatten(1).shape
        self.output, self.examples = given.detach().flatten(1).unsqueeze(0), len(given)
        with torch.enable_grad():
            self.u = torch.zeros_like(given, requires_grad=True)
            self.errors = torch.autograd.grad(given, edges, self.u, create_graph=True)

    def forward(self, v: Sequence[Tensor]) -> Tensor:
        """J v `[k, M, n_L]` for V_i `[k, n_i, m_i]`."""
        directions = zip(*(v_i.unbind(0) for v_i in v), strict=True)
        return torch.stack([self._along(dict(enumerate(one))) for one in directions])

    def by_layer(self, d: Sequence[Tensor]) -> Tensor:
        """J D_i for every layer i alone, `[L, M, n_L]`."""
        return torch.stack([self._along({i: d_i}) for i, d_i in enumerate(d)])

    def _along(self, v: Mapping[int, Tensor]) -> Tensor:
        """`[M, n_L]`, of V_i for the layers that it names."""
        moved = [self.layers[i].tangent(self.inputs[i], v_i) for i, v_i in v.items()]
        errors = [self.errors[i] for i in v]
        (found,) = torch.autograd.grad(errors, self.u, moved, retain_graph=True)
        return found.view(self.shape)
