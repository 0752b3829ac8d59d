"""Adam: the mean of the gradient over the root of that of its squares, each free of its start (Kingma & Ba 2014)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nglab.networks.hyperparameters import each
from nglab.networks.layers import Layers
from nglab.networks.scratch import Scratch
from nglab.optimizers.first_order.first_order import FirstOrder, FirstOrderState, Number
from nglab.optimizers.optimizer import Streams, Task
from nglab.settings.fields import Positive, Share, setting


class Shares(Scratch):
    """β `[..., n, 1, 1]` in float64, and c_k, of the type of the weights, with a view for each β."""

    def __init__(self, keep: Tensor, like: Tensor) -> None:
        self.keep, self.new = keep, torch.empty_like(keep, dtype=like.dtype)
        self.views = self.new.unbind(-3)


@dataclass
class Weights:
    """The weight c_k = (1 − β) / (1 − β^k) of the k-th value in its mean, for each of several β.

    x̂ ← x̂ + c_k (x − x̂) is Adam's m / (1 − β^k) with m ← β m + (1 − β) x: its bias never arises (§3).
    """

    total: Tensor  # 1 / c_k = Σ_{j<k} β^j, float64: near 1/(1 − β) its last digits count
    shares: Shares

    @classmethod
    def of(cls, keep: Sequence[Number], params: Layers) -> "Weights":
        per_replica = params[0].new_zeros(params.leading, dtype=torch.float64)
        beta = torch.stack([each(value, per_replica) for value in keep], -1)[..., None, None]
        return cls(torch.zeros_like(beta), Shares(beta, params[0]))

    def advance_(self) -> tuple[Tensor, ...]:
        """c_k of this step for each β, `[..., 1, 1]`; good until the next."""
        self.total.mul_(self.shares.keep).add_(1)
        torch.reciprocal(self.total, out=self.shares.new)
        return self.shares.views


@dataclass
class AdamState(FirstOrderState):
    weights: Weights


@dataclass(frozen=True, kw_only=True)
class Adam(FirstOrder):
    """W ← W + α m̂ / (√v̂ + ε), with m̂ the mean of G and v̂ that of G², entry by entry (Kingma & Ba 2014, Alg. 1)."""

    kept: ClassVar[int] = 2
    anew: ClassVar[int] = 1

    beta1: Share = setting("β₁, the share of the gradient's mean that a step keeps", paper="0.9")
    beta2: Share = setting("β₂, the share of its squares' mean that a step keeps", paper="0.999")
    eps: Positive = setting("ε, added to the root mean square", paper="1e-8")

    def numbers(self) -> Sequence[Number]:
        return [self.eps]

    def init(self, task: Task, params: Layers, streams: Streams) -> AdamState:
        begun = super().init(task, params, streams)
        weights = Weights.of([self.beta1, self.beta2], params)
        return AdamState(begun.rate, begun.kept, begun.work, weights)

    def step(
        self, params: Layers, state: AdamState, x: Tensor, y: Tensor
    ) -> tuple[Layers, AdamState]:
        state.gradient_(params, x, y)
        alpha, (eps,) = state.rate.advance_(), state.work.settings
        first, second = state.weights.advance_()
        for w, g, m, v in state.pieces(params):
            m.lerp_(g, first)  # m̂
            v.lerp_(g.mul_(g), second)  # v̂
            root = torch.sqrt(v, out=g).add_(eps)
            w.addcmul_(torch.div(m, root, out=root), alpha)  # W ← W + α m̂ / (√v̂ + ε)
        return params, state
