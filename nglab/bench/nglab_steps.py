"""nglab's own steps, with the settings of its YAML files."""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from nglab.bench.cases import Case
from nglab.bench.timing import Step
from nglab.likelihoods.gaussian import Gaussian
from nglab.networks.layers import Layers
from nglab.optimizers.optimizer import Optimizer, Task
from nglab.randomness import stream
from nglab.runs.config import check
from nglab.settings.composing import compose


@cache
def method(name: str, *settings: str) -> Optimizer:
    """The method of `conf/optimizer/<name>.yaml`, but for `settings` such as "lr=0.1"."""
    named = [f"optimizer.{setting}" for setting in settings]
    return check(compose([f"optimizer={name}", *named])).optimizer


def nglab_step(name: str, settings: Sequence[str], case: Case) -> Step:
    """What the training loop does between two evaluations, on batches of the case's size."""
    optimizer = method(name, f"batch_size={case.batch_size}", *settings)
    return step_of(optimizer, case.params.map(torch.clone), case, 1)


def step_of(optimizer: Optimizer, params: Layers, case: Case, replicas: int) -> Step:
    """The chunk of steps through the batches of the case: one network's, or that of a stack of `replicas`."""
    streams = [stream(seed, "sampled targets") for seed in range(replicas)]
    state = optimizer.init(Task(case.network, Gaussian(), 1), params, lambda purpose: streams)

    @torch.inference_mode()
    def step() -> Sequence[Tensor]:
        nonlocal params, state
        params, state = optimizer.steps(params, state, case.x, case.y)
        return params

    return step


def nglab_ngd(case: Case, samples: int = 1) -> Step:
    """Everything refreshed at each step, the loss evaluated anew, ρ and λ adapted: Eqs. 20 and 21."""
    return nglab_step("ngd", [f"samples={samples}"], case)
