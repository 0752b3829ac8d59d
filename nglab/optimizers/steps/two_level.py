"""K-FAC's step with a coarse correction that ties the layers together."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from nglab.curvature.batch import Batch
from nglab.networks.layers import Layers
from nglab.optimizers.steps.line import Line
from nglab.optimizers.steps.subspace import (
    SubspaceState,
    Work,
    curvature_along,
    layer_products,
    least,
)
from nglab.settings.fields import setting


class TwoLevelWork(Work):
    """D with its correction, and the constant of each layer."""

    def __init__(self, params: Layers) -> None:
        super().__init__(params)
        self.corrected, self.ones = params.map(torch.empty_like), params.map(torch.ones_like)


@dataclass(frozen=True)
class TwoLevel(Line):
    """D + Z (Zᵀ F Z + λ ZᵀZ)⁻¹ Zᵀ G, then the exact minimum along it and the last step (`Line`).

    Z has one column a layer, so the coarse system has L unknowns; F is the exact Fisher over the batch's first
    `examples`. The correction is added to what K-FAC does in each layer alone, as in additive Schwarz methods
    (Tselepidis, Kohler & Orvieto 2020). Their Z is constant on a layer (Nicolaides' coarse space). With `directions`
    its columns are D_1 … D_L, whose span `Layerwise` minimises over instead. F Z is of this batch; theirs is averaged.
    """

    coarse: Literal["constant", "directions"] = setting(
        "columns of Z: a constant on each layer, or the layer's direction D_i", paper="constant"
    )

    def init(self, params: Layers, batch: Batch) -> SubspaceState:
        state = super().init(params, batch)
        return SubspaceState(state.previous, TwoLevelWork(params))

    def propose_(
        self, state: SubspaceState, params: Layers, rate: Tensor, batch: Batch, direction: Layers,
        damping: Tensor, trial: Layers,
    ) -> Tensor:  # fmt: skip
        work: TwoLevelWork = state.work  # type: ignore[assignment]
        columns = work.ones if self.coarse == "constant" else direction
        share = self._share(work, params, batch, columns, damping, trial).to(rate.dtype)
        for d, z, factor, out in zip(
            direction.stacks, columns.stacks, work.by_group(share), work.corrected.stacks,
            strict=True,
        ):  # fmt: skip
            torch.addcmul(d, z, factor, out=out)
        return super().propose_(state, params, rate, batch, work.corrected, damping, trial)

    def _share(
        self, work: TwoLevelWork, params: Layers, batch: Batch, columns: Layers, damping: Tensor,
        product: Layers,
    ) -> Tensor:  # fmt: skip
        """(Zᵀ F Z + λ ZᵀZ)⁻¹ Zᵀ G `[..., L]`."""
        linearised = batch.linearised(params, self.examples)
        coarse = curvature_along(batch, linearised, linearised.by_layer(columns))
        norms = layer_products(columns, columns, product, work.by_layer).double()
        slopes = layer_products(columns, batch.gradient, product, work.by_layer).double()
        coarse.diagonal(dim1=-2, dim2=-1).addcmul_(norms, damping.double().unsqueeze(-1))
        return least(coarse, slopes)
