"""A checked configuration → the objects that are trained."""

from collections.abc import Sequence

import torch

from nglab.data.dataset import Dataset
from nglab.networks.initial import random_parameters
from nglab.networks.layers import Layers
from nglab.randomness import stream
from nglab.runs.config import Config
from nglab.runs.device import resolve_device
from nglab.training.problem import Problem


def build(config: Config, dataset: Dataset | None = None) -> Problem:
    """The problem that a configuration names; `dataset` where it has been made already."""
    device, network, seed = resolve_device(config.device), config.arch, config.seed
    return Problem(
        network=network,
        likelihood=config.likelihood,
        dataset=dataset or examples(config),
        params=initial_parameters(config),
        optimizer=config.optimizer,
        streams=lambda purpose: [
            stream(seed, purpose, device if purpose == "sampled targets" else "cpu")
        ],
        input_moment=config.data.input_moment(network, seed),
        average=config.train.average,
        cuda_graph=config.train.cuda_graph,
    )


def examples(config: Config) -> Dataset:
    """What a run trains on and is tested on."""
    device, dtype = resolve_device(config.device), getattr(torch, config.dtype)
    return config.data.dataset(config.arch, config.init.gain, config.seed).to(dtype, device)


def initial_parameters(config: Config) -> Layers:
    """What a run starts from."""
    device, dtype = resolve_device(config.device), getattr(torch, config.dtype)
    student = random_parameters(config.arch, config.init.gain, stream(config.seed, "student"))
    return student.map(lambda stack: stack.to(device, dtype))


def build_each(configs: Sequence[Config]) -> list[Problem]:
    """A problem a configuration; each distinct data set is made once."""
    datasets: dict[str, Dataset] = {}
    problems = []
    for config in configs:
        key = dataset_key(config)
        problems.append(build(config, datasets.get(key)))
        datasets[key] = problems[-1].dataset
    return problems


def dataset_key(config: Config) -> str:
    """Equal for configurations with the same data set."""
    drawn = (config.seed, config.arch, config.init) if config.data.drawn else None
    return repr((config.data, drawn, config.dtype))
