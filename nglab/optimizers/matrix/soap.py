"""SOAP: Adam in the eigenbases of Shampoo's preconditioners."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nglab.curvature.batch import Batch
from nglab.curvature.factors import Factors, both_sides_
from nglab.curvature.solvers.solver import eigenpairs
from nglab.errors import InputError
from nglab.networks.hyperparameters import each, over_layers
from nglab.networks.layers import Layers
from nglab.networks.scratch import Scratch
from nglab.optimizers.optimizer import Optimizer, Streams, Task
from nglab.optimizers.schedules.rate import Rate
from nglab.settings.fields import Count, Positive, Share, setting


class Turn:
    """V_i → Q_Lᵀ V_i Q_R and back, by the matrices Q that `bases` holds."""

    def __init__(self, bases: Factors, product: Layers) -> None:
        self.right, self.left = bases.batched
        self.right_t, self.left_t = ([q.mT for q in side] for side in bases.batched)
        self.product = product

    def into_(self, layers: Layers, out: Layers) -> None:
        both_sides_(self.left_t, layers, self.right, self.product, out)

    def back_(self, layers: Layers, out: Layers) -> None:
        both_sides_(self.left, layers, self.right_t, self.product, out)


class Work(Scratch):
    """Memory for a step, and the settings as tensors."""

    def __init__(self, params: Layers, bases: Factors, soap: "SOAP") -> None:
        product, self.squares = (
            params.map(torch.empty_like),
            Factors(params.network, params.per_replica),
        )
        self.turned = params.map(torch.empty_like)  # G', and what is turned back
        self.turn, self.turn_bases = Turn(bases, product), Turn(self.squares, product)
        settings = (soap.beta1, soap.beta2, soap.epsilon)
        self.beta1, self.beta2, self.epsilon = (over_layers(s, params) for s in settings)
        self.weight = 1 - each(soap.beta2, params.per_replica)  # in L and R


@dataclass
class SOAPState:
    rate: Rate  # α, `[..., 1, 1]`
    steps: int  # k, 0 at the first batch
    averages: Factors  # R of GᵀG, L of GGᵀ
    bases: Factors  # Q_R and Q_L, their eigenvectors in columns
    first: Layers  # M'
    second: Layers  # V
    batch: Batch
    work: Work


@dataclass(frozen=True, kw_only=True)
class SOAP(Optimizer):
    """W_i ← W_i + α √(1 − β₂ᵏ)/(1 − β₁ᵏ) · Q_L [M' / (√V + ε)] Q_Rᵀ (Vyas et al. 2024, Alg. 3).

    M' ← β₁M' + (1 − β₁)G' and V ← β₂V + (1 − β₂)G'∘G' with G' = Q_Lᵀ G Q_R. After it L ← β₂L + (1 − β₂)GGᵀ and
    R ← β₂R + (1 − β₂)GᵀG, and every `refresh` steps Q_L ← the orthogonal factor of L Q_L, and Q_R alike: a step of the
    power iteration (Alg. 4). M' is then turned into the new bases. The first batch makes L, R and their eigenvectors
    and moves nothing: no gradient is to meet a basis made of itself. A bias is one more column of W_i. One network at a
    time: of the directions that no gradient had so far the eigenvectors, and so the steps, are as rounding has them.
    """

    graph_steps: ClassVar[int] = 0  # the host looks for errors of `eigh`
    stackable: ClassVar[bool] = False  # where L or R is zero its eigenvectors are the rounding's

    beta1: Share = setting("β₁, of M'", paper="0.95")
    beta2: Share = setting("β₂, of V, L and R", paper="0.95")
    epsilon: Positive = setting("ε", paper="1e-8")
    refresh: Count = setting("steps from one making of the bases to the next", paper="10")

    def init(self, task: Task, params: Layers, streams: Streams) -> SOAPState:
        """Raises InputError where the network is a stack."""
        if params.leading:
            raise InputError(
                "optimizer=soap: a first gradient leaves eigenvectors of L and R to rounding, which is another one in "
                "a stack, so a stack cannot be trained"
            )
        bases = Factors(params.network, params.per_replica)
        return SOAPState(
            self.rate(task, params),
            steps=0,
            averages=Factors(params.network, params.per_replica),
            bases=bases,
            first=params.map(torch.zeros_like),
            second=params.map(torch.zeros_like),
            batch=Batch(task.network, task.likelihood, params, self.batch_size, samples=0),
            work=Work(params, bases, self),
        )

    def step(
        self, params: Layers, state: SOAPState, x: Tensor, y: Tensor
    ) -> tuple[Layers, SOAPState]:
        work, k, rate = state.work, state.steps, state.rate.advance_()
        state.batch.gradient_(params, x, y)
        if k > 0:
            self._move_(params, state, rate)
        work.squares.add_squares_(state.batch.gradient, keep=0)
        state.averages.average_(work.squares, work.weight)
        if k == 0:
            for a, q in zip(state.averages.stacks, state.bases.stacks, strict=True):
                q.copy_(eigenpairs(a)[1].flip(-1))  # the largest first
        elif k % self.refresh == 0:
            self._turn_bases_(state)
        state.steps += 1
        return params, state

    def _move_(self, params: Layers, state: SOAPState, rate: Tensor) -> None:
        work, k = state.work, state.steps
        work.turn.into_(state.batch.gradient, work.turned)
        for g, m, v in zip(
            work.turned.pieces, state.first.pieces, state.second.pieces, strict=True
        ):
            m.lerp_(g, 1 - work.beta1)
            v.lerp_(g.square_(), 1 - work.beta2)
            torch.div(m, torch.sqrt(v, out=g).add_(work.epsilon), out=g)
        work.turn.back_(work.turned, work.turned)
        alpha = rate * (1 - work.beta2**k).sqrt() / (1 - work.beta1**k)
        for w, d in zip(params.pieces, work.turned.pieces, strict=True):
            w.addcmul_(alpha, d)

    def _turn_bases_(self, state: SOAPState) -> None:
        work = state.work
        for a, q, turn in zip(
            state.averages.stacks, state.bases.stacks, work.squares.stacks, strict=True
        ):
            new = torch.linalg.qr(a @ q).Q
            torch.matmul(q.mT, new, out=turn)
            q.copy_(new)
        work.turn_bases.into_(state.first, state.first)
