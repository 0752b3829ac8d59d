"""The configuration of a run, typed and checked: the objects that its YAML files name, before any work."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nglab.data.source import DataSource
from nglab.errors import InputError
from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.network import Network
from nglab.optimizers.optimizer import Optimizer
from nglab.settings.building import build, check_all, plain
from nglab.settings.fields import Count, Positive, Share, setting
from nglab.settings.messages import demand
from nglab.settings.nested import entries


@dataclass(frozen=True)
class Initialisation:
    """The random weights that student and teacher start with."""

    gain: Positive = setting("g: weights are drawn from N(0, g²/n_in)", paper="not named")


@dataclass(frozen=True)
class Training:
    """How long a run trains, and what is looked at on the way."""

    passes: Annotated[float, Gt(0)] = setting(
        "passes over the training set: examples seen ÷ its size"
    )
    eval_every_examples: Count | None = setting(
        "examples between two evaluations; null: a tenth of the training set"
    )
    checkpoint_every: Count | None = setting(
        "examples between two checkpoints, from which a killed run goes on; null: none"
    )
    resume: Literal["ask", "anyway", "anew"] = setting(
        "a stopped run that does not go on of itself, being of other versions or its checkpoint damaged: refused,"
        " gone on with all the same, or begun anew"
    )
    average: Share | None = setting(
        "share of the average of the iterates that a step keeps; null: none is kept"
    )
    cuda_graph: bool = setting("on a GPU: whole steps are launched as CUDA graphs")


@dataclass(frozen=True)
class Config:
    """One run. The YAML files hold every default."""

    arch: Network = setting("the network")
    data: DataSource = setting("the examples")
    likelihood: Likelihood = setting("the density of the targets, whose −log is the loss")
    optimizer: Optimizer = setting("the method")
    init: Initialisation = setting("the initial weights")
    train: Training = setting("the training")
    seed: Annotated[int, Ge(0), Lt(2**63)] = setting("of every random draw")
    device: str = setting("auto (a GPU where there is one), cpu, cuda or cuda:<number>")
    dtype: Literal["float64", "float32"] = setting("precision of all numbers")
    names: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def described(self) -> dict[str, Any]:
        """The configuration as JSON holds it, with its classes and the names of its options."""
        values: dict[str, Any] = plain(self)
        for place, name in self.names.items():
            node = values
            for part in place.split("."):
                node = node[part]
            node["name"] = name
        return values


def check(cfg: DictConfig) -> Config:
    """A composed configuration as a `Config`, Hydra's section aside; InputError at the first wrong key, type or range.

    Whether `device` exists is for `check_device`: a sweep may be started where its jobs do not run.
    """
    return checked({str(key): resolved(cfg, str(key)) for key in cfg if key != "hydra"})


def checked(values: Mapping[str, Any]) -> Config:
    """A `Config` from plain values, or from objects in the places of groups."""
    config: Config = replace(build(Config, values), names=names_of(values))
    check_all(config, config)
    check_batch(config)
    right = re.fullmatch(r"auto|cpu|cuda(:\d+)?", config.device) is not None
    demand(right, "device", config.device, "auto, cpu, cuda or cuda:<number>")
    return config


def resolved(cfg: DictConfig, key: str) -> Any:
    """What stands at a key, as plain data; "???" where it is missing."""
    try:
        value = "???" if OmegaConf.is_missing(cfg, key) else cfg[key]
        return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    except OmegaConfBaseException as error:
        raise InputError(f"{error.full_key or key}: {str(error).splitlines()[0]}") from error


def check_batch(config: Config) -> None:
    """A batch is one of the training set, a run has one, and steps are captured only where they can be."""
    size, examples, train = (
        config.optimizer.batch_size, config.data.train_examples, config.train,
    )  # fmt: skip
    right = f"at most data.train_examples={examples}"
    demand(size <= examples, "optimizer.batch_size", size, right)
    right = f"{size / examples:g} or more: one batch at least"
    demand(train.passes >= size / examples, "train.passes", train.passes, right)
    if train.cuda_graph:
        demand(config.device != "cpu", "train.cuda_graph", True, "false with device=cpu")
        name = config.names.get("optimizer", type(config.optimizer).__name__)
        right = f"false with optimizer={name}, whose steps cannot be captured"
        demand(config.optimizer.graph_steps > 0, "train.cuda_graph", True, right)


def names_of(values: Any) -> dict[str, str]:
    """What the options are called: {"arch": "square", "optimizer": "ngd", "optimizer.step_rule": "paper", …}."""
    return {k.removesuffix(".name"): str(v) for k, v in entries(values) if k.endswith(".name")}
