"""Steps that minimise the quadratic model of the loss over a few directions."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nglab.curvature.batch import Batch
from nglab.networks.layers import Layers
from nglab.networks.linearised import Linearised
from nglab.networks.scratch import Scratch
from nglab.optimizers.steps.step_rule import StepRule
from nglab.settings.fields import Count, setting

RIDGE = 1e-10
"""Added to the small system once its diagonal is 1."""


class Work(Scratch):
    """Memory for the step that is proposed, and the layers in the order in which `Layers` has its stacks."""

    def __init__(self, params: Layers) -> None:
        self.proposed, self.zero = params.map(torch.empty_like), params[0].new_zeros(())
        groups = params.network.groups
        order = torch.tensor([i for group in groups for i in group], device=params[0].device)
        self.by_layer = order.argsort()
        self.of_group = list(order.split([len(group) for group in groups]))

    def by_group(self, of_layer: Tensor) -> list[Tensor]:
        """A number for each layer `[..., L]`, as it multiplies each stack of layers."""
        layers_first = of_layer.movedim(-1, 0)
        return [layers_first[group][..., None, None] for group in self.of_group]


@dataclass
class SubspaceState:
    """δ, the last step, zero before the first and after one that was not taken; or none, where it is no direction."""

    previous: Layers | None
    work: Work


@dataclass(frozen=True)
class Subspace(StepRule):
    """ΔW = α Σ_j c_j d_j with the c of the least ½ cᵀ(A + λN) c − ⟨d, G⟩ᵀc over the span of the directions d_j.

    A_jk = ⟨(J d_j)ᵀ F_R (J d_k)⟩ over the batch's first `examples` is the curvature of the loss: its exact Fisher,
    which is the Gauss–Newton matrix for the natural parameters of an exponential family. N_jk = ⟨d_j, d_k⟩. The
    directions are the blocks of D, which a subclass names, and the last step δ (Martens & Grosse 2015, §6.4 and §7).
    The predicted decrease is α bᵀc − ½ α² cᵀA c with b = ⟨d, G⟩: the model without damping.

    After a step that was not taken δ is forgotten: the next one starts from D alone. Where the small system cannot be
    solved the step is not a number, and so not taken.
    """

    linearises: ClassVar[bool] = True

    previous: bool = setting("whether the last step is one more direction: momentum")
    examples: Count | None = setting("of the batch that J v is made for; null: all")

    @abstractmethod
    def pushed(self, linearised: Linearised, direction: Layers) -> Tensor:
        """J d_j for the blocks of D, `[..., blocks, examples, n_L]`."""

    @abstractmethod
    def blocks(self, products: Tensor) -> Tensor:
        """What is `[..., layers]`, summed over the layers of each block: `[..., blocks]`."""

    @abstractmethod
    def small_damping(self, damping: Tensor) -> Tensor:
        """λ of the small system, from λ `[...]`."""

    def init(self, params: Layers, batch: Batch) -> SubspaceState:
        previous = params.map(torch.zeros_like) if self.previous else None
        return SubspaceState(previous, Work(params))

    def propose_(
        self, state: SubspaceState, params: Layers, rate: Tensor, batch: Batch, direction: Layers,
        damping: Tensor, trial: Layers,
    ) -> Tensor:  # fmt: skip
        curvature = self._curvature(state, params, batch, direction)
        norms, slopes = self._products(state, batch, direction, trial)
        damped = curvature + self.small_damping(damping)[..., None, None] * norms
        c = rate.unsqueeze(-1) * least(damped, slopes)
        self._move_(state, params, direction, c.to(rate.dtype), trial)
        decrease = (slopes * c).sum(-1) - 0.5 * (c.unsqueeze(-2) @ curvature @ c.unsqueeze(-1))[
            ..., 0, 0
        ]
        return decrease.to(rate.dtype)

    def settle_(self, state: SubspaceState, taken: Tensor) -> None:
        if state.previous is None:
            return
        for old, new in zip(state.previous.pieces, state.work.proposed.pieces, strict=True):
            torch.where(taken[..., None, None], new, state.work.zero, out=old)

    def _curvature(
        self, state: SubspaceState, params: Layers, batch: Batch, direction: Layers
    ) -> Tensor:
        """A `[..., k, k]`."""
        linearised = batch.linearised(params, self.examples)
        pushed = self.pushed(linearised, direction)
        if state.previous is not None:
            pushed = torch.cat([pushed, linearised.forward(one_direction(state.previous))], -3)
        return curvature_along(batch, linearised, pushed)

    def _products(
        self, state: SubspaceState, batch: Batch, direction: Layers, product: Layers
    ) -> tuple[Tensor, Tensor]:
        """N `[..., k, k]` and b `[..., k]`."""

        def inner(a: Layers, b: Layers) -> Tensor:
            return layer_products(a, b, product, state.work.by_layer).double()

        norms = torch.diag_embed(self.blocks(inner(direction, direction)))
        slopes = self.blocks(inner(direction, batch.gradient))
        if state.previous is None:
            return norms, slopes
        with_previous = self.blocks(inner(direction, state.previous)).unsqueeze(-1)
        of_previous = inner(state.previous, state.previous).sum(-1)[..., None, None]
        norms = torch.cat(
            [
                torch.cat([norms, with_previous], -1),
                torch.cat([with_previous.mT, of_previous], -1),
            ],
            -2,
        )
        along = inner(state.previous, batch.gradient).sum(-1, keepdim=True)
        return norms, torch.cat([slopes, along], -1)

    def _move_(
        self, state: SubspaceState, params: Layers, direction: Layers, c: Tensor, trial: Layers
    ) -> None:
        """The proposed step Σ c_j d_j, and trial ← W + it."""
        of_block = c if state.previous is None else c[..., :-1]
        of_layer = of_block.expand(*c.shape[:-1], params.network.depth)
        proposed = state.work.proposed
        for d, factor, out in zip(
            direction.stacks, state.work.by_group(of_layer), proposed.stacks, strict=True
        ):
            torch.mul(d, factor, out=out)
        if state.previous is not None:
            for old, out in zip(state.previous.pieces, proposed.pieces, strict=True):
                out.addcmul_(old, c[..., -1, None, None])
        for w, step, new in zip(params.pieces, proposed.pieces, trial.pieces, strict=True):
            torch.add(w, step, out=new)


def curvature_along(batch: Batch, linearised: Linearised, pushed: Tensor) -> Tensor:
    """⟨(J d_j)ᵀ F_R (J d_k)⟩ `[..., k, k]` in float64, from J d_j `[..., k, examples, n_L]`."""
    curved = batch.likelihood.fisher_times(linearised.output, pushed)
    gram = pushed.flatten(-2) @ curved.flatten(-2).mT
    return gram.double() / linearised.examples


def least(system: Tensor, slopes: Tensor) -> Tensor:
    """The solution c `[..., k]` of system c = slopes, symmetric positive definite `[..., k, k]`; NaN where it is not.

    A direction that is zero has the coefficient 0.
    """
    diagonal = system.diagonal(dim1=-2, dim2=-1)
    scale = torch.where(diagonal > 0, diagonal.rsqrt(), 0.0)
    scaled = scale.unsqueeze(-1) * system * scale.unsqueeze(-2)
    scaled.diagonal(dim1=-2, dim2=-1).fill_(1 + RIDGE)
    factor, info = torch.linalg.cholesky_ex(scaled)
    c = torch.cholesky_solve((scale * slopes).unsqueeze(-1), factor).squeeze(-1) * scale
    return c.masked_fill(info.unsqueeze(-1) != 0, torch.nan)


def layer_products(a: Layers, b: Layers, product: Layers, by_layer: Tensor) -> Tensor:
    """⟨a_i, b_i⟩ of each layer, `[..., L]`; `product` is overwritten."""
    sums = [
        torch.mul(a_g, b_g, out=out).sum((-2, -1))
        for a_g, b_g, out in zip(a.stacks, b.stacks, product.stacks, strict=True)
    ]
    return torch.cat(sums)[by_layer].movedim(0, -1)


def one_direction(layers: Layers) -> list[Tensor]:
    """As `Linearised` takes k = 1 direction."""
    return [v.unsqueeze(-3) for v in layers]
