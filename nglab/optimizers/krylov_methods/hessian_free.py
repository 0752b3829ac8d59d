"""Hessian-free optimization: conjugate gradient on the Gauss–Newton matrix of a batch.

Martens (2010), Deep learning via Hessian-free optimization; Martens & Sutskever (2012), Training deep and recurrent
networks with Hessian-free optimization.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor

from nglab.curvature.batch import Batch
from nglab.curvature.damping.damping_rule import DampingRule, DampingState
from nglab.curvature.ggn import LinearisedGGN
from nglab.networks.layers import Layers, to_vector
from nglab.networks.scratch import Scratch
from nglab.optimizers.krylov_methods.backtracking import best_iterate, line_search
from nglab.optimizers.krylov_methods.model_descent import Descent, descend
from nglab.optimizers.krylov_methods.moves import Trial, demand_one, mean_squares, take_
from nglab.optimizers.optimizer import Optimizer, Streams, Task
from nglab.optimizers.schedules.rate import Rate
from nglab.settings.fields import Count, NonNegative, Positive, Share, setting


class Work(Scratch):
    """Memory of the passes at W, and at W + δ."""

    def __init__(self, params: Layers, batch: Batch) -> None:
        self.batch, self.trial = batch, Trial(params, batch)


@dataclass
class HessianFreeState:
    """What a step leaves to the next, and to its diagnostics."""

    rate: Rate  # α
    damping: DampingState  # λ
    solution: Tensor  # where the last CG ended, `[P]`: not the step that was taken
    reduction_ratio: Tensor  # ρ of the last step
    cg_steps: Tensor
    skipped_steps: Tensor
    work: Work


@dataclass(frozen=True, kw_only=True)
class HessianFree(Optimizer):
    """ΔW ≈ (G + λI + λμS)⁻¹(−∇h) by CG on products with G, J and Jᵀ alone: nothing is factored or stored.

    G is the Gauss–Newton matrix of the batch, or of some of its examples; S, structural damping, is that of the hidden
    layers' change (`LinearisedGGN`). CG starts from ζ times where it ended at the last step, is preconditioned by
    (⟨g∘g⟩ + λ)^power with g the gradients of single examples, and stops where it makes little progress (`descend`). Of
    its iterates the best by the batch's loss is taken (`best_iterate`), as far along it as the loss falls enough
    (`line_search`), so that no step raises it.

    ρ, which rules λ, is that of CG's last iterate: its decrease of the batch's loss over that of the model without
    damping.
    """

    columns: ClassVar[Mapping[str, str]] = {
        "damping": "λ of the next step",
        "reduction_ratio": "ρ of CG's last iterate: the actual over the predicted decrease of its batch's loss",
        "cg_steps": "steps of CG, each a product with the curvature",
        "skipped_steps": "steps not taken so far: nowhere along them did the loss fall enough",
    }
    graph_steps: ClassVar[int] = 0  # how long CG and the searches go on is decided on the host
    stackable: ClassVar[bool] = False  # rounding grows along CG

    lr: Annotated[float, Gt(0), Lt(2)] = setting(
        "share α of CG's solution; from 2 on a quadratic model predicts no decrease", paper="1"
    )
    examples: Count | None = setting("of the batch that G is made of; null: all")
    max_steps: Count = setting("steps of CG at most", paper="250")
    tolerance: Positive = setting(
        "ε: CG stops where its objective fell by less than ε of itself a step", paper="5e-4"
    )
    warm_start: Share = setting("ζ of its last solution is what CG starts from", paper="0.95")
    power: Annotated[float, Ge(0), Le(1)] = setting(
        "of the diagonal preconditioner; 0: none", paper="0.75"
    )
    structural: NonNegative = setting("μ, of structural damping; 0: none")
    damping: DampingRule = setting("the rule of λ")

    def init(self, task: Task, params: Layers, streams: Streams) -> HessianFreeState:
        """Raises InputError where the network is a stack."""
        demand_one("hessian_free", params)
        zero = params[0].new_zeros(())
        batch = Batch(task.network, task.likelihood, params, self.batch_size, samples=0)
        return HessianFreeState(
            self.schedule.start(zero + self.lr, task.steps),
            self.damping.init(zero),
            solution=torch.zeros_like(to_vector(params)),
            reduction_ratio=zero.clone(),
            cg_steps=zero.clone(),
            skipped_steps=zero.clone(),
            work=Work(params, batch),
        )

    def step(
        self, params: Layers, state: HessianFreeState, x: Tensor, y: Tensor
    ) -> tuple[Layers, HessianFreeState]:
        work, alpha = state.work, state.rate.advance_()
        loss = work.batch.gradient_(params, x, y)
        gradient = to_vector(work.batch.gradient)  # −∇h
        descent = self._descend(params, state, gradient, y)
        predicted = self._predicted(params, state, gradient, y, alpha * descent.last)

        def loss_after(iterate: Tensor) -> float:
            return work.trial.loss(params, alpha * iterate, x, y)

        best, loss_there, loss_at_last = best_iterate(descent.kept, loss_after)
        slope = float(alpha * (gradient @ best))
        t = line_search(best, slope, float(loss), loss_there, loss_after)
        if t > 0:
            take_(params, t * alpha * best)
        self._settle_(state, descent, loss, loss_at_last, predicted, taken=t > 0)
        return params, state

    def _settle_(
        self, state: HessianFreeState, descent: Descent, loss: Tensor, loss_at_last: float,
        predicted: Tensor, taken: bool,
    ) -> None:  # fmt: skip
        """What the next step and the record ask for."""
        torch.div(loss - loss_at_last, predicted, out=state.reduction_ratio)  # ρ
        sane = math.isfinite(loss_at_last)
        failed = torch.full_like(loss, not (sane and taken), dtype=torch.bool)
        informative = predicted.abs() > 4 * torch.finfo(loss.dtype).eps * loss
        self.damping.update_(state.damping, state.reduction_ratio, failed, informative)
        state.solution.copy_(descent.last if sane else torch.zeros_like(descent.last))
        state.cg_steps.fill_(descent.steps)
        state.skipped_steps += not taken

    def _descend(
        self, params: Layers, state: HessianFreeState, gradient: Tensor, y: Tensor
    ) -> Descent:
        """CG on (G + λμS + λI) δ = −∇h from ζ δ_prev."""
        damping = state.damping.value
        structural = damping * self.structural if self.structural else None
        curvature = self._curvature(params, state.work.batch, y, structural)
        diagonal = mean_squares(state.work.batch) + damping
        scale = diagonal.pow_(-self.power).unsqueeze(-1)  # P⁻¹
        return descend(
            curvature, gradient, damping, self.warm_start * state.solution, lambda r: scale * r,
            self.tolerance, self.max_steps,
        )  # fmt: skip

    def _predicted(
        self, params: Layers, state: HessianFreeState, gradient: Tensor, y: Tensor, step: Tensor
    ) -> Tensor:
        """The decrease ⟨−∇h, δ⟩ − ½ δᵀG δ of the model without damping."""
        curvature = self._curvature(params, state.work.batch, y, None)
        return step @ gradient - 0.5 * (step @ (curvature @ step))

    def _curvature(
        self, params: Layers, batch: Batch, y: Tensor, structural: Tensor | None
    ) -> LinearisedGGN:
        linearised = batch.linearised(params, self.examples)
        targets = y[..., : linearised.examples, :]
        return LinearisedGGN(linearised, targets, batch.likelihood, structural)

    def diagnostics(self, state: HessianFreeState) -> dict[str, Tensor]:
        return {
            "damping": state.damping.value,
            "reduction_ratio": state.reduction_ratio,
            "cg_steps": state.cg_steps,
            "skipped_steps": state.skipped_steps,
        }
