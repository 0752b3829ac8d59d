"""What `compare_modules.py` trains, and by what: problems, methods and the settings that are searched."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from module_training import Problem, Step
from plain_torch import sequential, squared_error
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import nglab.torch
from nglab.bench.cases import network_of
from nglab.bench.models import convolutional

Settings = Mapping[str, Any]
PROBLEMS = {
    "autoencoder": Problem(
        model=lambda: sequential(network_of("D")), likelihood="gaussian", loss=squared_error,
        shape=(784,), labelled=False, seconds=(5, 10, 20),
    ),
    "cnn": Problem(
        model=convolutional, likelihood="categorical", loss=cross_entropy,
        shape=(1, 28, 28), labelled=True, seconds=(5, 10, 20),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Method:
    """How a step is made of settings: `searched` goes along the ladder from a problem's `start` with each `others`."""

    make: Callable[[Problem, nn.Module, Settings], Step]
    searched: str
    start: Settings
    others: Sequence[Settings]


def by_optim(name: str, problem: Problem, model: nn.Module, settings: Settings) -> Step:
    """A step of `torch.optim.<name>`."""
    optimizer = getattr(torch.optim, name)(model.parameters(), **settings)

    def step(x: Tensor, y: Tensor) -> None:
        optimizer.zero_grad()
        problem.loss(model(x), y).backward()
        optimizer.step()

    return step


def by_nglab(name: str, problem: Problem, model: nn.Module, settings: Settings) -> Step:
    """A step of `nglab.torch.<name>`; what is named damping.… is set of its damping."""
    damping = {key[8:]: value for key, value in settings.items() if key.startswith("damping.")}
    others = {key: value for key, value in settings.items() if not key.startswith("damping.")}
    make = getattr(nglab.torch, name)
    optimizer = make(model, likelihood=problem.likelihood, damping=damping, **others)
    return lambda x, y: optimizer.step(lambda: (model(x), y))


SMALL_BATCHES = {"batch_size": 50}, {"batch_size": 200}
NATURAL = {"batch_size": 500, "damping.initial": 0.1}
AVERAGED = {**NATURAL, "average": 0.95, "split": "pi"}
SPARING = {**NATURAL, "refresh_every": 10, "damping.interval": 5}
METHODS = {
    "SGD": Method(
        partial(by_optim, "SGD"), "lr", {"autoencoder": 0.002, "cnn": 0.05},
        [{**batch, "momentum": 0.9} for batch in SMALL_BATCHES],
    ),
    "Adam": Method(
        partial(by_optim, "Adam"), "lr", {"autoencoder": 0.0005, "cnn": 0.005}, SMALL_BATCHES
    ),
    "NGD": Method(
        partial(by_nglab, "NGD"), "damping.min", {"autoencoder": 1e-3, "cnn": 1e-2},
        [{**AVERAGED, "lr": 1.0}],
    ),
    "KFAC": Method(
        partial(by_nglab, "KFAC"), "damping.min", {"autoencoder": 1e-4, "cnn": 1e-3},
        [{**SPARING, "lr": 0.5}, {**SPARING, "lr": 1.0}],
    ),
}  # fmt: skip
VARIED: dict[str, Sequence[Any]] = {
    "lr": (0.2, 0.5, 1.0),
    "batch_size": (125, 250, 1000),
    "average": (0.0, 0.8, 0.99),
    "refresh_every": (1, 50),
    "samples": (4,),
    "split": ("equal",),
    "step": ("paper", "layerwise"),
    "damping.interval": (1,),
}
"""Settings of KFAC that are changed one at a time; its own among them, once."""
