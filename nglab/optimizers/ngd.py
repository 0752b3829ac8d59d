"""Online natural gradient descent of Bernacchia, Lengyel & Hennequin (2018), Eqs. 20 and 21, and its kin."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Gt, Lt
from torch import Tensor

from nglab.curvature.batch import Batch
from nglab.curvature.damping.damping_rule import DampingRule, DampingState
from nglab.curvature.metric import Metric, is_zero, weight_of_batch
from nglab.networks.hyperparameters import each
from nglab.networks.layers import Layers
from nglab.networks.scratch import Scratch
from nglab.optimizers.optimizer import Optimizer, Streams, Task
from nglab.optimizers.schedules.rate import Rate
from nglab.optimizers.steps.step_rule import StepRule
from nglab.settings.fields import Count, Share, setting
from nglab.settings.messages import demand

CEILING = 10.0
"""A step may leave at most this many times the loss of the first batch. Ours."""


COLUMNS = {
    "damping": "λ of the next step",
    "reduction_ratio": "ρ of the last step: the actual over the predicted decrease of its batch's loss",
    "skipped_steps": "steps not taken so far",
}


class Moves(Scratch):
    """D, and W + ΔW until it is taken."""

    def __init__(self, params: Layers) -> None:
        self.direction, self.trial = params.map(torch.empty_like), params.map(torch.empty_like)


@dataclass
class MeanGradient:
    """Ḡ ← keep Ḡ + (1 − keep) G with keep = min(1 − 1/k, β): the plain mean at first, then a decaying one."""

    steps: int  # k
    mean: Layers  # Ḡ
    keep: Tensor  # β `[...]`

    @classmethod
    def of(cls, params: Layers, keep: float | Tensor) -> "MeanGradient":
        return cls(0, params.map(torch.zeros_like), each(keep, params.per_replica))

    def with_(self, gradient: Layers) -> Layers:
        """Ḡ once it has taken in G."""
        self.steps += 1
        weight = weight_of_batch(self.keep, self.steps)[..., None, None]
        for mean, g in zip(self.mean.pieces, gradient.pieces, strict=True):
            mean.lerp_(g, weight)
        return self.mean


@dataclass
class NGDState:
    """The states of the four parts, and what of a step its diagnostics and the next one ask for, each `[...]`."""

    metric: Any
    step_rule: Any
    damping: DampingState  # λ
    rate: Rate  # α
    reduction_ratio: Tensor  # ρ of the last step
    skipped_steps: Tensor
    ceiling: Tensor  # the largest batch loss that a step may leave; infinite before the first that is not zero
    mean_gradient: MeanGradient | None  # Ḡ, where D is made of it
    generators: list[torch.Generator]  # of the sampled targets
    batch: Batch
    moves: Moves

    def gradient(self) -> Layers:
        """G of the batch, or Ḡ once it has taken in G."""
        mean, gradient = self.mean_gradient, self.batch.gradient
        return mean.with_(gradient) if mean else gradient


@dataclass(frozen=True, kw_only=True)
class NGD(Optimizer):
    """ΔW along D = (C + λI)⁻¹ G: the metric C, its damping λ and the step's length are three parts to be chosen.

    With `Kronecker`, `LevenbergMarquardt` and `Paper` it is the paper's Eqs. 20 and 21. The true targets make the
    gradient only; the metric has K targets an example sampled from the model.

    With a `gradient_average` β, D is (C + λI)⁻¹ Ḡ of a running mean Ḡ of the gradients. Of a gradient that is mostly
    noise the metric makes a step that is mostly noise, the larger the flatter the loss; a mean of few has much less of
    it, and what the step rule learns of D from this batch's own G is then nearly free of the batch's own noise. Ours.

    A step is not taken, and λ rises, where C + λI cannot be inverted or where it would throw the batch's loss above
    `CEILING` times that of the first batch. This rule is ours: with a small λ₀ it brings back runs whose first steps
    leave the region where any quadratic model holds. A damping rule that compares every few steps alone has no other's
    loss looked at.

    D_i and W_i are `[n_i, n_{i−1} (+ 1)]`; C and λ have the unit of the mean loss of the M examples over that of the
    parameters squared, α has none.

    What is left out is as in conf/optimizer/ngd.yaml; of the other methods that this class is, such as K-FAC,
    `optimizer("kfac")` has the settings. Raises InputError where a setting is unknown or out of its range.

    Source: Bernacchia et al. (2018), Eqs. 20 and 21.

    >>> NGD(batch_size=500, damping={"initial": 0.1}).damping
    LevenbergMarquardt(initial=0.1, min=1e-08, factor=1.5, interval=1)
    """

    columns: ClassVar[Mapping[str, str]] = COLUMNS

    lr: Annotated[float, Gt(0), Lt(2)] = setting(
        "share α of the step; from 2 on a quadratic model predicts no decrease", paper="1"
    )
    samples: Count = setting("targets sampled from the model, an example and step, K", paper="1")
    metric: Metric = setting("the curvature matrix C")
    gradient_average: Share = setting("β, what the mean gradient keeps a step", paper="0")
    damping: DampingRule = setting("the rule of λ")
    step_rule: StepRule = setting("how far to go along D")

    @property
    def graph_steps(self) -> int:  # type: ignore[override]
        parts = (self.metric, self.damping, self.step_rule)
        return int(is_zero(self.gradient_average) and all(p.capturable for p in parts))

    def check(self, key: str, run: Any) -> None:
        right = f"0 with this {key}.metric, which solves for the gradient of the batch alone"
        fits = self.metric.any_gradient or is_zero(self.gradient_average)
        demand(fits, f"{key}.gradient_average", self.gradient_average, right)

    def init(self, task: Task, params: Layers, streams: Streams) -> NGDState:
        batch = Batch(task.network, task.likelihood, params, self.batch_size, self.targets)
        rate = self.schedule.start(each(self.lr, params.per_replica), task.steps)
        return self.begin(params, batch, rate, streams)

    @property
    def targets(self) -> int:
        """Those that are sampled for the metric, an example."""
        return self.samples if self.metric.sampled else 0

    def begin(self, params: Layers, batch: Batch, rate: Rate, streams: Streams) -> NGDState:
        """The state before the first step, whatever makes the passes over a batch and names the rate."""
        per_replica, keep = params.per_replica, self.gradient_average
        return NGDState(
            self.metric.init(params, batch),
            self.step_rule.init(params, batch),
            self.damping.init(per_replica),
            rate=rate,
            reduction_ratio=per_replica.clone(),
            skipped_steps=per_replica.clone(),
            ceiling=per_replica + torch.inf,
            mean_gradient=None if is_zero(keep) else MeanGradient.of(params, keep),
            generators=list(streams("sampled targets")) if self.targets else [],
            batch=batch,
            moves=Moves(params),
        )

    def step(
        self, params: Layers, state: NGDState, x: Tensor, y: Tensor
    ) -> tuple[Layers, NGDState]:
        batch, damping = state.batch, state.damping.value
        direction, trial = state.moves.direction, state.moves.trial

        generators = state.generators if self.metric.takes(state.metric) else []
        loss = batch.gradient_(params, x, y, generators)  # h and G (Eqs. 1, 7, 8)
        self.metric.update_(state.metric, batch)  # C: Λ_i, Λ̃_i
        solved = self.metric.invert_(state.metric, damping)
        self.metric.multiply_(state.metric, state.gradient(), direction)  # D (Eq. 20)
        batch.share_(direction)
        predicted = self.step_rule.propose_(
            state.step_rule, params, state.rate.advance_(), batch, direction, damping, trial
        )  # W + ΔW
        first = state.ceiling.isinf() & (loss > 0)
        torch.where(first, CEILING * loss, state.ceiling, out=state.ceiling)
        taken = solved & predicted.isfinite()
        if self.damping.compares(state.damping):
            trial_loss = batch.trial_loss(trial, x, y)
            taken &= trial_loss <= state.ceiling  # False for a NaN
            torch.div(loss - trial_loss, predicted, out=state.reduction_ratio)  # ρ
        self._take_(params, trial, state, taken)

        informative = predicted.abs() > 4 * torch.finfo(loss.dtype).eps * loss
        self.damping.update_(state.damping, state.reduction_ratio, ~taken, informative)  # Eq. 21
        return params, state

    def _take_(self, params: Layers, trial: Layers, state: NGDState, taken: Tensor) -> None:
        for w, new in zip(params.pieces, trial.pieces, strict=True):
            torch.where(taken[..., None, None], new, w, out=w)
        self.step_rule.settle_(state.step_rule, taken)
        state.skipped_steps += ~taken

    def diagnostics(self, state: NGDState) -> dict[str, Tensor]:
        return {
            "damping": state.damping.value,
            "reduction_ratio": state.reduction_ratio,
            "skipped_steps": state.skipped_steps,
        }
