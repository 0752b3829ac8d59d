"""Natural-gradient descent with the exact expressions for deep linear networks (nglab/curvature/deep_linear.py)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from nglab.curvature.damping.damping_rule import DampingRule, DampingState
from nglab.curvature.deep_linear import FORMS, Whitened, second_moment_root, whiten
from nglab.errors import InputError
from nglab.networks.layers import Layers
from nglab.networks.network import Network
from nglab.networks.passes import Activations, forward
from nglab.networks.scratch import Scratch
from nglab.optimizers.optimizer import Optimizer, Streams, Task
from nglab.optimizers.schedules.rate import Rate
from nglab.settings.fields import setting
from nglab.settings.messages import demand


class Work(Scratch):
    """What every step writes anew, and what never changes: K and K⁺ of a known Σ = K Kᵀ."""

    def __init__(
        self, task: Task, params: Layers, examples: int, root: tuple[Tensor, Tensor] | None
    ) -> None:
        self.task, self.root = task, root
        self.activations = Activations(task.network, examples, params[0])
        self.error = params[0].new_empty(examples, task.network.widths[-1])  # e_L


@dataclass
class NGDExactState:
    """λ, ρ and the count of steps not taken; kept memory."""

    rate: Rate  # α
    damping: DampingState  # λ
    reduction_ratio: Tensor  # ρ of the last step
    skipped_steps: Tensor  # steps that were not finite
    work: Work


@dataclass(frozen=True, kw_only=True)
class NGDExact(Optimizer):
    """W_i ← W_i + α δ_i with δ from `form`, damped by an adaptive λ (Eq. 21).

    eq16      Eq. 16, its pseudo-inverses damped by √λ: Eq. 20 with Λ̃_i known from the weights, not sampled
    shells    the natural gradient of every deep linear network, its pseudo-inverses damped by √λ
    tikhonov  (F + λI)⁻¹ ∇h

    Linear networks without bias, one at a time.
    """

    columns: ClassVar[Mapping[str, str]] = {
        "damping": "λ of the next step",
        "reduction_ratio": "ρ of the last step: the actual over the predicted decrease of its batch's loss",
        "skipped_steps": "steps not taken so far: they were not finite",
    }
    graph_steps: ClassVar[int] = 0  # its decompositions have the host look for errors
    stackable: ClassVar[bool] = False  # ranks differ between networks

    lr: Annotated[float, Gt(0), Lt(2)] = setting(
        "share α of the step; from 2 on a quadratic model predicts no decrease", paper="1"
    )
    form: Literal["eq16", "shells", "tikhonov"] = setting(
        "eq16; shells: exact in every linear network; tikhonov: (F + λI)⁻¹∇h, dearer a step",
        paper="eq16",
    )
    statistics: Literal["batch", "population"] = setting("Σ of the batch, or the data's own")
    cutoff: Annotated[float, Ge(1e-6), Lt(1)] = setting(
        "singular values below this share of the norm count as zero: out of a layer's reach"
    )
    damping: DampingRule = setting("the rule of λ")

    def check(self, key: str, run: Any) -> None:
        wanted = f"identity with {key}=ngd_exact, which is for linear networks"
        demand(run.arch.linear, "arch.activation", run.arch.activation, wanted)
        demand(not run.arch.bias, "arch.bias", run.arch.bias, f"false with {key}=ngd_exact")
        if self.statistics == "population":
            known = run.data.input_moment(run.arch, run.seed) is not None
            demand(
                known, f"{key}.statistics", self.statistics, "batch: Σ of these data is not known"
            )

    def init(self, task: Task, params: Layers, streams: Streams) -> NGDExactState:
        """Raises InputError where the network is not linear, has a bias, or is a stack."""
        demand_linear(task.network, params)
        zero = params[0].new_zeros(())
        moment = task.input_moment if self.statistics == "population" else None
        root = None if moment is None else self._root(moment.to(params[0]))
        return NGDExactState(
            self.schedule.start(zero + self.lr, task.steps),
            self.damping.init(zero),
            reduction_ratio=zero.clone(),
            skipped_steps=zero.clone(),
            work=Work(task, params, self.batch_size, root),
        )

    def step(
        self, params: Layers, state: NGDExactState, x: Tensor, y: Tensor
    ) -> tuple[Layers, NGDExactState]:
        loss = self._loss(params, state.work, x, y)
        whitened = self._whiten(params, state.work, x)
        direction = self._direction(whitened, state.damping.value)

        alpha = state.rate.advance_()
        trial = params.map(torch.clone)
        for w, delta in zip(trial, direction, strict=True):
            w.addcmul_(delta, alpha)
        trial_loss = self._loss(trial, state.work, x, y)
        taken = trial_loss.isfinite()
        for w, new in zip(params.stacks, trial.stacks, strict=True):
            torch.where(taken, new, w, out=w)

        # footnote 1: Σ_i tr(δ_iᵀ ⟨e_i x_{i-1}ᵀ⟩) = ⟨R̂, Ĵδ⟩
        slope = (whitened.residual * whitened.push(direction)).sum()
        predicted = (alpha - alpha**2 / 2) * slope
        state.reduction_ratio = (loss - trial_loss) / predicted  # ρ
        informative = predicted.abs() > 4 * torch.finfo(loss.dtype).eps * loss
        self.damping.update_(state.damping, state.reduction_ratio, ~taken, informative)
        state.skipped_steps += ~taken
        return params, state

    def _loss(self, params: Layers, work: Work, x: Tensor, y: Tensor) -> Tensor:
        """h of the batch; e_L stays in `work.error`."""
        likelihood = work.task.likelihood
        output = forward(work.task.network, params, x, work.activations).output
        return likelihood.loss(output, y, likelihood.error(output, y, out=work.error))

    def _whiten(self, params: Layers, work: Work, x: Tensor) -> Whitened:
        """The network with the residual ⟨e_L xᵀ⟩ Σ⁺ of this batch; Σ̃ = I."""
        root, root_pinv = work.root or self._root(x.mT @ x / self.batch_size)
        cross = work.error.mT @ x / self.batch_size
        return whiten(list(params), cross @ root_pinv.mT @ root_pinv, root)

    def _direction(self, whitened: Whitened, damping: Tensor) -> list[Tensor]:
        """δ of `form`; not a number where its decompositions fail, as they do on weights that have overflowed."""
        try:
            return FORMS[self.form](whitened, self.cutoff, damping)
        except torch.linalg.LinAlgError:
            return [torch.full_like(g, torch.nan) for g in whitened.descent]

    def _root(self, moment: Tensor) -> tuple[Tensor, Tensor]:
        return second_moment_root(moment, self.cutoff**2)

    def diagnostics(self, state: NGDExactState) -> dict[str, Tensor]:
        return {
            "damping": state.damping.value,
            "reduction_ratio": state.reduction_ratio,
            "skipped_steps": state.skipped_steps,
        }


def demand_linear(network: Network, params: Layers) -> None:
    if not network.is_matrix:
        bias = " with bias" if network.bias else ""
        raise InputError(
            f"optimizer=ngd_exact: the network is {network.activation}{bias}; the exact expressions are for linear "
            "networks: arch.activation=identity and arch.bias=false, or optimizer=ngd"
        )
    if params.leading:
        raise InputError(
            "optimizer=ngd_exact: ranks differ between networks, so a stack cannot be trained"
        )
