"""Krylov subspace descent: Vinyals & Povey (2012), Krylov subspace descent for deep learning."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor

from nglab.curvature.batch import Batch
from nglab.curvature.ggn import LinearisedGGN
from nglab.networks.layers import Layers, to_vector
from nglab.networks.scratch import Scratch
from nglab.optimizers.krylov_methods.bfgs import Point, bfgs
from nglab.optimizers.krylov_methods.krylov_space import Subspace, krylov_subspace
from nglab.optimizers.krylov_methods.moves import Trial, demand_one, mean_squares, take_
from nglab.optimizers.optimizer import Optimizer, Streams, Task
from nglab.optimizers.schedules.rate import Rate
from nglab.settings.fields import Count, setting
from nglab.settings.messages import demand

LEAST_GAIN = 1e-4
"""Of the loss: what a step of BFGS must promise. Ours: at less it fits the noise of its examples, at much cost."""


class Work(Scratch):
    """The passes over the half of a batch that makes the subspace, and over the half that BFGS sees."""

    def __init__(self, task: Task, params: Layers, batch_size: int) -> None:
        self.first = batch_size // 2
        sizes = self.first, batch_size - self.first
        self.batch, other = (
            Batch(task.network, task.likelihood, params, size, samples=0) for size in sizes
        )
        self.trial = Trial(params, other)


@dataclass
class KrylovState:
    """What a step leaves to the next, and to its diagnostics."""

    rate: Rate  # α
    previous: Tensor  # δ_prev, the last step `[P]`
    directions: Tensor
    bfgs_steps: Tensor
    skipped_steps: Tensor
    work: Work


@dataclass(frozen=True, kw_only=True)
class Krylov(Optimizer):
    """ΔW = α Σ_j a_j v_j: v_j an orthonormal basis of {(P⁻¹G)^j P⁻¹(−∇h), j < K} and the last step; a by BFGS.

    G, the Gauss–Newton matrix, and ∇h are those of the first half of the batch; BFGS minimises the loss of the other
    half, from a = 0. Its variables are such that V G Vᵀ is I, with eigenvalues below `floor` times the largest raised
    to that: so its first step goes to the minimum of the quadratic model with that half's gradient. There is no λ.
    P = (⟨g∘g⟩, not below `floor` times its largest)^power, of the gradients g of single examples.
    """

    columns: ClassVar[Mapping[str, str]] = {
        "directions": "vectors of the last step's basis",
        "bfgs_steps": "steps of BFGS in the last step",
        "skipped_steps": "steps not taken so far: BFGS had nothing to gain, or found nothing lower",
    }
    graph_steps: ClassVar[int] = 0  # how long BFGS goes on is decided on the host
    stackable: ClassVar[bool] = False  # rounding grows along the Krylov space

    lr: Annotated[float, Gt(0), Lt(2)] = setting("share α of what BFGS finds", paper="1")
    directions: Count = setting("K, vectors of the Krylov space")
    max_steps: Count = setting("steps of BFGS at most")
    power: Annotated[float, Ge(0), Le(1)] = setting("of the diagonal preconditioner; 0: none")
    floor: Annotated[float, Gt(0), Lt(1)] = setting(
        "least eigenvalue of G in the subspace, and entry of P's diagonal, of the largest"
    )

    def check(self, key: str, run: Any) -> None:
        right = "2 examples or more, for the two halves"
        demand(self.batch_size > 1, f"{key}.batch_size", self.batch_size, right)

    def init(self, task: Task, params: Layers, streams: Streams) -> KrylovState:
        """Raises InputError where the network is a stack."""
        demand_one("krylov", params)
        zero = params[0].new_zeros(())
        return KrylovState(
            self.schedule.start(zero + self.lr, task.steps),
            previous=torch.zeros_like(to_vector(params)),
            directions=zero.clone(),
            bfgs_steps=zero.clone(),
            skipped_steps=zero.clone(),
            work=Work(task, params, self.batch_size),
        )

    def step(
        self, params: Layers, state: KrylovState, x: Tensor, y: Tensor
    ) -> tuple[Layers, KrylovState]:
        half = state.work.first
        subspace = self._subspace(params, state, x[..., :half, :], y[..., :half, :])
        step, taken = self._minimise(params, state, subspace, x[..., half:, :], y[..., half:, :])
        state.previous.copy_(state.rate.advance_() * step)
        take_(params, state.previous)
        state.directions.fill_(len(subspace.basis))
        state.bfgs_steps.fill_(taken)
        state.skipped_steps += taken == 0
        return params, state

    def _subspace(self, params: Layers, state: KrylovState, x: Tensor, y: Tensor) -> Subspace:
        batch = state.work.batch
        batch.gradient_(params, x, y)
        curvature = LinearisedGGN(batch.linearised(params, None), y, batch.likelihood)
        diagonal = mean_squares(batch)
        scale = diagonal.clamp_(min=self.floor * diagonal.max()).pow_(-self.power)  # P⁻¹
        return krylov_subspace(
            curvature,
            to_vector(batch.gradient),
            lambda r: scale * r,
            self.directions,
            state.previous,
        )

    def _minimise(
        self, params: Layers, state: KrylovState, subspace: Subspace, x: Tensor, y: Tensor
    ) -> tuple[Tensor, int]:
        """The step `[P]` where BFGS ends, and its steps; zero of none."""
        if not len(subspace.basis):
            return torch.zeros_like(state.previous), 0
        scaling = self._scaling(subspace.curvature)  # C, a = C ã

        def step_of(variables: Tensor) -> Tensor:
            return subspace.basis.mT @ (scaling @ variables).to(subspace.basis.dtype)

        def function(variables: Tensor) -> Point:
            loss, descent = state.work.trial.gradient(params, step_of(variables), x, y)
            return Point(variables, loss, -scaling.mT @ (subspace.basis @ descent).double())

        end, taken = bfgs(
            function, torch.zeros_like(subspace.curvature[0]), self.max_steps, LEAST_GAIN
        )
        return step_of(end.x), taken

    def _scaling(self, curvature: Tensor) -> Tensor:
        """C with Cᵀ(V G Vᵀ)C = I, but for the eigenvalues that are raised."""
        values, vectors = torch.linalg.eigh(curvature)
        return vectors * values.clamp(min=self.floor * values[-1]).rsqrt()

    def diagnostics(self, state: KrylovState) -> dict[str, Tensor]:
        return {
            "directions": state.directions,
            "bfgs_steps": state.bfgs_steps,
            "skipped_steps": state.skipped_steps,
        }
